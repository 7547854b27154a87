"""The address book: people and groups of the world, seen the way one account sees them."""

from __future__ import annotations

from typing import Any, Literal

from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.server.account import Account
from yizhan.platforms.wechatsdk.server.calls import refused
from yizhan.wire import Fault
from yizhan.world import Group, Person, World

FILE_HELPER = "filehelper"


class AddressBook:
    """The world's contacts, with the state of this account: followed accounts, groups it left, labels."""

    def __init__(self, world: World, account: Account) -> None:
        self._world = world
        self._account = account
        self.reset()

    def reset(self) -> None:
        self.left: set[str] = set()
        self.followed: dict[str, str] = {}
        self.descriptions: dict[str, str] = {}
        self.labels: dict[int, str] = {}
        self.labelled: dict[str, list[int]] = {}

    @property
    def people(self) -> dict[str, Person]:
        return self._world.network("wechat").people

    @property
    def groups(self) -> dict[str, Group]:
        """The groups that the account is in."""
        every = self._world.network("wechat").groups
        return {id: g for id, g in every.items() if g.kind == "group" and not g.gone and id not in self.left}

    def group(self, id: str) -> Group:
        """Return a group that the account is in.

        Raises:
            Fault: there is none, or the account left it.
        """
        group = self._world.network("wechat").groups.get(id)
        if group is None or group.gone or group.kind != "group":
            raise refused(wire.USER_NOT_FOUND, id[:100])
        if id in self.left:
            raise Fault(wire.NOT_IN_GROUP)
        return group

    def recipient(self, id: str) -> Literal["user", "group"]:
        """Return what kind of chat `id` is.

        Raises:
            Fault: there is no such chat, or the account may not write there.
        """
        person = self.people.get(id)
        if person is not None:
            if not person.friends:
                raise Fault(wire.NOT_A_FRIEND)
            return "user"
        if id in (FILE_HELPER, self._account.wxid) or id in self.followed:
            return "user"
        self.group(id)
        return "group"

    def known(self, id: str) -> str:
        """Return the name of a person, official account or the account itself.

        Raises:
            Fault: there is no such person.
        """
        if id == self._account.wxid:
            return self._account.profile.nickName
        if id == FILE_HELPER:
            return "文件传输助手"
        if id in self.followed:
            return self.followed[id]
        if id not in self.people:
            raise refused(wire.USER_NOT_FOUND, id[:100])
        return self.people[id].name

    def profile(self, id: str) -> wire.Profile:
        """Return the short profile; its `errorCode` is not 0 if there is no such contact."""
        full = self.full_profile(id)
        return wire.Profile(**{name: getattr(full, name) for name in wire.Profile.__struct_fields__})

    def full_profile(self, id: str) -> wire.FullProfile:
        group = self._world.network("wechat").groups.get(id)
        if group is not None:
            small, big = pictures(id)
            return wire.FullProfile(
                id,
                group.name,
                smallHeadImgUrl=small,
                bigHeadImgUrl=big,
                encryptUserName=token_of(id),
                userFlag=2,
            )
        try:
            name = self.known(id)
        except Fault:
            return wire.FullProfile(id, errorCode=-1)
        person = self.people.get(id)
        small, big = pictures(id)
        return wire.FullProfile(
            id,
            name,
            person.remark if person else "",
            alias=f"{id}_wx" if person else "",
            smallHeadImgUrl=small,
            bigHeadImgUrl=big,
            fullpy=name.lower() if name.isascii() else "",
            simplepy=initials(name),
            nation="CN",
            encryptUserName=token_of(id),
            labelIds=self.labelled.get(id, []),
        )

    def members(self, group: Group) -> list[wire.Member]:
        inviter = group.owner
        return [self._member(id, group, "" if id == group.owner else inviter) for id in self.member_ids(group)]

    def member_ids(self, group: Group) -> list[str]:
        mine = [] if self._account.wxid in group.members else [self._account.wxid]
        return [*group.members, *mine]

    def talker(self, id: str) -> dict[str, Any]:
        """`talkerInfo` of a push."""
        profile = self.full_profile(id)
        return {
            "userName": id,
            "nickName": profile.nickName,
            "alias": profile.alias,
            "remark": profile.remark,
            "smallHeadImgUrl": profile.smallHeadImgUrl,
            "type": 2 if id.endswith("@chatroom") else 3,
            "verifyFlag": 0,
        }

    def speaker(self, id: str, group: Group) -> dict[str, Any]:
        """`chatroomMemberInfo` of a push."""
        return {
            **self.talker(id),
            "chatroomDisplayName": group.extra.get("nicks", {}).get(id, ""),
            "chatroomUserFlag": 0,
            "isChatroomAdmin": id in admins(group),
            "isChatroomOwner": id == group.owner,
            "belongChatroomUserName": group.id,
            "belongChatroomNickName": group.name,
            "belongChatroomSmallHeadImgUrl": pictures(group.id)[0],
        }

    def _member(self, id: str, group: Group, inviter: str) -> wire.Member:
        try:
            name = self.known(id)
        except Fault:
            name = id
        nick = group.extra.get("nicks", {}).get(id, "")
        small, big = pictures(id)
        return wire.Member(id, name, nick, small, big, id in admins(group), inviterUserName=inviter)


def admins(group: Group) -> list[str]:
    found: list[str] = group.extra.setdefault("admins", [])
    return found


def token_of(id: str) -> str:
    """The `v3_` name under which strangers are asked; readable again by the sandbox."""
    return f"v3_{id.encode().hex()}@stranger"


def id_of_token(token: str) -> str:
    """The id inside a `v3_` name of ours; empty for others."""
    try:
        return bytes.fromhex(token.removeprefix("v3_").removesuffix("@stranger")).decode()
    except ValueError:
        return ""


def initials(name: str) -> str:
    return name[:1].upper() if name.isascii() else ""


def pictures(id: str) -> tuple[str, str]:
    """Return the addresses of the small and the large picture of a chat."""
    base = f"https://wx.example.org/{id.removesuffix('@chatroom')}"
    return f"{base}/132", f"{base}/0"
