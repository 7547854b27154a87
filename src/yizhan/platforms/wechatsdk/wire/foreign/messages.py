"""Chapters 发送消息 and 处理消息: messages from files by path, places, pats, calls and unread marks."""

from __future__ import annotations

from typing import Annotated

from yizhan.model.secret import Secret
from yizhan.platforms.wechatsdk.wire.envelope import AsyncRequest, Digits, Done, Request, interface
from yizhan.platforms.wechatsdk.wire.messages import Marked, OneChat, Sent


class SendFile(AsyncRequest, kw_only=True):
    """Image, file, video, voice: a path on the machine of the WeChat client."""

    userName: str
    filePath: str


class SendLocation(AsyncRequest, kw_only=True):
    """All of it is marked required."""

    userName: str
    longitude: str | float
    latitude: str | float
    label: str
    poiName: str
    poiId: str
    isFromPoiList: bool


class Pat(AsyncRequest, kw_only=True, omit_defaults=True):
    userName: str
    """The patted person."""
    chatroomUserName: str = ""


class StartCall(Request, kw_only=True):
    userName: str
    inviteType: Digits
    """0 video, 1 voice."""


class EndCall(Request, kw_only=True, omit_defaults=True):
    userName: str = ""


class ForwardVoiceLegacy(AsyncRequest, kw_only=True):
    """The older form of the same; its example is still on the English page."""

    userName: str
    fileSize: Digits
    duration: Digits
    """Milliseconds, at most 60000."""
    fileid: str
    aeskey: Annotated[str, Secret()]


FORWARD_VOICE_LEGACY = interface(
    6, "forward_voice_legacy", ForwardVoiceLegacy, Sent, "发送消息/转发语音 (EN)", acts=True, target="userName"
)

SEND_IMAGE = interface(
    10010, "send_image", SendFile, Sent, "发送消息/发送图片", acts=True, target="userName", timeout=120.0
)

SEND_FILE = interface(
    10012, "send_file", SendFile, Sent, "发送消息/发送文件", acts=True, target="userName", timeout=600.0
)

SEND_VIDEO = interface(
    10093, "send_video", SendFile, Sent, "发送消息/发送视频", acts=True, target="userName", timeout=600.0
)

SEND_VOICE = interface(
    10014, "send_voice", SendFile, Sent, "发送消息/发送语音", acts=True, target="userName", timeout=120.0
)

SEND_LOCATION = interface(10022, "send_location", SendLocation, Sent, "发送消息/发送位置", acts=True, target="userName")

PAT = interface(57, "pat", Pat, Done, "发送消息/拍一拍", acts=True, target="userName")

START_CALL = interface(10103, "start_call", StartCall, Done, "发送消息/音视频聊天(发起)", acts=True, target="userName")

END_CALL = interface(10104, "end_call", EndCall, Done, "发送消息/音视频聊天(挂断)")

MARK_UNREAD = interface(10102, "mark_unread", OneChat, Marked, "处理消息/消息设置为未读", target="userName")
