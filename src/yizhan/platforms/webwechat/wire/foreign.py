"""Calls that other clients make and ours does not: contacts and rooms, icons, maps, the File Transfer page's upload.

The sandbox serves them; `Adapter.call` sends them for an account.

Sources: iKuiki/wwdk doc/protocol/{contact,chatroom}.md; the browser bundle of 2022-03-01; nodeWechat/wechat4u
src/core.js; leeskyler-top/MMFileTrans.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from yizhan.model.secret import Secret
from yizhan.platforms.webwechat.wire.base import BUNDLE, Credentials, EmptyResponse, NumberOrText, OptionalText
from yizhan.platforms.webwechat.wire.contacts import CONTACT_DOC, Member
from yizhan.platforms.webwechat.wire.endpoints import download, get, post, upload
from yizhan.platforms.webwechat.wire.envelopes import RAW_ENVELOPE, ROOM_ENVELOPE
from yizhan.platforms.webwechat.wire.login import LOGIN_DOC
from yizhan.platforms.webwechat.wire.media import RECEIVE_DOC
from yizhan.wire import Header, Path, Query, RawAnswer

ROOM_DOC = "iKuiki/wwdk: doc/protocol/chatroom.md"
REMARK, PIN = 2, 3
"""CmdId of webwxoplog."""
REQUEST, ACCEPT = 2, 3
"""Opcode of webwxverifyuser."""


class OpLog(Struct, kw_only=True):
    """Change a contact. Pinning without RemarkName erases the remark."""

    BaseRequest: Credentials | None = None
    CmdId: NumberOrText = REMARK
    OP: NumberOrText | UnsetType = UNSET
    UserName: str = ""
    RemarkName: str = ""
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET


class VerifyUserEntry(Struct, kw_only=True):
    Value: str = ""
    VerifyUserTicket: str = ""


class VerifyUser(Struct, kw_only=True):
    """Send a friend request (2), or accept one (3)."""

    BaseRequest: Credentials | None = None
    Opcode: NumberOrText = REQUEST
    VerifyUserListSize: NumberOrText = 1
    VerifyUserList: list[VerifyUserEntry] = []
    VerifyContent: str = ""
    SceneListCount: NumberOrText = 1
    SceneList: list[Any] = msgspec.field(default_factory=lambda: [33])
    skey: Annotated[str, Secret()] = ""
    r: Annotated[str | int | UnsetType, Query()] = UNSET
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET


class MemberName(Struct):
    UserName: str = ""


class CreateRoom(Struct, kw_only=True):
    BaseRequest: Credentials | None = None
    MemberCount: NumberOrText = 0
    MemberList: list[MemberName] = []
    Topic: str = ""
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET
    r: Annotated[str | int | UnsetType, Query()] = UNSET


class CreateRoomResponse(Struct, kw_only=True):
    Topic: str = ""
    PYInitial: str = ""
    QuanPin: str = ""
    MemberCount: int = 0
    MemberList: list[Member] = []
    ChatRoomName: str = ""
    BlackList: str = ""


class UpdateRoom(Struct, kw_only=True):
    """`fun`: addmember, delmember, invitemember (above 40 members) or modtopic; names joined by commas."""

    BaseRequest: Credentials | None = None
    ChatRoomName: str = ""
    AddMemberList: OptionalText = UNSET
    DelMemberList: OptionalText = UNSET
    InviteMemberList: OptionalText = UNSET
    NewTopic: OptionalText = UNSET
    fun: Annotated[str, Query()] = ""
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET


class UpdateRoomResponse(Struct, kw_only=True):
    MemberCount: int = 0
    MemberList: list[Member] = []


class SearchContact(Struct, kw_only=True):
    BaseRequest: Credentials | None = None
    KeyWord: str = ""


class FoundContact(Struct):
    EncryUserName: str = ""


class SearchResponse(Struct, kw_only=True):
    Count: int = 0
    List: list[FoundContact] = []


class StatReport(Struct, kw_only=True):
    BaseRequest: Any = UNSET
    Count: NumberOrText = 0
    List: Any = UNSET
    fun: Annotated[str, Query()] = "new"
    lang: Annotated[str | UnsetType, Query()] = UNSET
    pass_ticket: Annotated[str | UnsetType, Query(secret=True)] = UNSET


class CheckUrl(Struct, kw_only=True):
    """The target of links in messages: a redirect to `requrl`."""

    requrl: Annotated[str, Query()] = ""
    skey: Annotated[str, Query(secret=True)] = ""
    deviceid: Annotated[str, Query()] = ""
    pass_ticket: Annotated[str, Query(secret=True)] = ""
    opcode: Annotated[str | int, Query()] = 2
    scene: Annotated[str | int, Query()] = 1
    username: Annotated[str, Query()] = ""


class ParallelRequest(Struct, kw_only=True):
    BaseRequest: Credentials | None = None
    Signature: OptionalText = UNSET
    AESKey: OptionalText = UNSET
    FileMD5: OptionalText = UNSET
    TotalLen: int
    Chunks: int = 1
    Chunk: int = 0
    Name: Any = ""
    UploadID: OptionalText = UNSET


class UploadParallel(Struct, kw_only=True):
    """The upload of the File Transfer page, above 25 MB. The first response has the UploadID of the others."""

    UploadMediaParallelRequest: ParallelRequest
    webwx_data_ticket: Annotated[Any, Secret()] = ""
    pass_ticket: Annotated[Any, Secret()] = ""
    filename: Any
    f: Annotated[str, Query()] = "json"
    random: Annotated[str, Query()] = ""
    mmweb_appid: Annotated[str | UnsetType, Header("mmweb_appid")] = UNSET


class UploadParallelResponse(Struct):
    UploadID: str = ""
    MediaId: str = ""


class GetHead(Struct, kw_only=True):
    userName: Annotated[str, Query()] = ""
    skey: Annotated[str, Query(secret=True)] = ""
    type: Annotated[str | UnsetType, Query()] = UNSET
    chatroomid: Annotated[str | UnsetType, Query()] = UNSET
    seq: Annotated[str | int | UnsetType, Query()] = UNSET


class GetMap(Struct, kw_only=True):
    url: Annotated[str, Query()] = ""
    msgid: Annotated[str | int, Query()] = ""
    pictype: Annotated[str, Query()] = "location"


class Preview(Struct, kw_only=True):
    fun: Annotated[str, Query()] = "preview"
    mediaid: Annotated[str, Query()] = ""


class Uuid(Struct):
    uuid: Annotated[str, Path()]


OPLOG = post("webwxoplog", OpLog, EmptyResponse, CONTACT_DOC, target="UserName")
VERIFY_USER = post("webwxverifyuser", VerifyUser, EmptyResponse, CONTACT_DOC)
CREATE_ROOM = post("webwxcreatechatroom", CreateRoom, CreateRoomResponse, ROOM_DOC, ROOM_ENVELOPE, acts=True)
UPDATE_ROOM = post(
    "webwxupdatechatroom", UpdateRoom, UpdateRoomResponse, ROOM_DOC, ROOM_ENVELOPE, acts=True, target="ChatRoomName"
)
SEARCH_CONTACT = post("webwxsearchcontact", SearchContact, SearchResponse, BUNDLE)
STAT_REPORT = post("webwxstatreport", StatReport, EmptyResponse, BUNDLE)
CHECK_URL = get("webwxcheckurl", CheckUrl, RawAnswer, BUNDLE, RAW_ENVELOPE)
UPLOAD_PARALLEL = upload(
    "webwxuploadmediaparallel", UploadParallel, UploadParallelResponse, "leeskyler-top/MMFileTrans"
)
QRCODE = get("qrcode", Uuid, RawAnswer, LOGIN_DOC, RAW_ENVELOPE, "/qrcode/{uuid}", role="login")
PHONE_PAGE = get("l", Uuid, RawAnswer, LOGIN_DOC, RAW_ENVELOPE, "/l/{uuid}", role="login")
GET_ICON = download("webwxgeticon", GetHead, RECEIVE_DOC)
GET_HEAD_IMAGE = download("webwxgetheadimg", GetHead, RECEIVE_DOC)
GET_MAP = download("webwxgetpubliclinkimg", GetMap, RECEIVE_DOC)
PREVIEW = download("webwxpreview", Preview, BUNDLE, role="file")
