"""Sending and withdrawing. Sources: page "send APP message" (222); the other pages could not be read, their shapes are
those of living clients or, where said so, proposals."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct, UnsetType

from yizhan.platforms.ohwxapi.wire.envelope import (
    CLIENT_A,
    CLIENT_G,
    CLIENT_T,
    NATIVE,
    PAGE_222,
    UPLOADS,
    Nothing,
    command,
)


class Sent(Struct):
    """Answer to every send. Source: page "send APP message", for 222; the others are taken to answer alike."""

    NewMsgId: int = 0
    """64 bits, beyond 2**53, printed as a number."""
    ClientMsgId: str = ""
    """16 hex digits, `_`, the time in seconds."""
    NewMsgIdExt: str = ""
    """`NewMsgId` as text, as in pushes; readers in languages without 64-bit numbers take this one."""


class SendAppMsg(Struct, kw_only=True, omit_defaults=True):
    """222: link, channel video, mini program, file, quote. Source: page "send APP message"."""

    ToUserName: str
    AppMsgXml: str = ""
    """Begins at the `appmsg` node; siblings may follow it."""
    MsgType: int
    """49 for every card; the first generation also used 57 for quotes, and 42 is a contact card."""
    Content: str = ""
    """The first generation's name of `AppMsgXml`."""


class SendMsg(Struct, kw_only=True, omit_defaults=True):
    """522: text (`MsgType` 1), or a contact card (42) whose XML is in `Content`."""

    ToUserName: str
    Content: str
    MsgType: int = 0
    """1 text, 42 contact card; left out, it is text."""
    AtUsers: str | list[str] | UnsetType = UNSET
    """Mentioned members' wxids, joined by commas; `""` for none, `notify@all` for everyone. A list is read too.

    The visible `@nick` must be in `Content`; the gateway does not add it.
    """


class SendImage(Struct, kw_only=True, omit_defaults=True):
    """110: a picture from one source; of several the first of URL, Base64, path counts. `ImageXml`: sent on unread."""

    ToUserName: str
    ImageUrl: str = ""
    ImageBase64: Any = ""
    ImagePath: str = ""
    ImageXml: str = ""
    """The answer of a picture's upload, or the XML of a received one."""


class SendVoice(Struct, kw_only=True, omit_defaults=True):
    """127: SILK from exactly one source."""

    ToUserName: str
    VoicePath: str = ""
    VoiceBase64: Any = ""
    VoiceUrl: str = ""
    VoiceTime: int
    """Seconds."""


class SendEmoji(Struct, kw_only=True):
    """175: a sticker that WeChat knows, by its digest and size."""

    ToUserName: str
    EmojiMd5: str
    EmojiLen: int


class SendVideo(Struct, kw_only=True, omit_defaults=True):
    """149: a CDN short video. The page exists, its contents are not known: a proposal, after 110 and 127."""

    ToUserName: str
    VideoXml: str = ""
    """`<msg><videomsg …/></msg>`, as the upload answered or as received."""
    VideoPath: str = ""
    VideoUrl: str = ""
    VideoBase64: Any = ""
    ThumbPath: str = ""
    ThumbUrl: str = ""
    ThumbBase64: Any = ""
    VideoTime: int = 0
    """Seconds."""


class Pat(Struct, kw_only=True):
    """849: pat a member of a group."""

    ChatUserName: str
    PattedUsername: str
    """Spelled so, with a small n; the event has `PattedUserName`."""
    Scene: int = 0


class Revoke(Struct, kw_only=True):
    """594: withdraw a message."""

    ToUserName: str
    ClientMsgId: str = ""
    NewMsgId: int | str = 0
    """Text is read too, for callers without 64-bit numbers."""
    CreateTime: int = 0


SEND_APP_MSG = command("SendAppMsg", 222, SendAppMsg, Sent, PAGE_222, acts=True, max_bytes=4 << 20)
SEND_MSG = command("SendMsg", 522, SendMsg, Sent, f"{CLIENT_A}; {CLIENT_G}; {CLIENT_T}", acts=True)
SEND_IMAGE = command(
    "SendImage", 110, SendImage, Sent, f"{CLIENT_T}; {CLIENT_G}", acts=True, timeout=120, max_bytes=UPLOADS
)
SEND_VOICE = command(
    "SendVoice", 127, SendVoice, Sent, f"{CLIENT_T}; {CLIENT_G}", acts=True, timeout=120, max_bytes=UPLOADS
)
SEND_EMOJI = command("SendEmoji", 175, SendEmoji, Sent, CLIENT_G, acts=True)
SEND_VIDEO = command("SendVideo", 149, SendVideo, Sent, NATIVE, acts=True, timeout=120, max_bytes=UPLOADS)
PAT = command("Pat", 849, Pat, Nothing, CLIENT_G, acts=True, target="CgiRequest.ChatUserName")
REVOKE = command("Revoke", 594, Revoke, Nothing, NATIVE, acts=True)
