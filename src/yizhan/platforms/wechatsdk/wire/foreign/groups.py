"""Chapter 群管理: groups."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from yizhan.platforms.wechatsdk.wire.envelope import Digits, Done, Request, interface
from yizhan.platforms.wechatsdk.wire.foreign.account import AnyAnswer
from yizhan.platforms.wechatsdk.wire.foreign.contacts import OneGroup


class GroupInfo(Struct):
    announcement: str = ""
    createTime: int = 0
    ownerUserName: str = ""
    profile: dict[str, Any] = {}
    """`{status, desc, data:{userName, nickName, remark, …}}`."""


class GroupInfoAnswer(Struct):
    data: GroupInfo


class GetMembers(Request, kw_only=True, omit_defaults=True):
    chatroomUserName: str
    version: int = 0
    """0: all."""


class Member(Struct):
    userName: str
    nickName: str = ""
    chatroomNickName: str = ""
    smallHeadImgUrl: str = ""
    bigHeadImgUrl: str = ""
    isAdmin: bool = False
    permission: int = 0
    inviterUserName: str = ""
    memberTraceBack: str = ""


class Members(Struct):
    """Source: yzqzy/wxbot-puppet-bridge, dchaofei/puppet-win, WeChatAPIs/WechatBotCMD."""

    chatroomUserName: str = ""
    ownerUserName: str = ""
    count: int = 0
    chatroomAdminUserNames: list[str] = []
    chatroomMemberInfoVerion: int = 0
    """Spelled so."""
    members: list[Member] = []


class MembersAnswer(Struct):
    data: Members


class CreateGroup(Request, kw_only=True):
    userNames: list[str]


class CreatedGroup(Struct):
    chatroomUserName: str = ""
    memberCount: int = 0
    members: list[Any] = []


class CreatedGroupAnswer(Struct):
    data: CreatedGroup


class ChangeMembers(Request, kw_only=True, omit_defaults=True):
    chatroomUserName: str
    userNames: list[str]
    accessMessage: str = ""


class ChangeRole(Request, kw_only=True):
    userName: str | list[str]
    chatroomUserName: str


class RenameGroup(Request, kw_only=True):
    chatroomUserName: str
    chatroomName: str


class OwnGroupNick(Request, kw_only=True):
    chatroomUserName: str
    nickName: str


class Announce(Request, kw_only=True):
    chatroomUserName: str
    announcement: str


class ShowNicks(Request, kw_only=True):
    chatroomUserName: str
    isShow: bool


class MuteGroup(Request, kw_only=True, omit_defaults=True):
    chatroomUserName: str
    isSilence: bool
    isFold: bool = False


class ConfirmInvitations(Request, kw_only=True):
    chatroomUserName: str
    isNeedConfirm: bool


class OnlyAdminsRename(Request, kw_only=True):
    chatroomUserName: str
    isOnlyAdminChangeName: bool


class GroupQr(Request, kw_only=True, omit_defaults=True):
    chatroomUserName: str
    onlyQrcodeUrl: bool = True


class ResolveInvitation(Request, kw_only=True, omit_defaults=True):
    url: str
    inviteType: Digits = 0
    """0 link, 1 QR; an official client leaves it out."""


class AddMember(Request, kw_only=True, omit_defaults=True):
    userName: str
    chatroomUserName: str
    message: str = ""


_AT = "chatroomUserName"

GROUP_INFO = interface(30, "group_info", OneGroup, GroupInfoAnswer, "群管理/获取群信息", target=_AT)
GROUP_MEMBERS = interface(31, "group_members", GetMembers, MembersAnswer, "群管理/获取群成员", target=_AT)
CREATE_GROUP = interface(45, "create_group", CreateGroup, CreatedGroupAnswer, "群管理/创建群聊", acts=True)
ADD_MEMBERS = interface(32, "add_members", ChangeMembers, Done, "群管理/添加群成员", acts=True, target=_AT)
INVITE_MEMBERS = interface(79, "invite_members", ChangeMembers, Done, "群管理/邀请群成员", acts=True, target=_AT)
REMOVE_MEMBERS = interface(33, "remove_members", ChangeMembers, Done, "群管理/删除群成员", acts=True, target=_AT)
ADD_ADMIN = interface(49, "add_admin", ChangeRole, Done, "群管理/添加群管理员", acts=True, target=_AT)
REMOVE_ADMIN = interface(50, "remove_admin", ChangeRole, Done, "群管理/移除群管理员", acts=True, target=_AT)
TRANSFER_GROUP = interface(51, "transfer_group", ChangeRole, Done, "群管理/转让群", acts=True, target=_AT)
DISSOLVE_GROUP = interface(52, "dissolve_group", OneGroup, Done, "群管理/解散群聊", acts=True, target=_AT)
LEAVE_GROUP = interface(10028, "leave_group", OneGroup, Done, "群管理/退出群聊", acts=True, target=_AT)
RENAME_GROUP = interface(10023, "rename_group", RenameGroup, Done, "群管理/修改群名称", acts=True, target=_AT)
OWN_GROUP_NICK = interface(10024, "own_group_nick", OwnGroupNick, Done, "群管理/修改我的群昵称", target=_AT)
ANNOUNCE = interface(10052, "announce", Announce, Done, "群管理/发布群公告", acts=True, target=_AT)
SHOW_NICKS = interface(10025, "show_nicks", ShowNicks, Done, "群管理/显示群成员昵称", target=_AT)
MUTE_GROUP = interface(10026, "mute_group", MuteGroup, Done, "群管理/消息免打扰", target=_AT)
CONFIRM_INVITATIONS = interface(10030, "confirm_invitations", ConfirmInvitations, Done, "群管理/邀请确认", target=_AT)
ONLY_ADMINS_RENAME = interface(
    10031, "only_admins_rename", OnlyAdminsRename, Done, "群管理/仅管理员可修改群名", target=_AT
)
GROUP_QRCODE = interface(10054, "group_qrcode", GroupQr, AnyAnswer, "群管理/获取群二维码", target=_AT)
RESOLVE_INVITATION = interface(10089, "resolve_invitation", ResolveInvitation, AnyAnswer, "群管理/进群链接解析")
ADD_MEMBER_AS_FRIEND = interface(
    10090, "add_member_as_friend", AddMember, Done, "群管理/添加群成员为好友", acts=True, target="userName"
)
