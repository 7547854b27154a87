"""Contacts and rooms changed, and what the page reports.

Sources: iKuiki/wwdk doc/protocol/{contact,chatroom}.md; the browser bundle of 2022-03-01;
nodeWechat/wechat4u src/core.js.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from yizhan.platforms.webwechat.wire.base import (
    JSON_ANSWER,
    PREFIX,
    RAW_ANSWER,
    ROOM_ANSWER,
    WEB_JSON,
    Base,
    Loose,
    MaybeText,
    Ok,
)
from yizhan.platforms.webwechat.wire.contacts import CONTACT_DOC, Member
from yizhan.wire import NO_BODY, Endpoint, Query, RawAnswer

ROOM_DOC = "iKuiki/wwdk: doc/protocol/chatroom.md"
BUNDLE = "wechaty/webwx-app-tracker: formatted/webwxApp.js"
REMARK, PIN = 2, 3
"""CmdId of webwxoplog."""
ASK, ACCEPT = 2, 3
"""Opcode of webwxverifyuser."""


class OpLog(Struct, kw_only=True):
    """Change a contact. A pin without RemarkName wipes the remark."""

    BaseRequest: Base | None = None
    CmdId: Loose = REMARK
    OP: Loose | UnsetType = UNSET
    UserName: str = ""
    RemarkName: str = ""
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query()] = UNSET


class Verified(Struct, kw_only=True):
    Value: str = ""
    VerifyUserTicket: str = ""


class VerifyUser(Struct, kw_only=True):
    """Ask somebody to be a contact (2), or accept one who asked (3)."""

    BaseRequest: Base | None = None
    Opcode: Loose = ASK
    VerifyUserListSize: Loose = 1
    VerifyUserList: list[Verified] = []
    VerifyContent: str = ""
    SceneListCount: Loose = 1
    SceneList: list[Any] = msgspec.field(default_factory=lambda: [33])
    skey: str = ""
    r: Annotated[str | int | UnsetType, Query()] = UNSET
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query()] = UNSET


class NamedMember(Struct):
    UserName: str = ""


class CreateRoom(Struct, kw_only=True):
    BaseRequest: Base | None = None
    MemberCount: Loose = 0
    MemberList: list[NamedMember] = []
    Topic: str = ""
    pass_ticket: Annotated[str | UnsetType, Query()] = UNSET
    r: Annotated[str | int | UnsetType, Query()] = UNSET


class CreatedRoom(Struct, kw_only=True):
    Topic: str = ""
    PYInitial: str = ""
    QuanPin: str = ""
    MemberCount: int = 0
    MemberList: list[Member] = []
    ChatRoomName: str = ""
    BlackList: str = ""


class UpdateRoom(Struct, kw_only=True):
    """`fun`: addmember, delmember, invitemember (above 40 members) or modtopic; names joined by commas."""

    BaseRequest: Base | None = None
    ChatRoomName: str = ""
    AddMemberList: MaybeText = UNSET
    DelMemberList: MaybeText = UNSET
    InviteMemberList: MaybeText = UNSET
    NewTopic: MaybeText = UNSET
    fun: Annotated[str, Query()] = ""
    pass_ticket: Annotated[str | UnsetType, Query()] = UNSET


class UpdatedRoom(Struct, kw_only=True):
    MemberCount: int = 0
    MemberList: list[Member] = []


class SearchContact(Struct, kw_only=True):
    BaseRequest: Base | None = None
    KeyWord: str = ""


class Found(Struct):
    EncryUserName: str = ""


class FoundContacts(Struct, kw_only=True):
    Count: int = 0
    List: list[Found] = []


class StatReport(Struct, kw_only=True):
    BaseRequest: Any = UNSET
    Count: Loose = 0
    List: Any = UNSET
    fun: Annotated[str, Query()] = "new"
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query()] = UNSET


class CheckUrl(Struct, kw_only=True):
    """Where links in messages lead: answers with a redirect to `requrl`."""

    requrl: Annotated[str, Query()] = ""
    skey: Annotated[str, Query()] = ""
    deviceid: Annotated[str, Query()] = ""
    pass_ticket: Annotated[str, Query()] = ""
    opcode: Annotated[str | int, Query()] = 2
    scene: Annotated[str | int, Query()] = 1
    username: Annotated[str, Query()] = ""


OPLOG = Endpoint(
    "webwxoplog",
    "POST",
    f"{PREFIX}/webwxoplog",
    OpLog,
    Ok,
    JSON_ANSWER,
    CONTACT_DOC,
    codec=WEB_JSON,
    target="UserName",
)
VERIFY_USER = Endpoint(
    "webwxverifyuser", "POST", f"{PREFIX}/webwxverifyuser", VerifyUser, Ok, JSON_ANSWER, CONTACT_DOC, codec=WEB_JSON
)
CREATE_ROOM = Endpoint(
    "webwxcreatechatroom",
    "POST",
    f"{PREFIX}/webwxcreatechatroom",
    CreateRoom,
    CreatedRoom,
    ROOM_ANSWER,
    ROOM_DOC,
    codec=WEB_JSON,
    acts=True,
)
UPDATE_ROOM = Endpoint(
    "webwxupdatechatroom",
    "POST",
    f"{PREFIX}/webwxupdatechatroom",
    UpdateRoom,
    UpdatedRoom,
    ROOM_ANSWER,
    ROOM_DOC,
    codec=WEB_JSON,
    acts=True,
    target="ChatRoomName",
)
SEARCH_CONTACT = Endpoint(
    "webwxsearchcontact",
    "POST",
    f"{PREFIX}/webwxsearchcontact",
    SearchContact,
    FoundContacts,
    JSON_ANSWER,
    BUNDLE,
    codec=WEB_JSON,
)
STAT_REPORT = Endpoint(
    "webwxstatreport", "POST", f"{PREFIX}/webwxstatreport", StatReport, Ok, JSON_ANSWER, BUNDLE, codec=WEB_JSON
)
CHECK_URL = Endpoint(
    "webwxcheckurl", "GET", f"{PREFIX}/webwxcheckurl", CheckUrl, RawAnswer, RAW_ANSWER, BUNDLE, codec=NO_BODY
)
