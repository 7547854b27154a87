"""Write cards. Element order and attributes are those of each platform: some readers search the text by pattern."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from yizhan.model import ChannelVideo, ContactCard, Link, MiniProgram, Quote
from yizhan.platforms.wechat_xml.xml import CData, Nodes, attributes, escape, strip_forbidden, write

UPGRADE_NOTICE = "当前版本不支持展示该内容，请升级至最新版本。"
"""The title of a card for clients that are too old to show it."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One platform's way of writing the opening tag, and its form of the file card."""

    file_appid: str
    appid: str
    sdkver: str
    quote: str
    file: str
    gap: str = " "
    """Between the two attributes."""

    def wrap(self, appid: str, inside: str) -> str:
        head = attributes({"appid": appid}, self.quote) + self.gap[1:] + attributes({"sdkver": self.sdkver}, self.quote)
        return f"<appmsg{head}>{inside}</appmsg>"


WEBWECHAT = Dialect("wxeb7ec651dd0aefa9", "wxeb7ec651dd0aefa9", "", "'", "web")
"""The web protocol: single quotes, a fixed appid, the short file card whose attachid is the upload's MediaId."""
WECHATSDK = Dialect("wx6618f1cfc6c132f8", "", "0", '"', "pc")
"""The PC client: its received messages, and the input of interface 10053."""
OHWXAPI = Dialect("", "", "0", '"', "gateway", gap="  ")
"""The file card in the answer of the gateway's CDN upload; its other cards are those of the PC client."""


class FileCard(Struct, frozen=True, omit_defaults=True):
    """The values of a file card (type 6), under the vendor's names."""

    title: str
    """Displayed name with extension."""
    totallen: int
    """Plain size in bytes."""
    fileext: str = ""
    """Extension without dot, lower case; taken from `title` if empty."""
    attachid: str = ""
    """The upload's MediaId in the web protocol. If empty, `@cdn_<cdnattachurl>_<aeskey>_1` is written."""
    cdnattachurl: str = ""
    aeskey: str = ""
    md5: str = ""
    filekey: str = ""
    overwrite_newmsgid: str = "0"
    fileuploadtoken: str = ""

    @property
    def extension(self) -> str:
        given = self.fileext or (self.title.rpartition(".")[2] if "." in self.title else "")
        return strip_forbidden(given).lower()

    @property
    def attachment(self) -> str:
        if self.attachid or not (self.cdnattachurl and self.aeskey):
            return self.attachid
        return f"@cdn_{self.cdnattachurl}_{self.aeskey}_1"


class Cover(Struct, frozen=True):
    """The cover of a mini-program card: an upload of CDN type 3."""

    cdnthumburl: str
    aeskey: str
    md5: str
    length: int
    width: int = 0
    """Pixels, like `height`; 0 if not known."""
    height: int = 0


def compose_file(card: FileCard, dialect: Dialect = WECHATSDK) -> str:
    """Return a file card (type 6)."""
    layout = {"web": _web_file, "pc": _pc_file, "gateway": _gateway_file}[dialect.file]
    return dialect.wrap(dialect.file_appid, write(layout(card)))


def compose_link(link: Link, dialect: Dialect = WECHATSDK, *, source_name: str = "", source_id: str = "") -> str:
    """Return a link card (type 5).

    Raises:
        ValueError: the address is not http or https; WeChat opens no other.
    """
    nodes: Nodes = [
        *_head(link.title, link.description, 5),
        ("url", _web_address(link.url)),
        ("lowurl", ""),
        ("thumburl", link.thumb_url),
        ("sourceusername", source_id),
        ("sourcedisplayname", source_name),
        ("appattach", _NO_ATTACHMENT),
    ]
    return dialect.wrap(dialect.appid, write(nodes))


def compose_mini_program(
    program: MiniProgram, dialect: Dialect = WECHATSDK, *, cover: Cover | None = None, form: int = 33, version: int = 0
) -> str:
    """Return a mini-program card (type 33; 36 looks the same). Without a cover it shows a gray box.

    Raises:
        ValueError: the program's ids are missing.
    """
    program = _with_full_username(program)
    notice = f"https://mp.weixin.qq.com/mp/waerrpage?appid={program.app_id}&type=upgrade&upgradetype=3#wechat_redirect"
    nodes: Nodes = [
        *_head(program.title, "", form),
        ("url", notice),
        ("thumburl", program.thumb_url),
        *([("md5", cover.md5)] if cover else []),
        ("sourceusername", program.username),
        ("sourcedisplayname", program.display_name),
        ("appattach", _cover(cover) if cover else _NO_COVER),
        (
            "weappinfo",
            [
                ("pagepath", CData(_page_path(program.path))),
                ("username", program.username),
                ("appid", program.app_id),
                ("version", str(version)),
                ("type", "2"),
                ("weappiconurl", CData(program.icon_url)),
                # May be empty, but not missing: one client fails on a card without it.
                ("shareId", ""),
                ("appservicetype", "0"),
            ],
        ),
    ]
    return dialect.wrap(dialect.appid, write(nodes))


def compose_channel_video(video: ChannelVideo, dialect: Dialect = WECHATSDK) -> str:
    """Return a channel-video card (type 51).

    Raises:
        ValueError: an id is missing, or the object id is not decimal.
    """
    if not re.fullmatch(r"\d{1,40}", video.object_id) or not video.object_nonce_id:
        raise ValueError("a channel video needs its objectId (decimal) and its objectNonceId; one is missing")
    media: Nodes = [
        ("mediaType", "4"),
        ("url", CData(video.url)),
        ("thumbUrl", CData(video.thumb_url)),
        ("coverUrl", CData(video.cover_url)),
        # Unknown values are left out: a 0 would be shown.
        *([("width", f"{video.width}.0"), ("height", f"{video.height}.0")] if video.width and video.height else []),
        *([("videoPlayDuration", str(video.duration_seconds))] if video.duration_seconds else []),
    ]
    feed: Nodes = [
        ("objectId", video.object_id),
        ("objectNonceId", video.object_nonce_id),
        ("feedType", "4"),
        ("nickname", video.nickname),
        ("username", video.username),
        ("avatar", CData(video.avatar_url)),
        ("desc", video.description),
        ("mediaCount", "1"),
        ("localId", "0"),
        ("mediaList", [("media", media)]),
        ("megaVideo", [("objectId", ""), ("objectNonceId", "")]),
    ]
    nodes: Nodes = [*_head(UPGRADE_NOTICE, "", 51), ("url", ""), ("finderFeed", feed)]
    return dialect.wrap(dialect.appid, write(nodes))


def compose_quote(text: str, quote: Quote, dialect: Dialect = WECHATSDK, *, chat: str = "", kind: int = 1) -> str:
    """Return a quote card (type 57): `text` answers `quote`.

    `chat`: the group's id, empty in a private chat. `kind`: the quoted message's type (1 text, 3 picture, 49 card); for
    49 `quote.text` is the quoted card's XML, written escaped.
    """
    refer: list[tuple[str, str | CData | Nodes]] = [
        ("type", str(kind)),
        ("svrid", quote.message_id),
        ("fromusr", chat or quote.sender),
        ("chatusr", quote.sender),
        ("displayname", quote.sender_name or quote.sender),
        ("content", quote.text),
    ]
    if quote.at:
        refer.append(("createtime", str(int(quote.at))))
    nodes: Nodes = [*_head(text, "", 57), ("url", ""), ("appattach", _NO_ATTACHMENT), ("refermsg", refer)]
    return dialect.wrap(dialect.appid, write(nodes))


def compose_contact(card: ContactCard) -> str:
    """Return the XML of a contact card (message type 42); a received card is returned unchanged."""
    if card.xml:
        return card.xml
    values = {
        "username": card.username,
        "nickname": card.nickname or card.username,
        "fullpy": "",
        "shortpy": "",
        "alias": card.alias,
        "imagestatus": "3",
        "scene": "17",
        "province": "",
        "city": "",
        "sign": "",
        "sex": "0",
        "certflag": "0",
        "certinfo": "",
        "brandIconUrl": "",
        "brandHomeUrl": "",
        "brandSubscriptConfigUrl": "",
        "brandFlags": "0",
        "regionCode": "",
        "bigheadimgurl": "",
        "smallheadimgurl": "",
    }
    return f"<msg{attributes(values)}/>"


def compose_media(tag: str, values: Mapping[str, str | int]) -> str:
    """Return `<msg><tag …/></msg>`: the XML of a picture (`img`), `videomsg`, `voicemsg`, `emoji` or `location`."""
    return f"<msg><{tag}{attributes({name: str(value) for name, value in values.items()})}/></msg>"


def as_received(appmsg: str, sender: str = "", *, app_name: str = "") -> str:
    """Return the document in which `appmsg` reaches the receiver."""
    return (
        f'<?xml version="1.0"?>\n<msg>\n{appmsg}<fromusername>{escape(sender)}</fromusername><scene>0</scene>'
        f"<appinfo><version>1</version><appname>{escape(app_name)}</appname></appinfo><commenturl></commenturl></msg>\n"
    )


_NO_ATTACHMENT: Nodes = (("totallen", "0"), ("attachid", ""), ("fileext", ""), ("aeskey", ""))
_NO_COVER: Nodes = (*_NO_ATTACHMENT, ("cdnthumburl", ""), ("cdnthumbaeskey", ""))


def _head(title: str, description: str, type_: int) -> Nodes:
    return [
        ("title", title),
        ("des", description),
        ("action", "view"),
        ("type", str(type_)),
        ("showtype", "0"),
        ("content", ""),
    ]


def _cover(cover: Cover) -> Nodes:
    return [
        ("totallen", "0"),
        ("attachid", ""),
        ("emoticonmd5", ""),
        ("fileext", "jpg"),
        ("filekey", cover.md5),
        ("cdnthumburl", cover.cdnthumburl),
        ("aeskey", cover.aeskey),
        ("cdnthumbaeskey", cover.aeskey),
        ("cdnthumbmd5", cover.md5),
        ("encryver", "1"),
        ("cdnthumblength", str(cover.length)),
        *([("cdnthumbheight", str(cover.height)), ("cdnthumbwidth", str(cover.width))] if cover.width else []),
    ]


def _with_full_username(program: MiniProgram) -> MiniProgram:
    """Return `program` with `@app` behind its username, which every card writes.

    Raises:
        ValueError: appid or username does not have its form.
    """
    if not re.fullmatch("wx[0-9A-Za-z]+", program.app_id):
        raise ValueError(f"a mini program needs its appid (wx…), not '{program.app_id[:40]}'")
    if re.fullmatch("gh_[0-9A-Za-z]+", program.username):
        return replace(program, username=f"{program.username}@app")
    if not re.fullmatch("gh_[0-9A-Za-z]+@app", program.username):
        raise ValueError(f"a mini program needs its username (gh_…@app), not '{program.username[:40]}'")
    return program


def _page_path(path: str) -> str:
    """`pages/a?b=1` → `pages/a.html?b=1`: the card needs the `.html`; an empty path opens the start page."""
    page, mark, query = path.partition("?")
    if page and not page.endswith(".html"):
        page += ".html"
    return page + mark + query


def _web_address(url: str) -> str:
    if not re.match(r"https?://[^\s/]", url, re.IGNORECASE):
        raise ValueError(f"a link card takes an http or https address, not '{url[:80]}'")
    return url


def _web_file(card: FileCard) -> Nodes:
    return [
        ("title", card.title),
        ("des", ""),
        ("action", ""),
        ("type", "6"),
        ("content", ""),
        ("url", ""),
        ("lowurl", ""),
        (
            "appattach",
            [("totallen", str(card.totallen)), ("attachid", card.attachment), ("fileext", card.extension)],
        ),
        ("extinfo", ""),
    ]


def _pc_file(card: FileCard) -> Nodes:
    return [
        *_head(card.title, "", 6),
        ("url", ""),
        (
            "appattach",
            [
                ("totallen", str(card.totallen)),
                ("fileext", card.extension),
                ("attachid", card.attachment),
                *_cdn_attachment(card),
            ],
        ),
        ("md5", card.md5),
        ("webviewshared", [("jsAppId", CData("")), ("publisherReqId", CData("0"))]),
    ]


def _gateway_file(card: FileCard) -> Nodes:
    def empty(*tags: str) -> Nodes:
        return [(tag, "") for tag in tags]

    return [
        ("title", card.title),
        *empty("des", "action"),
        ("type", "6"),
        ("showtype", "0"),
        ("soundtype", "0"),
        *empty("mediatagname", "messageext", "messageaction", "content"),
        ("contentattr", "0"),
        *empty("url", "lowurl", "dataurl", "lowdataurl", "songalbumurl", "songlyric"),
        (
            "appattach",
            [
                ("totallen", str(card.totallen)),
                ("attachid", card.attachment),
                ("emoticonmd5", ""),
                ("fileext", card.extension),
                *_cdn_attachment(card),
            ],
        ),
        *empty("extinfo", "sourceusername", "sourcedisplayname", "thumburl"),
        ("md5", card.md5),
        ("statextstr", ""),
        ("directshare", "0"),
        ("recorditem", CData("<recordinfo><edittime>0</edittime><fromscene>0</fromscene></recordinfo>")),
    ]


def _cdn_attachment(card: FileCard) -> Nodes:
    return [
        ("cdnattachurl", card.cdnattachurl),
        ("cdnthumbaeskey", ""),
        ("aeskey", card.aeskey),
        ("encryver", "0"),
        ("filekey", card.filekey),
        ("overwrite_newmsgid", card.overwrite_newmsgid),
        ("fileuploadtoken", card.fileuploadtoken),
    ]
