"""Drives weixin-ilink against an iLink sandbox. Its base is a parameter, and a guard keeps it on this machine."""

import hashlib
import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

import requests
from weixin_ilink.bot import WeixinBot, login

BASE = os.environ["BASE"]
FILES = Path(os.environ["FILES"])
honest = requests.Session.request


def guarded(self, method, url, **more):
    if urlsplit(url).hostname != "127.0.0.1":
        raise RuntimeError(f"would have left the machine: {url}")
    return honest(self, method, url, **more)


requests.Session.request = guarded


def report(name, value=True):
    sys.stdout.write(f"\nREPORT {json.dumps({'name': name, 'value': value})}\n")
    sys.stdout.flush()


def main():
    states = []
    info = login(base_url=BASE, on_qrcode=lambda url: report("code", url), on_status_change=states.append)
    report("login", {"bot": info["accountId"], "user": info["userId"], "base": info["baseUrl"]})
    report("states", states)
    bot = WeixinBot(credentials=info)
    texts, ids, saved = [], [], []
    for message in bot.messages():
        ids.append(message.message_id)
        if message.is_text:
            texts.append(message.text)
        else:
            saved.append(hashlib.sha256(message.download()).hexdigest())
        if "go on" in texts:
            break
    report("received", {"texts": texts, "ids": ids, "saved": saved})
    to = info["userId"]
    bot.send_typing(to)
    report("typing 1")
    bot.send_text(to, "hello from weixin-ilink")
    report("text")
    bot.send_image(to, FILES / "picture.png", caption="a caption")
    report("picture")
    bot.send_file(to, FILES / "说明 文件.txt")
    report("file")
    bot.send_video(to, FILES / "clip.mp4")
    report("video")
    report("ready")


try:
    main()
except BaseException as error:
    report("failed", repr(error))
    raise
