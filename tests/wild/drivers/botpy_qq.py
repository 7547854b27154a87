"""Drives qq-botpy against the QQ door of a sandbox. Its hosts are constants, so its requests are readdressed."""

import asyncio
import json
import os
import sys

import aiohttp
import botpy
from botpy.http import Route
from yarl import URL

BASE = URL(os.environ["BASE"])
USER = os.environ["USER_OPENID"]
GROUP = os.environ["GROUP_OPENID"]

Route.SCHEME = BASE.scheme
Route.DOMAIN = f"{BASE.host}:{BASE.port}"
original = aiohttp.ClientSession._request


async def readdressed(self, method, url, **more):
    target = URL(url)
    if target.host == "bots.qq.com":
        target = target.with_scheme(BASE.scheme).with_host(BASE.host).with_port(BASE.port)
    if target.host != "127.0.0.1":
        raise RuntimeError(f"would have left the machine: {target}")
    return await original(self, method, target, **more)


aiohttp.ClientSession._request = readdressed


def report(name, value=True):
    sys.stdout.write(f"REPORT {json.dumps({'name': name, 'value': value})}\n")
    sys.stdout.flush()


class Bot(botpy.Client):
    async def on_ready(self):
        report("me", self.robot.name)
        asyncio.get_running_loop().create_task(self.everything())

    async def everything(self):
        try:
            text = await self.api.post_c2c_message(openid=USER, msg_type=0, content="hello from botpy")
            report("text", text["id"])
            again = await self.api.post_c2c_message(openid=USER, msg_type=0, content="hello again, same msg_seq")
            report("again", again["id"])
            picture = f"{os.environ['FILES']}/picture.png"
            placed = await self.api.post_group_file(group_openid=GROUP, file_type=1, url=picture, srv_send_msg=False)
            twice = []
            for number in (1, 2):
                sent = await self.api.post_group_message(
                    group_openid=GROUP, msg_type=7, media=placed, content=" ", msg_seq=number
                )
                twice.append(sent["id"])
            report("twice", twice)
            clip = f"{os.environ['FILES']}/clip.mp4"
            video = await self.api.post_c2c_file(openid=USER, file_type=2, url=clip)
            sent = await self.api.post_c2c_message(openid=USER, msg_type=7, media=video)
            report("video", sent["id"])
            # botpy has no call of its own for this; its route and session carry it.
            route = Route("DELETE", "/v2/users/{openid}/messages/{id}", openid=USER, id=text["id"])
            await self.api._http.request(route)
            report("recalled", text["id"])
            report("ready")
        except BaseException as error:
            report("failed", repr(error))
            raise

    async def on_c2c_message_create(self, message):
        sent = await message.reply(content=f"you said {message.content}")
        report("answered user", sent["id"])

    async def on_group_at_message_create(self, message):
        first = await message.reply(content=f"group said {message.content.strip()}")
        second = await self.api.post_group_message(
            group_openid=message.group_openid, msg_type=0, msg_id=message.id, msg_seq=2, content="second answer"
        )
        report("answered group", [first["id"], second["id"]])


intents = botpy.Intents(public_messages=True)
Bot(intents=intents, bot_log=None).run(appid=os.environ["APP_ID"], secret=os.environ["SECRET"])
