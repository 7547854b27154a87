"""The start of a session, and the two calls that deliver messages.

Sources: iKuiki/wwdk doc/protocol/{sync,receive}.md and message/messageType.md; the browser bundle of
2022-03-01.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from yizhan.platforms.webwechat.wire.base import Credentials, NumberOrText
from yizhan.platforms.webwechat.wire.contacts import Contact, Member
from yizhan.platforms.webwechat.wire.endpoints import get, post
from yizhan.platforms.webwechat.wire.envelopes import SYNC_CHECK_ENVELOPE
from yizhan.platforms.webwechat.wire.sending import SEND_DOC
from yizhan.wire import Query

SYNC_DOC = "iKuiki/wwdk: doc/protocol/sync.md"

BUILT_IN = frozenset(
    {"filehelper", "fmessage", "weixin", "newsapp", "medianote", "weixinreminder", "floatbottle", "qqmail", "tmessage"}
)
"""UserNames without `@`, the same in every login."""

NEW_MESSAGE, CONTACT_CHANGED = "2", "4"
"""Selectors of synccheck; any selector but 0 means: call webwxsync."""


class NotifyCode(IntEnum):
    """`Code` of webwxstatusnotify."""

    READ = 1
    ENTER_CHAT = 2
    INITED = 3
    SYNC_CHATS = 4
    LEAVE_CHAT = 5


class MessageType(IntEnum):
    """`MsgType`."""

    TEXT = 1
    IMAGE = 3
    VOICE = 34
    FRIEND_REQUEST = 37
    CARD = 42
    VIDEO = 43
    EMOTICON = 47
    LOCATION = 48
    APP = 49
    STATUS_NOTIFY = 51
    SHORT_VIDEO = 62
    NOTICE = 9999
    SYSTEM = 10000
    RECALL = 10002


class AppMessageType(IntEnum):
    """`AppMsgType`, the type of the card in a message of type APP."""

    LINK = 5
    FILE = 6
    MINI_PROGRAM = 33
    CHANNEL_VIDEO = 51
    QUOTE = 57


class KeyValue(Struct):
    Key: int
    Val: int


class SyncKeys(Struct):
    """A SyncKey: the client's position in the stream. In a query it is written `Key_Val|Key_Val`."""

    Count: int = 0
    List: list[KeyValue] = []

    def __str__(self) -> str:
        return "|".join(f"{pair.Key}_{pair.Val}" for pair in self.List)

    def value(self, key: int) -> int | None:
        return next((pair.Val for pair in self.List if pair.Key == key), None)


class Me(Struct, kw_only=True):
    Uin: int = 0
    UserName: str = ""
    NickName: str = ""
    HeadImgUrl: str = ""
    RemarkName: str = ""
    PYInitial: str = ""
    PYQuanPin: str = ""
    RemarkPYInitial: str = ""
    RemarkPYQuanPin: str = ""
    HideInputBarFlag: int = 0
    StarFriend: int = 0
    Sex: int = 0
    Signature: str = ""
    AppAccountFlag: int = 0
    VerifyFlag: int = 0
    ContactFlag: int = 0
    WebWxPluginSwitch: int = 0
    HeadImgFlag: int = 0
    SnsFlag: int = 0


class Init(Struct, kw_only=True):
    BaseRequest: Credentials | None = None
    r: Annotated[str | int, Query()] = 0
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET


class InitResponse(Struct, kw_only=True):
    """Some recent contacts, the position of the stream, and the own account."""

    Count: int = 0
    ContactList: list[Contact] = []
    SyncKey: SyncKeys = msgspec.field(default_factory=SyncKeys)
    User: Me = msgspec.field(default_factory=Me)
    ChatSet: str = ""
    SKey: str = ""
    ClientVersion: int = 0
    SystemTime: int = 0
    GrayScale: int = 1
    InviteStartCount: int = 40
    MPSubscribeMsgCount: int = 0
    MPSubscribeMsgList: list[Any] = []
    ClickReportInterval: int = 600000


class StatusNotify(Struct, kw_only=True):
    """Report a chat as read (1), entered (2) or left (5), or the page as ready (3, to the own UserName)."""

    BaseRequest: Credentials | None = None
    Code: NumberOrText = NotifyCode.INITED
    FromUserName: str = ""
    ToUserName: str = ""
    ClientMsgId: NumberOrText = 0
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET


class StatusNotifyResponse(Struct):
    MsgID: str = ""


class SyncCheck(Struct, kw_only=True):
    """Long poll: returns when something happened, or after about 25 seconds."""

    r: Annotated[str | int, Query()] = 0
    skey: Annotated[str, Query(secret=True)] = ""
    sid: Annotated[str, Query()] = ""
    uin: Annotated[str | int, Query()] = ""
    deviceid: Annotated[str, Query()] = ""
    synckey: Annotated[str, Query()] = ""
    now: Annotated[str | int, Query("_")] = 0


class SyncCheckResponse(Struct):
    retcode: str = "0"
    selector: str = "0"


class Sync(Struct, kw_only=True):
    BaseRequest: Credentials | None = None
    SyncKey: SyncKeys = msgspec.field(default_factory=SyncKeys)
    rr: NumberOrText = 0
    sid: Annotated[str, Query()] = ""
    skey: Annotated[str, Query(secret=True)] = ""
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET


class RecommendedPerson(Struct, kw_only=True):
    """The person in a card or friend request; webwxverifyuser takes `UserName` and `Ticket`."""

    UserName: str = ""
    NickName: str = ""
    QQNum: int = 0
    Province: str = ""
    City: str = ""
    Content: str = ""
    Signature: str = ""
    Alias: str = ""
    Scene: int = 0
    VerifyFlag: int = 0
    AttrStatus: int = 0
    Sex: int = 0
    Ticket: str = ""
    OpCode: int = 0


class AppInfo(Struct):
    AppID: str = ""
    Type: int = 0


class AddMsg(Struct, kw_only=True):
    """A received message. MsgType and AppMsgType decide which members have a meaning."""

    MsgId: str = ""
    FromUserName: str = ""
    ToUserName: str = ""
    MsgType: int = MessageType.TEXT
    Content: str = ""
    Status: int = 3
    ImgStatus: int = 1
    CreateTime: int = 0
    VoiceLength: int = 0
    """Milliseconds."""
    PlayLength: int = 0
    """Seconds."""
    FileName: str = ""
    FileSize: str = ""
    MediaId: str = ""
    Url: str = ""
    AppMsgType: int = 0
    StatusNotifyCode: int = 0
    StatusNotifyUserName: str = ""
    RecommendInfo: RecommendedPerson = msgspec.field(default_factory=RecommendedPerson)
    ForwardFlag: int = 0
    AppInfo: Any = msgspec.field(default_factory=AppInfo)
    HasProductId: int = 0
    Ticket: str = ""
    ImgHeight: int = 0
    ImgWidth: int = 0
    SubMsgType: int = 0
    NewMsgId: int = 0
    OriContent: str = ""
    EncryFileName: str = ""


class ModContact(Struct, kw_only=True):
    """A new or changed contact, in the short form of ModContactList."""

    UserName: str = ""
    NickName: str = ""
    Sex: int = 0
    HeadImgUpdateFlag: int = 1
    ContactType: int = 0
    Alias: str = ""
    ChatRoomOwner: str = ""
    HeadImgUrl: str = ""
    ContactFlag: int = 3
    MemberCount: int = 0
    MemberList: list[Member] = []
    HideInputBarFlag: int = 0
    Signature: str = ""
    VerifyFlag: int = 0
    RemarkName: str = ""
    Statues: int = 0
    AttrStatus: int = 0
    Province: str = ""
    City: str = ""
    SnsFlag: int = 0
    KeyWord: str = ""


class DelContact(Struct):
    UserName: str = ""
    ContactFlag: int = 0


class Buff(Struct):
    Buff: str = ""


class Profile(Struct, kw_only=True):
    BitFlag: int = 0
    UserName: Any = msgspec.field(default_factory=Buff)
    NickName: Any = msgspec.field(default_factory=Buff)
    BindUin: int = 0
    BindEmail: Any = msgspec.field(default_factory=Buff)
    BindMobile: Any = msgspec.field(default_factory=Buff)
    Status: int = 0
    Sex: int = 0
    PersonalCard: int = 0
    Alias: str = ""
    HeadImgUpdateFlag: int = 0
    HeadImgUrl: str = ""
    Signature: str = ""


class SyncResponse(Struct, kw_only=True):
    """News of a session. SyncKey and SyncCheckKey are equal: some clients send back one, some the other."""

    AddMsgCount: int = 0
    AddMsgList: list[AddMsg] = []
    ModContactCount: int = 0
    ModContactList: list[ModContact] = []
    DelContactCount: int = 0
    DelContactList: list[DelContact] = []
    ModChatRoomMemberCount: int = 0
    ModChatRoomMemberList: list[Any] = []
    Profile: Any = msgspec.field(default_factory=Profile)
    ContinueFlag: int = 0
    SyncKey: SyncKeys = msgspec.field(default_factory=SyncKeys)
    SKey: str = ""
    SyncCheckKey: SyncKeys = msgspec.field(default_factory=SyncKeys)


INIT = post("webwxinit", Init, InitResponse, SYNC_DOC)
STATUS_NOTIFY = post("webwxstatusnotify", StatusNotify, StatusNotifyResponse, SEND_DOC, target="ToUserName")
SYNC_CHECK = get("synccheck", SyncCheck, SyncCheckResponse, SYNC_DOC, SYNC_CHECK_ENVELOPE, role="push", timeout=35)
SYNC = post("webwxsync", Sync, SyncResponse, SYNC_DOC)
