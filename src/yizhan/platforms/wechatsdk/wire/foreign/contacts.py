"""Chapters 通讯录 and 数据库: people, official accounts, and the SQL that replaces a list of friends."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from yizhan.platforms.wechatsdk.wire.envelope import Done, Request, interface
from yizhan.platforms.wechatsdk.wire.foreign.account import AnyAnswer


class Profile(Struct):
    """A person, group or official account as interfaces 21 and 10015 show it. Source: page "通讯录/批量获取资料"."""

    userName: str
    nickName: str = ""
    remark: str = ""
    alias: str = ""
    smallHeadImgUrl: str = ""
    bigHeadImgUrl: str = ""
    certFlag: int = 0
    errorCode: int = 0
    """Not 0: there is no such contact; skip the entry."""
    fullpy: str = ""
    simplepy: str = ""
    nation: str = ""
    province: str = ""
    city: str = ""
    sex: int = 0
    userFlag: int = 3
    reserved1: int = 0


class FullProfile(Profile):
    """Interface 10015 adds these. `ticketInfo` would appear only for people who deleted the account."""

    encryptUserName: str = ""
    labelIds: list[int] = []
    signature: str = ""


class Profiles(Struct):
    count: int = 0
    profiles: list[Profile] = []


class ProfilesAnswer(Struct):
    data: Profiles


class AddressBook(Struct):
    count: int = 0
    userNames: list[str] = []


class AddressBookAnswer(Struct):
    data: AddressBook


class BatchProfiles(Request, kw_only=True):
    userNames: list[str]
    """At most 100."""


class GetProfile(Request, kw_only=True, omit_defaults=True):
    userName: str | list[str]
    """One, answered with an object, or up to 20, answered with `{count, profiles}`."""
    chatroomUserName: str = ""


class Found(Struct):
    """A person found by id, phone, QQ or QR text. Source: yzqzy/wxbot-puppet-bridge: wechatsdk-types.ts."""

    encryptUserName: str = ""
    ticket: str = ""
    nickName: str = ""
    smallHeadImgUrl: str = ""
    bigHeadImgUrl: str = ""
    sex: int = 0
    signature: str = ""
    nation: str = ""
    province: str = ""
    city: str = ""


class FoundAnswer(Struct):
    data: Found


class Search(Request, kw_only=True):
    keyword: str


class AddFriend(Request, kw_only=True, omit_defaults=True):
    encryptUserName: str
    ticket: str = ""
    message: str = ""
    verifyType: int = 6
    """1 QQ, 3 id, 6 verification, 14 group, 15 phone, 18 nearby, 24 shake."""
    chatroomUserName: str = ""


class AddFriendById(Request, kw_only=True, omit_defaults=True):
    userName: str
    message: str = ""


class AcceptFriend(Request, kw_only=True, omit_defaults=True):
    """All three come from the XML of the request (message type 37)."""

    encryptUserName: str
    ticket: str
    scene: int | None = None
    """Without it: status -1, "user ticket invalid"."""


class SetRemark(Request, kw_only=True):
    userName: str
    remark: str


class SetDescription(Request, kw_only=True):
    userName: str
    description: str


class OneUser(Request, kw_only=True):
    userName: str


class PinChat(Request, kw_only=True):
    userName: str
    isTopMost: bool


class SaveGroup(Request, kw_only=True):
    chatroomUserName: str
    isSave: bool


class SetPermissions(Request, kw_only=True):
    userName: str
    contactTypes: list[Any]


class EnterpriseProfile(Request, kw_only=True, omit_defaults=True):
    userName: str
    chatroomUserName: str = ""


class Follow(Request, kw_only=True):
    bizUserName: str


class Sql(Request, kw_only=True, omit_defaults=True):
    """There is no friend-list interface: clients send SQL. Source: page "通讯录/获取好友列表"."""

    sql: str
    dbName: str = ""
    dbHandle: int | str = ""


class Rows(Struct):
    data: list[dict[str, Any]] = []


class ProfilesFromDatabase(Request, kw_only=True, omit_defaults=True):
    userNames: list[str]
    chatroomUserName: str = ""


class OneGroup(Request, kw_only=True):
    chatroomUserName: str


ADDRESS_BOOK = interface(29, "address_book", Request, AddressBookAnswer, "通讯录/获取通讯录")
BATCH_PROFILES = interface(21, "batch_profiles", BatchProfiles, ProfilesAnswer, "通讯录/批量获取资料")
PROFILE = interface(10015, "profile", GetProfile, AnyAnswer, "通讯录/获取用户资料", target="userName")
SEARCH = interface(43, "search", Search, FoundAnswer, "通讯录/搜索用户")
ADD_FRIEND = interface(10033, "add_friend", AddFriend, Done, "通讯录/添加好友", acts=True)
ADD_FRIEND_BY_ID = interface(10034, "add_friend_by_id", AddFriendById, Done, "通讯录/通过wxid添加好友", acts=True)
ACCEPT_FRIEND = interface(10035, "accept_friend", AcceptFriend, Done, "通讯录/同意好友请求", acts=True)
SET_REMARK = interface(10013, "set_remark", SetRemark, Done, "通讯录/修改备注", target="userName")
SET_DESCRIPTION = interface(10100, "set_description", SetDescription, Done, "通讯录/修改描述", target="userName")
DELETE_CONTACT = interface(10051, "delete_contact", OneUser, Done, "通讯录/删除联系人", acts=True, target="userName")
PIN_CHAT = interface(10032, "pin_chat", PinChat, Done, "通讯录/置顶聊天", target="userName")
SAVE_GROUP = interface(10027, "save_group", SaveGroup, Done, "通讯录/保存群聊到通讯录", target="chatroomUserName")
SET_PERMISSIONS = interface(41, "set_permissions", SetPermissions, Done, "通讯录/设置好友权限", target="userName")
ENTERPRISE_PROFILE = interface(84, "enterprise_profile", EnterpriseProfile, AnyAnswer, "通讯录/获取企业用户资料")
FOLLOW = interface(10036, "follow", Follow, Done, "通讯录/关注公众号", acts=True)
SQL = interface(10058, "sql", Sql, Rows, "数据库/执行SQL")
PROFILES_FROM_DATABASE = interface(
    10112, "profiles_from_database", ProfilesFromDatabase, AnyAnswer, "数据库/从数据库获取联系人"
)
GROUP_FROM_DATABASE = interface(10113, "group_from_database", OneGroup, AnyAnswer, "数据库/从数据库获取群聊")
GROUPS_FROM_DATABASE = interface(10114, "groups_from_database", Request, AnyAnswer, "数据库/从数据库获取所有群聊")
