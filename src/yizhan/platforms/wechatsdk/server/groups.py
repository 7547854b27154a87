"""Groups as calls. What changes is told as push type 5, once that was asked for."""

from __future__ import annotations

from typing import Any

import msgspec

from yizhan.http.router import Call
from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.server.account import Account
from yizhan.platforms.wechatsdk.server.book import AddressBook, admins
from yizhan.platforms.wechatsdk.server.calls import Calls, refused
from yizhan.platforms.wechatsdk.server.pushes import Pushes
from yizhan.wire import Fault
from yizhan.world import Group, World

MEMBER_VERSION = 700000042


class Groups:
    def __init__(
        self, world: World, book: AddressBook, account: Account, pushes: Pushes, server: SandboxServer
    ) -> None:
        self._world = world
        self._book = book
        self._account = account
        self._pushes = pushes
        self._server = server

    @property
    def calls(self) -> Calls:
        return [
            (wire.GROUP_INFO, self.info),
            (wire.GROUP_MEMBERS, self.members),
            (wire.CREATE_GROUP, self.create),
            (wire.ADD_MEMBERS, self.add),
            (wire.INVITE_MEMBERS, self.invite),
            (wire.REMOVE_MEMBERS, self.remove),
            (wire.ADD_ADMIN, self.add_admin),
            (wire.REMOVE_ADMIN, self.remove_admin),
            (wire.TRANSFER_GROUP, self.transfer),
            (wire.DISSOLVE_GROUP, self.dissolve),
            (wire.LEAVE_GROUP, self.leave),
            (wire.RENAME_GROUP, self.rename),
            (wire.OWN_GROUP_NICK, self.own_nick),
            (wire.ANNOUNCE, self.announce),
            (wire.SHOW_NICKS, self.setting),
            (wire.MUTE_GROUP, self.setting),
            (wire.CONFIRM_INVITATIONS, self.confirm_invitations),
            (wire.ONLY_ADMINS_RENAME, self.only_admins_rename),
            (wire.GROUP_QRCODE, self.qrcode),
            (wire.RESOLVE_INVITATION, self.resolve),
            (wire.ENABLE_GROUP_PUSHES, self.enable_pushes),
        ]

    async def info(self, call: Call[wire.OneGroup]) -> wire.GroupInfoAnswer:
        group = self._book.group(call.request.chatroomUserName)
        profile: dict[str, Any] = {
            **msgspec.to_builtins(self._book.full_profile(group.id)),
            "chatroomMaxCount": 500,
            "chatroomAccessType": int(bool(group.extra.get("confirm"))) * 2,
            "chatroomNotify": 1,
        }
        return wire.GroupInfoAnswer(
            wire.GroupInfo(
                group.extra.get("announcement", ""),
                group.extra.get("created", 1713774000),
                group.owner,
                {"status": 0, "desc": "", "data": profile},
            )
        )

    async def members(self, call: Call[wire.GetMembers]) -> wire.MembersAnswer:
        group = self._book.group(call.request.chatroomUserName)
        members = self._book.members(group)
        return wire.MembersAnswer(
            wire.Members(group.id, group.owner, len(members), list(admins(group)), MEMBER_VERSION, members)
        )

    async def create(self, call: Call[wire.CreateGroup]) -> wire.CreatedGroupAnswer:
        names = list(dict.fromkeys(call.request.userNames))
        if len(names) < 2:
            raise refused(wire.FAILED, "a group begins with two others")
        self._check(names, 1)
        id = f"{self._world.random.randrange(10**10, 10**11)}@chatroom"
        members = [self._account.wxid, *names]
        shown = "、".join(self._book.known(name) for name in members[:3])
        self._world.network("wechat").add_group(
            id, shown, members, owner=self._account.wxid, extra={"created": int(self._world.now())}
        )
        return wire.CreatedGroupAnswer(
            wire.CreatedGroup(id, len(members), [{"userName": name, "status": 0} for name in members])
        )

    async def add(self, call: Call[wire.ChangeMembers]) -> wire.Done:
        group = self._book.group(call.request.chatroomUserName)
        if len(group.members) >= self._server.rules.number("group.direct_members"):
            raise refused(wire.FAILED, "groups of this size are joined by invitation (79)")
        self._join(group, call.request.userNames)
        return wire.Done()

    async def invite(self, call: Call[wire.ChangeMembers]) -> wire.Done:
        self._join(self._book.group(call.request.chatroomUserName), call.request.userNames)
        return wire.Done()

    async def remove(self, call: Call[wire.ChangeMembers]) -> wire.Done:
        group = self._book.group(call.request.chatroomUserName)
        self._lead(group)
        gone = [name for name in call.request.userNames if name in group.members]
        group.members[:] = [name for name in group.members if name not in gone]
        self._tell(group, wire.MEMBERS_LEFT, gone)
        return wire.Done()

    async def add_admin(self, call: Call[wire.ChangeRole]) -> wire.Done:
        group = self._own(call.request.chatroomUserName)
        for name in _names(call.request.userName):
            if name not in admins(group):
                admins(group).append(name)
        return wire.Done()

    async def remove_admin(self, call: Call[wire.ChangeRole]) -> wire.Done:
        group = self._own(call.request.chatroomUserName)
        for name in _names(call.request.userName):
            if name in admins(group):
                admins(group).remove(name)
        return wire.Done()

    async def transfer(self, call: Call[wire.ChangeRole]) -> wire.Done:
        group = self._own(call.request.chatroomUserName)
        (name, *_) = _names(call.request.userName)
        if name not in group.members:
            raise refused(wire.USER_NOT_FOUND, name[:100])
        group.owner = name
        return wire.Done()

    async def dissolve(self, call: Call[wire.OneGroup]) -> wire.Done:
        group = self._own(call.request.chatroomUserName)
        self._tell(group, wire.SELF_LEFT, [self._account.wxid])
        group.gone = True
        return wire.Done()

    async def leave(self, call: Call[wire.OneGroup]) -> wire.Done:
        group = self._book.group(call.request.chatroomUserName)
        self._tell(group, wire.SELF_LEFT, [self._account.wxid])
        self._book.left.add(group.id)
        return wire.Done()

    async def rename(self, call: Call[wire.RenameGroup]) -> wire.Done:
        group = self._book.group(call.request.chatroomUserName)
        if group.extra.get("only_admins"):
            self._lead(group)
        group.name = call.request.chatroomName
        return wire.Done()

    async def own_nick(self, call: Call[wire.OwnGroupNick]) -> wire.Done:
        group = self._book.group(call.request.chatroomUserName)
        group.extra.setdefault("nicks", {})[self._account.wxid] = call.request.nickName
        self._tell(group, wire.MEMBERS_RENAMED, [self._account.wxid])
        return wire.Done()

    async def announce(self, call: Call[wire.Announce]) -> wire.Done:
        group = self._book.group(call.request.chatroomUserName)
        self._lead(group)
        group.extra |= {
            "announcement": call.request.announcement,
            "announcement_by": self._account.wxid,
            "announcement_at": int(self._world.now()),
        }
        return wire.Done()

    async def setting(self, call: Call[wire.ShowNicks | wire.MuteGroup]) -> wire.Done:
        self._book.group(call.request.chatroomUserName)
        return wire.Done()

    async def confirm_invitations(self, call: Call[wire.ConfirmInvitations]) -> wire.Done:
        self._own(call.request.chatroomUserName).extra["confirm"] = call.request.isNeedConfirm
        return wire.Done()

    async def only_admins_rename(self, call: Call[wire.OnlyAdminsRename]) -> wire.Done:
        self._own(call.request.chatroomUserName).extra["only_admins"] = call.request.isOnlyAdminChangeName
        return wire.Done()

    async def qrcode(self, call: Call[wire.GroupQr]) -> wire.AnyAnswer:
        group = self._book.group(call.request.chatroomUserName)
        return wire.AnyAnswer(
            {"qrcodeUrl": f"https://weixin.qq.com/g/{group.id.partition('@')[0]}", "userName": group.id}
        )

    async def resolve(self, call: Call[wire.ResolveInvitation]) -> wire.AnyAnswer:
        return wire.AnyAnswer({"url": call.request.url})

    async def enable_pushes(self, call: Call[wire.Switch]) -> wire.Done:
        self._pushes.group_changes = call.request.bEnable
        return wire.Done()

    def play(self, change: int, id: str, group_id: str) -> None:
        """Let a person join or leave a group, or the account itself (`SELF_JOINED`, `SELF_LEFT`).

        Raises:
            LookupError: there is no such person or group.
        """
        network = self._world.network("wechat")
        group = network.group(group_id)
        if change in (wire.SELF_JOINED, wire.SELF_LEFT):
            (self._book.left.add if change == wire.SELF_LEFT else self._book.left.discard)(group_id)
            id = self._account.wxid
        else:
            network.person(id)
            members = [name for name in group.members if name != id]
            group.members[:] = [*members, id] if change == wire.MEMBERS_JOINED else members
        self._tell(group, change, [id])

    def _join(self, group: Group, names: list[str]) -> None:
        self._check(names, len(group.members))
        new = [name for name in dict.fromkeys(names) if name not in group.members]
        group.members.extend(new)
        self._tell(group, wire.MEMBERS_JOINED, new)

    def _check(self, names: list[str], there: int) -> None:
        if not names:
            raise refused(wire.MISSING, "userNames")
        if there + len(names) > self._server.rules.number("group.max_members"):
            raise refused(wire.FAILED, f"a group has at most {self._server.rules['group.max_members']} members")
        for name in names:
            self._book.known(name)

    def _own(self, id: str) -> Group:
        group = self._book.group(id)
        if group.owner != self._account.wxid:
            raise Fault(wire.NO_PERMISSION)
        return group

    def _lead(self, group: Group) -> None:
        if self._account.wxid not in (group.owner, *admins(group)):
            raise Fault(wire.NO_PERMISSION)

    def _tell(self, group: Group, change: int, names: list[str]) -> None:
        if not self._pushes.group_changes or not names:
            return
        nicks = group.extra.get("nicks", {})
        members = [
            {"userName": name, "nickName": self._book.known(name), "displayName": nicks.get(name, "")} for name in names
        ]
        self._pushes.push(wire.PUSH_GROUP, {"chatroomUserName": group.id, "subType": change, "members": members})


def _names(names: str | list[str]) -> list[str]:
    found = [names] if isinstance(names, str) else names
    if not found:
        raise refused(wire.MISSING, "userName")
    return found
