"""Contacts: address book, details, friends, labels. Source: the vendor's contents; 182 as clients use it."""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct, field

from yizhan.platforms.ohwxapi.wire.envelope import CLIENT_G, CLIENT_T, NATIVE, Nothing, command

BY_USER = "CgiRequest.UserName"


class Member(Struct):
    Wxid: str
    NickName: str = ""
    ChatroomMemberFlag: int = 1


class Contact(Struct):
    """A person or group, in answers to 182 and in events. Source: WeChatAgents_go: struct/message.go."""

    MsgType: int = 0
    UserName: str = ""
    NickName: str = ""
    Signature: str = ""
    SmallHeadImgUrl: str = ""
    BigHeadImgUrl: str = ""
    Province: str = ""
    City: str = ""
    Remark: str = ""
    Alias: str = ""
    Sex: int = 0
    """0 not told, 1 male, 2 female."""
    ContactType: int = 0
    VerifyFlag: int = 0
    """Not 0 for official accounts."""
    LabelLists: str = ""
    ChatRoomOwner: str = ""
    EncryptUsername: str = ""
    """`v3_…`, wanted when a friend is added."""
    ExtInfo: str = ""
    ExtInfoExt: str = ""
    ChatRoomMember: list[Member] | None = None
    """Filled for groups, null for people."""
    Ticket: str = ""
    ChatroomVersion: int = 0


class GetContact(Struct, omit_defaults=True):
    """182: details of people (a group's id works too), or of one group. The answer is an array, even for one."""

    Wxid: list[str] | str = ""
    ChatroomID: str = ""


class ContactBrief(Struct):
    UserName: str
    NickName: str = ""
    SmallHeadImgUrl: str = ""


class BatchBrief(Struct):
    """945: name and picture of several."""

    Wxid: list[str] | str


class AddressBook(Struct):
    """851. The sequence numbers are those of the previous answer; 0 begins anew."""

    CurrentWxcontactSeq: int = 0
    CurrentChatRoomContactSeq: int = 0


class AddressBookPage(Struct):
    ContactUsernameList: list[str] = field(default_factory=list)
    CurrentWxcontactSeq: int = 0
    CurrentChatRoomContactSeq: int = 0
    CountinueFlag: int = 0
    """Spelled so. Not 0: there is more."""


class SearchContact(Struct):
    """106: find an account by id, alias or telephone number."""

    UserName: str


class FoundContact(Struct):
    UserName: str
    """`v3_…`, for 137."""
    NickName: str = ""
    Ticket: str = ""
    """`v4_…`, for 137."""
    SmallHeadImgUrl: str = ""
    Sex: int = 0
    Signature: str = ""


class VerifyUser(Struct, kw_only=True):
    """137: ask to be a friend (`VerifyType` 2), or accept who asked (3)."""

    VerifyType: int
    V1Username: str
    V2Ticket: str = ""
    Content: str = ""
    Sence: int = 0
    """Spelled so: where the contact comes from."""


class OpType(IntEnum):
    """The native command takes such a number; these are proposals."""

    REMARK = 1
    DELETE = 2
    BLOCK = 3
    SAVE = 4
    PIN = 5
    MUTE = 6
    RENAME_GROUP = 7
    LEAVE_GROUP = 8
    INVITE_CONFIRM = 9
    ADMINISTRATOR = 10


class Operate(Struct, kw_only=True, omit_defaults=True):
    """681: everything that is noted about a contact or group. `Value` 1 switches on, 0 off."""

    OpType: int
    UserName: str
    Remark: str = ""
    NickName: str = ""
    Value: int = 1
    Wxid: list[str] | str = ""


class GetProfile(Struct):
    """302: the account's own contact object."""


class Label(Struct):
    LabelId: int
    LabelName: str


class Labels(Struct):
    LabelList: list[Label] = field(default_factory=list)


class AddLabel(Struct):
    """635."""

    LabelName: str


class DeleteLabel(Struct):
    """636."""

    LabelId: int


class RenameLabel(Struct):
    """637."""

    LabelId: int
    LabelName: str


class SetLabels(Struct):
    """638: the labels of people, as a comma-joined list of numbers."""

    Wxid: list[str] | str
    LabelIdList: str = ""


class ListLabels(Struct):
    """639."""


GET_CONTACT = command("GetContact", 182, GetContact, list[Contact], f"{CLIENT_G}; {CLIENT_T}", target="")
BATCH_BRIEF = command("BatchGetContactBriefInfo", 945, BatchBrief, list[ContactBrief], NATIVE, target="")
ADDRESS_BOOK = command("InitContact", 851, AddressBook, AddressBookPage, NATIVE, target="")
SEARCH_CONTACT = command("SearchContact", 106, SearchContact, FoundContact, NATIVE, target=BY_USER)
VERIFY_USER = command("VerifyUser", 137, VerifyUser, Nothing, NATIVE, acts=True, target="CgiRequest.V1Username")
OPERATE = command("OpLog", 681, Operate, Nothing, NATIVE, acts=True, target=BY_USER)
GET_PROFILE = command("GetProfile", 302, GetProfile, Contact, NATIVE, target="")
ADD_LABEL = command("AddContactLabel", 635, AddLabel, Labels, NATIVE, acts=True, target="")
DELETE_LABEL = command("DelContactLabel", 636, DeleteLabel, Nothing, NATIVE, acts=True, target="")
RENAME_LABEL = command("UpdateContactLabel", 637, RenameLabel, Nothing, NATIVE, acts=True, target="")
SET_LABELS = command("ModifyContactLabelList", 638, SetLabels, Nothing, NATIVE, acts=True, target="")
LIST_LABELS = command("GetContactLabelList", 639, ListLabels, Labels, NATIVE, target="")
