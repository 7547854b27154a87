"""Names of the platform's own emoji, by id. Source: "表情对象" (guild pages of the documentation repository)."""

from __future__ import annotations

import re

_TABLE = (
    "4得意 5流泪 8睡 9大哭 10尴尬 12调皮 14微笑 16酷 21可爱 23傲慢 24饥饿 25困 26惊恐 27流汗 28憨笑 29悠闲 "
    "30奋斗 32疑问 33嘘 34晕 38敲打 39再见 41发抖 42爱情 43跳跳 49拥抱 53蛋糕 60咖啡 63玫瑰 66爱心 74太阳 "
    "75月亮 76赞 78握手 79胜利 85飞吻 89西瓜 96冷汗 97擦汗 98抠鼻 99鼓掌 100糗大了 101坏笑 102左哼哼 "
    "103右哼哼 104哈欠 106委屈 109左亲亲 111可怜 116示爱 118抱拳 120拳头 122爱你 123NO 124OK 125转圈 129挥手 "
    "144喝彩 147棒棒糖 171茶 173泪奔 174无奈 175卖萌 176小纠结 179doge 180惊喜 181骚扰 182笑哭 183我最美 "
    "201点赞 203托脸 212托腮 214啵啵 219蹭一蹭 222抱抱 227拍手 232佛系 240喷脸 243甩头 246加油抱抱 262脑阔疼 "
    "264捂脸 265辣眼睛 266哦哟 267头秃 268问号脸 269暗中观察 270emm 271吃瓜 272呵呵哒 273我酸了 277汪汪 278汗 "
    "281无眼笑 282敬礼 284面无表情 285摸鱼 287哦 289睁眼 290敲开心 293摸锦鲤 294期待 297拜谢 298元宝 299牛啊 "
    "305右亲亲 306牛气冲天 307喵喵 314仔细分析 315加油 318崇拜 319比心 320庆祝 322拒绝 324吃糖 326生气"
)
NAMES: dict[str, str] = dict(re.findall(r"(\d+)(\S+)", _TABLE))


def emoji_text(id: str, type: int = 1) -> str:
    """Return an emoji as text: the character of a code point (type 2), else its name in brackets."""
    if type == 2 and id.isascii() and id.isdigit() and 0 < int(id[:8]) < 0x110000:
        character = chr(int(id[:8]))
        return character if character.isprintable() else f"[{id}]"
    return f"[{NAMES.get(id, id)}]"
