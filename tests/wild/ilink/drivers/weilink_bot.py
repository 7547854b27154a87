"""Drives weilink against an iLink sandbox. Its hosts are constants, so requests to them are readdressed."""

import hashlib
import json
import os
import sys
import urllib.parse
import urllib.request
from pathlib import Path

from weilink import WeiLink
from weilink._protocol import QuotaExhaustedError

BASE = urllib.parse.urlsplit(os.environ["BASE"])
FILES = Path(os.environ["FILES"])
honest = urllib.request.urlopen


def readdressed(request, *args, **more):
    target = urllib.parse.urlsplit(request.full_url)
    # It overlooks the complete address of pictures, and asks the CDN by the parameter alone.
    if target.hostname in ("ilinkai.weixin.qq.com", "novac2c.cdn.weixin.qq.com"):
        request.full_url = target._replace(scheme=BASE.scheme, netloc=BASE.netloc).geturl()
    elif target.hostname != "127.0.0.1":
        raise RuntimeError(f"would have left the machine: {target.hostname}")
    return honest(request, *args, **more)


urllib.request.urlopen = readdressed


def report(name, value=True):
    sys.stdout.write(f"\nREPORT {json.dumps({'name': name, 'value': value})}\n")
    sys.stdout.flush()


def main():
    bot = WeiLink(Path(os.environ["STATE"]) / "token.json")
    info = bot.login()
    report("login", {"bot": info.bot_id, "user": info.user_id, "base": info.base_url})
    texts, ids, saved = [], [], []
    while "go on" not in texts:
        for message in bot.recv():
            ids.append(message.message_id)
            if message.text:
                texts.append(message.text)
            if message.msg_type.name != "TEXT":
                saved.append(hashlib.sha256(bot.download(message)).hexdigest())
    report("received", {"texts": texts, "ids": ids, "saved": saved})
    to = info.user_id
    bot.send_typing(to)
    report("typing 1")
    bot.stop_typing(to)
    report("typing 2")
    report("text", bool(bot.send(to, "hello from weilink")))
    report("picture", bool(bot.send(to, "a caption", image=(FILES / "picture.png").read_bytes())))
    report("file", bool(bot.send(to, file=(FILES / "说明 文件.txt").read_bytes(), file_name="说明 文件.txt")))
    report("video", bool(bot.send(to, video=(FILES / "clip.mp4").read_bytes())))
    placed = bot.upload(to, (FILES / "picture.png").read_bytes(), "image")
    report("twice", [bool(bot.send(to, image=placed)) for _ in range(2)])
    refused = 0
    for _ in range(8):
        try:
            refused += not bot.send(to, "filler")
        except QuotaExhaustedError:
            refused += 1
    report("refusals", refused)
    report("ready")


try:
    main()
except BaseException as error:
    report("failed", repr(error))
    raise
