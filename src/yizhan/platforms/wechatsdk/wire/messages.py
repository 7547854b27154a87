"""Chapter 发送消息: messages, forwards without their source, recalls."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct, field

from yizhan.model.secret import Secret
from yizhan.platforms.wechatsdk.wire.envelope import AsyncRequest, Digits, Done, Request, interface


class Sent(Struct, omit_defaults=True):
    """Answer to every send; the id is beside `status`.

    Source: release note 2024-07-01 (`szMsgSvrID`); WeChatAPIs/WechatBotCMD, dchaofei/puppet-win, yzqzy.
    """

    msgSvrID: Digits = 0
    """Unsigned 64 bits as a number; weak JSON readers lose digits."""
    szMsgSvrID: str = ""

    @property
    def id(self) -> str:
        """The id as text; empty when there was none."""
        return self.szMsgSvrID or (str(self.msgSvrID) if self.msgSvrID not in (0, "0", "") else "")


class SendText(AsyncRequest, kw_only=True, omit_defaults=True):
    """Source: page "发送消息/发送文本". A mention needs the id in `atUserList` and the visible `@nick` in the text."""

    userName: str
    msgContent: str
    atUserList: list[str] = field(default_factory=list)
    insertToDatabase: bool = True


class SendSticker(AsyncRequest, kw_only=True, omit_defaults=True):
    """The page's parameter is `emojiPath`; an official client sends `filePath`, which is taken as well."""

    userName: str
    emojiPath: str = ""
    filePath: str = ""


class SendKnownSticker(AsyncRequest, kw_only=True, omit_defaults=True):
    userName: str
    emojiMd5: str
    emojiSize: Digits = 0


class SendCard(AsyncRequest, kw_only=True):
    userName: str
    beSharedUserName: str


class SendOfficialCard(AsyncRequest, kw_only=True):
    userName: str
    bizUserName: str


class SendChannelCard(AsyncRequest, kw_only=True):
    userName: str
    finderUserName: str


class SendEnterpriseCard(AsyncRequest, kw_only=True):
    userName: str
    openimUserName: str


class SendChannelVideo(AsyncRequest, kw_only=True):
    userName: str
    objectId: str
    objectNonceId: str


class SendLink(AsyncRequest, kw_only=True):
    userName: str
    content: str
    """`<appmsg>` of type 5, nothing around it."""


class SendXml(AsyncRequest, kw_only=True, omit_defaults=True):
    """The page's parameter is `content`; an official client sends `msgContent`, which is taken as well."""

    userName: str
    content: str = ""
    msgContent: str = ""
    msgType: int = 33
    """The kind of the appmsg, not the message type 49."""


class SendQuote(AsyncRequest, kw_only=True, omit_defaults=True):
    userName: str
    content: str
    msgSvrID: Digits
    sourceContent: str
    sourceUserName: str = ""
    """Required in groups."""
    atUserList: list[str] = field(default_factory=list)


class Revoke(AsyncRequest, kw_only=True):
    msgSvrID: Digits


class OneChat(Request, kw_only=True):
    userName: str


class Marked(Struct):
    cookie: str = ""


class ForwardImage(AsyncRequest, kw_only=True):
    """Source: page "发送消息/转发图片"."""

    userName: str
    rawtotalsize: Digits
    rawfilemd5: str
    fileid: str
    aeskey: Annotated[str, Secret()]
    filecrc: Digits
    rawthumbsize: Digits


class ForwardFile(AsyncRequest, kw_only=True, omit_defaults=True):
    """Source: page "发送消息/转发文件". It wants `rawfilekey`, not `filekey`, though the upload answers both."""

    userName: str
    fileName: str
    """The shown name; may differ from that of the uploaded file."""
    rawtotalsize: Digits
    rawfilemd5: str
    fileid: str
    rawfilekey: Annotated[str, Secret()]
    aeskey: Annotated[str, Secret()]
    filecrc: Digits
    fileType: int = 5
    """7 for files of 25 MB and above; must be that of the upload."""


class ForwardVideo(AsyncRequest, kw_only=True, omit_defaults=True):
    """Source: page "发送消息/转发视频"; its own example leaves the thumbnail's measures out."""

    userName: str
    rawtotalsize: Digits
    rawfilemd5: str
    fileid: str
    aeskey: Annotated[str, Secret()]
    filecrc: Digits
    encryptfilemd5: str
    rawthumbsize: Digits
    videoseconds: Digits
    thumbheight: Digits = ""
    thumbwidth: Digits = ""


class ForwardVoice(AsyncRequest, kw_only=True, omit_defaults=True):
    """Source: page "发送消息/转发语音"."""

    userName: str
    fileid: str
    aeskey: Annotated[str, Secret()]
    rawtotalsize: Digits
    voiceduration: Digits
    """Milliseconds."""


SEND_TEXT = interface(10009, "send_text", SendText, Sent, "发送消息/发送文本", acts=True, target="userName")

FORWARD_FILE = interface(10098, "forward_file", ForwardFile, Sent, "发送消息/转发文件", acts=True, target="userName")

FORWARD_IMAGE = interface(10097, "forward_image", ForwardImage, Sent, "发送消息/转发图片", acts=True, target="userName")

FORWARD_VIDEO = interface(10096, "forward_video", ForwardVideo, Sent, "发送消息/转发视频", acts=True, target="userName")

FORWARD_VOICE = interface(10099, "forward_voice", ForwardVoice, Sent, "发送消息/转发语音", acts=True, target="userName")

SEND_STICKER = interface(
    10011, "send_sticker", SendSticker, Sent, "发送消息/发送表情", acts=True, target="userName", timeout=120.0
)

SEND_KNOWN_STICKER = interface(
    11, "send_known_sticker", SendKnownSticker, Sent, "发送消息/发送表情（无源）", acts=True, target="userName"
)

SEND_CARD = interface(10037, "send_card", SendCard, Sent, "发送消息/发送名片", acts=True, target="userName")

SEND_OFFICIAL_CARD = interface(
    10107, "send_official_card", SendOfficialCard, Sent, "发送消息/发送公众号名片", acts=True, target="userName"
)

SEND_CHANNEL_CARD = interface(
    10108, "send_channel_card", SendChannelCard, Sent, "发送消息/发送视频号名片", acts=True, target="userName"
)

SEND_ENTERPRISE_CARD = interface(
    10110, "send_enterprise_card", SendEnterpriseCard, Sent, "发送消息/发送企业用户名片", acts=True, target="userName"
)

SEND_CHANNEL_VIDEO = interface(
    10109, "send_channel_video", SendChannelVideo, Sent, "发送消息/发送视频号消息", acts=True, target="userName"
)

SEND_LINK = interface(10092, "send_link", SendLink, Sent, "发送消息/发送链接", acts=True, target="userName")

SEND_XML = interface(10053, "send_xml", SendXml, Sent, "发送消息/发送XML", acts=True, target="userName")

SEND_QUOTE = interface(10056, "send_quote", SendQuote, Sent, "发送消息/发送引用消息", acts=True, target="userName")

REVOKE = interface(58, "revoke", Revoke, Done, "发送消息/撤回消息", acts=True, target="msgSvrID")

MARK_READ = interface(10101, "mark_read", OneChat, Marked, "处理消息/消息设置为已读", target="userName")
