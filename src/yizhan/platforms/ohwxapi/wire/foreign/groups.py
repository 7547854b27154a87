"""Groups. Source: the vendor's contents; 179 as a client uses it, 551 named by one, the rest by native number."""

from __future__ import annotations

from msgspec import Struct, field

from yizhan.platforms.ohwxapi.wire.envelope import CLIENT_G, CLIENT_T, NATIVE, Nothing, command
from yizhan.platforms.ohwxapi.wire.foreign.people import Member

BY_GROUP = "CgiRequest.ChatroomID"


class Members(Struct):
    """120 add, 610 invite, 179 remove: members of a group."""

    Wxid: list[str] | str
    ChatroomID: str


class CreateGroup(Struct, omit_defaults=True):
    """119: a new group of the account and at least two others."""

    Wxid: list[str] | str
    NickName: str = ""


class CreatedGroup(Struct):
    ChatroomID: str


class OfGroup(Struct, omit_defaults=True):
    """223 details, 551 members: of a group, or of one member."""

    ChatroomID: str
    Wxid: str | list[str] = ""


class GroupDetails(Struct):
    ChatroomID: str
    NickName: str = ""
    ChatRoomOwner: str = ""
    Announcement: str = ""
    ChatRoomMember: list[Member] = field(default_factory=list)
    ChatroomVersion: int = 0


class TransferGroup(Struct):
    """990: make another member the owner."""

    ChatroomID: str
    Wxid: str


class SetAnnouncement(Struct):
    """993."""

    ChatroomID: str
    Announcement: str


class GetQrCode(Struct):
    """168: the QR code of the account itself or of a group."""

    UserName: str


class QrCode(Struct):
    QrCodeBase64: str
    """A PNG."""


class ResolveUrl(Struct, omit_defaults=True):
    """233: the full address behind a link. Opening a group's QR code joins it."""

    Url: str
    FromUserName: str = ""
    Sence: int = 0
    """Spelled so."""


class ResolvedUrl(Struct):
    FullUrl: str


CREATE_GROUP = command("CreateChatroom", 119, CreateGroup, CreatedGroup, NATIVE, acts=True, target="")
ADD_MEMBERS = command("AddChatroomMember", 120, Members, Nothing, NATIVE, acts=True, target=BY_GROUP)
INVITE_MEMBERS = command("InviteChatroomMember", 610, Members, Nothing, NATIVE, acts=True, target=BY_GROUP)
REMOVE_MEMBERS = command("DelChatroomMember", 179, Members, Nothing, CLIENT_G, acts=True, target=BY_GROUP)
GROUP_DETAILS = command("GetChatroomInfoDetail", 223, OfGroup, GroupDetails, NATIVE, target=BY_GROUP)
GROUP_MEMBERS = command(
    "GetChatroomMemberDetail", 551, OfGroup, list[Member], f"{CLIENT_T} (number only)", target=BY_GROUP
)
TRANSFER_GROUP = command("TransferChatroomOwner", 990, TransferGroup, Nothing, NATIVE, acts=True, target=BY_GROUP)
SET_ANNOUNCEMENT = command("SetChatroomAnnouncement", 993, SetAnnouncement, Nothing, NATIVE, acts=True, target=BY_GROUP)
GET_QR_CODE = command("GetQrCode", 168, GetQrCode, QrCode, NATIVE, target="CgiRequest.UserName")
RESOLVE_URL = command("GetA8Key", 233, ResolveUrl, ResolvedUrl, NATIVE, acts=True, target="CgiRequest.FromUserName")
