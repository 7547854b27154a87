"""Drives itchat-uos against the web WeChat door of a sandbox: login, sends of every kind, one inbound message."""

import json
import os
import sys
import threading
from pathlib import Path

import itchat
from itchat import config

config.BASE_URL = os.environ["BASE"]
MEDIA = Path(os.environ["MEDIA"])


def report(name, value=True):
    sys.stdout.write(f"REPORT {json.dumps({'name': name, 'value': value})}\n")
    sys.stdout.flush()


def checked(answer):
    if answer["BaseResponse"]["Ret"] != 0:
        report("failed", repr(dict(answer)))
        raise SystemExit(1)
    return answer


def shown(uuid, status, qrcode):
    report(f"login {status}", uuid)


@itchat.msg_register(itchat.content.TEXT)
def answer(message):
    report("heard", message["Text"])
    checked(itchat.send(f"you said {message['Text']}", message["FromUserName"]))
    report("answered")


def everything():
    try:
        alice = itchat.search_friends(nickName="Alice")[0]["UserName"]
        sent = checked(itchat.send("hello from itchat", alice))
        report("text", sent["MsgID"])
        report("image", checked(itchat.send_image(str(MEDIA / "picture.png"), toUserName=alice))["MsgID"])
        report("video", checked(itchat.send_video(str(MEDIA / "clip.mp4"), toUserName=alice))["MsgID"])
        report("file", checked(itchat.send_file(str(MEDIA / "report.pdf"), toUserName=alice))["MsgID"])
        report("big", checked(itchat.send_file(str(MEDIA / "big.bin"), toUserName="filehelper"))["MsgID"])
        placed = checked(itchat.upload_file(str(MEDIA / "picture.png"), isPicture=True))["MediaId"]
        bob = itchat.search_friends(nickName="Bob")[0]["UserName"]
        name = str(MEDIA / "picture.png")
        twice = [checked(itchat.send_image(name, toUserName=who, mediaId=placed))["MsgID"] for who in (alice, bob)]
        report("twice", twice)
        room = itchat.search_chatrooms(name="产品群")
        report("rooms", len(room))
        if room:
            checked(itchat.send("hello room", room[0]["UserName"]))
        checked(itchat.revoke(sent["MsgID"], alice))
        report("recalled", sent["MsgID"])
        report("ready")
    except BaseException as error:
        report("failed", repr(error))
        raise


itchat.auto_login(hotReload=False, enableCmdQR=False, picDir="qr.png", qrCallback=shown, loginCallback=lambda: None)
report("me", itchat.search_friends()["NickName"])
threading.Thread(target=everything, daemon=True).start()
itchat.run(debug=False)
