"""Drives nonebot-adapter-qq against the QQ door of a sandbox: sends of every kind, then answers one message."""

import asyncio
import json
import os
import sys
from pathlib import Path

import nonebot
from nonebot.adapters.qq import Adapter, Bot, MessageSegment
from nonebot.adapters.qq.event import (
    AtMessageCreateEvent,
    C2CMessageCreateEvent,
    DirectMessageCreateEvent,
    GroupAtMessageCreateEvent,
)
from nonebot.adapters.qq.models import Media

BASE = os.environ["BASE"]
USER = os.environ["USER_OPENID"]
GROUP = os.environ["GROUP_OPENID"]
CHANNEL = os.environ["CHANNEL"]
MEDIA = Path(os.environ["MEDIA"])


def report(name, value=True):
    sys.stdout.write(f"REPORT {json.dumps({'name': name, 'value': value})}\n")
    sys.stdout.flush()


nonebot.init(
    driver="~httpx+~websockets",
    log_level="WARNING",
    qq_api_base=BASE,
    qq_auth_base=f"{BASE}/app/getAppAccessToken",
    qq_bots=[
        {
            "id": os.environ["APP_ID"],
            "secret": os.environ["SECRET"],
            "intent": {
                "c2c_group_at_messages": True,
                "at_messages": True,
                "guild_messages": False,
                "direct_message": True,
            },
        }
    ],
)
driver = nonebot.get_driver()
driver.register_adapter(Adapter)
answered = []


@driver.on_bot_connect
async def connected(bot: Bot):
    asyncio.get_running_loop().create_task(everything(bot))


async def everything(bot: Bot):
    try:
        text = await bot.send_to_c2c(USER, "hello from nonebot")
        report("text", text.id)
        image = (MEDIA / "picture.png").read_bytes()
        report("image", (await bot.send_to_group(GROUP, MessageSegment.file_image(image))).id)
        video = (MEDIA / "clip.mp4").read_bytes()
        report("video", (await bot.send_to_c2c(USER, MessageSegment.file_video(video))).id)
        report("file", (await bot.send_to_group(GROUP, MessageSegment.file_file(b"%PDF-1.4 small", "报告.pdf"))).id)
        big = (MEDIA / "big.bin").read_bytes()
        report("big", (await bot.send_to_c2c(USER, MessageSegment.file_file(big, "big.bin"))).id)
        placed = await bot.post_group_files(group_openid=GROUP, file_type=1, file_data=image, srv_send_msg=False)
        twice = [
            (await bot.post_group_messages(group_openid=GROUP, msg_type=7, media=Media(file_info=placed.file_info))).id
            for _ in range(2)
        ]
        report("twice", twice)
        channel = await bot.send_to_channel(CHANNEL, MessageSegment.file_image(image) + "in a channel")
        report("channel", channel.id)
        conversation = await bot.post_dms(recipient_id=USER, source_guild_id="1")
        report("dm", (await bot.send_to_dms(conversation.guild_id, MessageSegment.file_image(image))).id)
        await bot.delete_message(channel_id=CHANNEL, message_id=channel.id)
        await bot.delete_c2c_message(openid=USER, message_id=text.id)
        report("recalled", text.id)
        try:
            await bot.send_to_c2c("0" * 32, "nobody there")
        except Exception as error:
            report("refused", repr(error))
        report("ready")
    except Exception as error:
        report("failed", repr(error))
        raise


Answerable = C2CMessageCreateEvent | GroupAtMessageCreateEvent | AtMessageCreateEvent | DirectMessageCreateEvent
matcher = nonebot.on_message()


@matcher.handle()
async def answer(bot: Bot, event: Answerable):
    await bot.send(event, f"you said {event.get_plaintext().strip()}")
    await bot.send(event, "and again")
    answered.append(event.get_plaintext().strip())
    report(f"answered {len(answered)}", answered)


nonebot.run()
