"""Start of a session, and the two calls by which everything arrives.

Sources: iKuiki/wwdk doc/protocol/{sync,receive}.md and message/messageType.md; the browser bundle of
2022-03-01.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from yizhan.platforms.webwechat.wire.base import JSON_ANSWER, PREFIX, SYNC_CHECK_ANSWER, WEB_JSON, Base, Loose
from yizhan.platforms.webwechat.wire.contacts import Contact, Member
from yizhan.wire import NO_BODY, Endpoint, Query

SYNC_DOC = "iKuiki/wwdk: doc/protocol/sync.md"

BUILT_IN = frozenset(
    {"filehelper", "fmessage", "weixin", "newsapp", "medianote", "weixinreminder", "floatbottle", "qqmail", "tmessage"}
)
"""Accounts without `@`, the same in every login."""

READ, ENTERED, INITED, SYNC_CHATS, LEFT = 1, 2, 3, 4, 5
"""Codes of webwxstatusnotify."""
NEW_MESSAGE, CONTACT_CHANGED = "2", "4"
"""Selectors of synccheck; any other that is not 0 means: sync."""

TEXT, IMAGE, VOICE, FRIEND_REQUEST, CARD, VIDEO, EMOTICON, LOCATION = 1, 3, 34, 37, 42, 43, 47, 48
APP, STATUS_NOTIFY, SHORT_VIDEO, NOTICE, SYSTEM, RECALL = 49, 51, 62, 9999, 10000, 10002
"""MsgType."""
APP_LINK, APP_FILE, APP_MINI_PROGRAM, APP_CHANNEL_VIDEO, APP_QUOTE = 5, 6, 33, 51, 57
"""AppMsgType."""


class KeyValue(Struct):
    Key: int
    Val: int


class Keys(Struct):
    """A SyncKey: where in the stream a client stands. Written `Key_Val|Key_Val` in a query."""

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
    BaseRequest: Base | None = None
    r: Annotated[str | int, Query()] = 0
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query()] = UNSET


class Inited(Struct, kw_only=True):
    """State of the account: some recent contacts, where the stream stands, and oneself."""

    Count: int = 0
    ContactList: list[Contact] = []
    SyncKey: Keys = msgspec.field(default_factory=Keys)
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
    """Say that a chat was read (1), entered (2) or left (5), or that the page is ready (3, to oneself)."""

    BaseRequest: Base | None = None
    Code: Loose = INITED
    FromUserName: str = ""
    ToUserName: str = ""
    ClientMsgId: Loose = 0
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query()] = UNSET


class Notified(Struct):
    MsgID: str = ""


class SyncCheck(Struct, kw_only=True):
    """Long poll: returns when there is something to sync, or after about 25 seconds."""

    r: Annotated[str | int, Query()] = 0
    skey: Annotated[str, Query()] = ""
    sid: Annotated[str, Query()] = ""
    uin: Annotated[str | int, Query()] = ""
    deviceid: Annotated[str, Query()] = ""
    synckey: Annotated[str, Query()] = ""
    now: Annotated[str | int, Query("_")] = 0


class SyncChecked(Struct):
    retcode: str = "0"
    selector: str = "0"


class Sync(Struct, kw_only=True):
    BaseRequest: Base | None = None
    SyncKey: Keys = msgspec.field(default_factory=Keys)
    rr: Loose = 0
    sid: Annotated[str, Query()] = ""
    skey: Annotated[str, Query()] = ""
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query()] = UNSET


class Recommended(Struct, kw_only=True):
    """The person of a card or a friend request; `UserName` and `Ticket` are what webwxverifyuser wants."""

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


class Added(Struct, kw_only=True):
    """A message as it arrives. Which members mean something depends on MsgType and AppMsgType."""

    MsgId: str = ""
    FromUserName: str = ""
    ToUserName: str = ""
    MsgType: int = TEXT
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
    RecommendInfo: Recommended = msgspec.field(default_factory=Recommended)
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


class Changed(Struct, kw_only=True):
    """A contact in the shorter form of ModContactList."""

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


class Deleted(Struct):
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


class Synced(Struct, kw_only=True):
    """What happened. SyncKey and SyncCheckKey are equal here: some clients send one back, some the other."""

    AddMsgCount: int = 0
    AddMsgList: list[Added] = []
    ModContactCount: int = 0
    ModContactList: list[Changed] = []
    DelContactCount: int = 0
    DelContactList: list[Deleted] = []
    ModChatRoomMemberCount: int = 0
    ModChatRoomMemberList: list[Any] = []
    Profile: Any = msgspec.field(default_factory=Profile)
    ContinueFlag: int = 0
    SyncKey: Keys = msgspec.field(default_factory=Keys)
    SKey: str = ""
    SyncCheckKey: Keys = msgspec.field(default_factory=Keys)


INIT = Endpoint("webwxinit", "POST", f"{PREFIX}/webwxinit", Init, Inited, JSON_ANSWER, SYNC_DOC, codec=WEB_JSON)
STATUS_NOTIFY_CALL = Endpoint(
    "webwxstatusnotify",
    "POST",
    f"{PREFIX}/webwxstatusnotify",
    StatusNotify,
    Notified,
    JSON_ANSWER,
    "iKuiki/wwdk: doc/protocol/send.md",
    codec=WEB_JSON,
    target="ToUserName",
)
SYNC_CHECK = Endpoint(
    "synccheck",
    "GET",
    f"{PREFIX}/synccheck",
    SyncCheck,
    SyncChecked,
    SYNC_CHECK_ANSWER,
    SYNC_DOC,
    codec=NO_BODY,
    role="push",
    timeout=35,
)
SYNC = Endpoint("webwxsync", "POST", f"{PREFIX}/webwxsync", Sync, Synced, JSON_ANSWER, SYNC_DOC, codec=WEB_JSON)
