"""Contacts as calls: profiles, search, friends, remarks, and the SQL that clients send for the list of friends."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from yizhan.http.router import Call
from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.server.book import FILE_HELPER, AddressBook, admins, id_of_token, token_of
from yizhan.platforms.wechatsdk.server.calls import Calls, refused
from yizhan.platforms.wechatsdk.server.sql import Database
from yizhan.wire import Fault
from yizhan.world import Group


class Contacts:
    def __init__(self, book: AddressBook, database: Database, server: SandboxServer) -> None:
        self._book = book
        self._server = server
        self._database = database

    @property
    def calls(self) -> Calls:
        return [
            (wire.ADDRESS_BOOK, self.address_book),
            (wire.BATCH_PROFILES, self.batch),
            (wire.PROFILE, self.profile),
            (wire.SEARCH, self.search),
            (wire.ADD_FRIEND, self.add_friend),
            (wire.ADD_FRIEND_BY_ID, self.add_friend_by_id),
            (wire.ACCEPT_FRIEND, self.accept_friend),
            (wire.SET_REMARK, self.set_remark),
            (wire.SET_DESCRIPTION, self.set_description),
            (wire.DELETE_CONTACT, self.delete),
            (wire.PIN_CHAT, self.pin),
            (wire.SAVE_GROUP, self.save_group),
            (wire.SET_PERMISSIONS, self.set_permissions),
            (wire.ENTERPRISE_PROFILE, self.enterprise),
            (wire.FOLLOW, self.follow),
            (wire.ADD_MEMBER_AS_FRIEND, self.add_member),
            (wire.SQL, self.sql),
            (wire.PROFILES_FROM_DATABASE, self.from_database),
            (wire.GROUP_FROM_DATABASE, self.group_from_database),
            (wire.GROUPS_FROM_DATABASE, self.groups_from_database),
        ]

    async def address_book(self, call: Call[wire.Request]) -> wire.AddressBookAnswer:
        friends = [id for id, person in self._book.people.items() if person.friends]
        names = [*friends, FILE_HELPER, *self._book.followed, *self._book.groups]
        return wire.AddressBookAnswer(wire.AddressBook(len(names), names))

    async def batch(self, call: Call[wire.BatchProfiles]) -> wire.ProfilesAnswer:
        names = _at_most(call.request.userNames, self._server.rules.number("profiles.max"))
        return wire.ProfilesAnswer(wire.Profiles(len(names), [self._book.profile(name) for name in names]))

    async def profile(self, call: Call[wire.GetProfile]) -> wire.AnyAnswer:
        wanted = call.request.userName
        if isinstance(wanted, str):
            profile = self._book.full_profile(wanted)
            if profile.errorCode:
                raise refused(wire.USER_NOT_FOUND, wanted[:100])
            return wire.AnyAnswer(self._full(wanted))
        names = _at_most(wanted, self._server.rules.number("profile.max"))
        return wire.AnyAnswer({"count": len(names), "profiles": [self._full(name) for name in names]})

    async def search(self, call: Call[wire.Search]) -> wire.FoundAnswer:
        keyword = call.request.keyword
        for id, person in self._book.people.items():
            if keyword in (id, f"{id}_wx"):
                profile = self._book.full_profile(id)
                ticket = f"v4_{id.encode().hex()}@stranger"
                return wire.FoundAnswer(
                    wire.Found(token_of(id), ticket, person.name, profile.smallHeadImgUrl, profile.bigHeadImgUrl)
                )
        raise refused(wire.USER_NOT_FOUND, keyword[:100])

    async def add_friend(self, call: Call[wire.AddFriend]) -> wire.Done:
        request = call.request
        # A person met in a group is asked by wxid.
        self._befriend(id_of_token(request.encryptUserName) or request.encryptUserName)
        return wire.Done()

    async def add_friend_by_id(self, call: Call[wire.AddFriendById]) -> wire.Done:
        self._befriend(call.request.userName)
        return wire.Done()

    async def accept_friend(self, call: Call[wire.AcceptFriend]) -> wire.Done:
        request = call.request
        if request.scene is None or not request.encryptUserName.startswith("v3_"):
            raise Fault(wire.BAD_TICKET)
        known = id_of_token(request.encryptUserName)
        if known in self._book.people:
            self._befriend(known)
        return wire.Done()

    async def set_remark(self, call: Call[wire.SetRemark]) -> wire.Done:
        self._book.known(call.request.userName)
        person = self._book.people.get(call.request.userName)
        if person is not None:
            person.remark = call.request.remark
        return wire.Done()

    async def set_description(self, call: Call[wire.SetDescription]) -> wire.Done:
        self._book.known(call.request.userName)
        self._book.descriptions[call.request.userName] = call.request.description
        return wire.Done()

    async def delete(self, call: Call[wire.OneUser]) -> wire.Done:
        name = call.request.userName
        self._book.known(name)
        if self._book.followed.pop(name, None) is None and name in self._book.people:
            self._book.people[name].friends = False
        return wire.Done()

    async def pin(self, call: Call[wire.PinChat]) -> wire.Done:
        self._book.recipient(call.request.userName)
        return wire.Done()

    async def save_group(self, call: Call[wire.SaveGroup]) -> wire.Done:
        self._book.group(call.request.chatroomUserName)
        return wire.Done()

    async def set_permissions(self, call: Call[wire.SetPermissions]) -> wire.Done:
        self._book.known(call.request.userName)
        return wire.Done()

    async def enterprise(self, call: Call[wire.EnterpriseProfile]) -> wire.AnyAnswer:
        raise refused(wire.USER_NOT_FOUND, call.request.userName[:100])

    async def follow(self, call: Call[wire.Follow]) -> wire.Done:
        name = call.request.bizUserName
        if not re.fullmatch(r"gh_\w{1,40}", name, re.ASCII):
            raise refused(wire.USER_NOT_FOUND, name[:100])
        self._book.followed[name] = name
        return wire.Done()

    async def add_member(self, call: Call[wire.AddMember]) -> wire.Done:
        group = self._book.group(call.request.chatroomUserName)
        if call.request.userName not in group.members:
            raise refused(wire.USER_NOT_FOUND, call.request.userName[:100])
        self._befriend(call.request.userName)
        return wire.Done()

    # --- the client's database ---

    async def sql(self, call: Call[wire.Sql]) -> wire.Rows:
        return wire.Rows(await self._database.run(call.request.sql))

    async def from_database(self, call: Call[wire.ProfilesFromDatabase]) -> wire.AnyAnswer:
        found = {name: self._full(name) for name in _at_most(call.request.userNames, 1000)}
        return wire.AnyAnswer(found)

    async def group_from_database(self, call: Call[wire.OneGroup]) -> wire.AnyAnswer:
        return wire.AnyAnswer(self._group(self._book.group(call.request.chatroomUserName)))

    async def groups_from_database(self, call: Call[wire.Request]) -> wire.AnyAnswer:
        groups = [self._group(group) for group in self._book.groups.values()]
        return wire.AnyAnswer({"count": len(groups), "chatrooms": groups})

    def _befriend(self, id: str) -> None:
        if id not in self._book.people:
            raise refused(wire.USER_NOT_FOUND, id[:100])
        self._book.people[id].friends = True

    def _full(self, id: str) -> dict[str, Any]:
        profile: dict[str, Any] = msgspec.to_builtins(self._book.full_profile(id))
        if id.endswith("@chatroom"):
            profile |= {"chatroomMaxCount": 500, "chatroomAccessType": 0, "chatroomNotify": 1}
        person = self._book.people.get(id)
        if person is not None and not person.friends:
            profile["ticketInfo"] = {"ticket": f"v4_{id.encode().hex()}@stranger"}
        return profile

    def _group(self, group: Group) -> dict[str, Any]:
        members = self._book.member_ids(group)
        return {
            "userName": group.id,
            "nickName": group.name,
            "remark": "",
            "smallHeadImgUrl": self._book.full_profile(group.id).smallHeadImgUrl,
            "ownerUserName": group.owner,
            "announcement": group.extra.get("announcement", ""),
            "announcementEditor": group.extra.get("announcement_by", ""),
            "announcementPublishTime": group.extra.get("announcement_at", 0),
            "chatroomAdminUserNames": admins(group),
            "chatroomMaxCount": 500,
            "chatroomMemberCount": len(members),
            "chatroomMemberInfoVersion": 700000042,
            "infoVersion": 700000042,
            "userNameList": members,
            "chatroomMembers": {
                member.userName: {
                    **self._book.speaker(member.userName, group),
                    "chatroomNickName": member.chatroomNickName,
                }
                for member in self._book.members(group)
            },
        }


def _at_most(names: list[str], limit: int) -> list[str]:
    if not names:
        raise refused(wire.MISSING, "userNames")
    if len(names) > limit:
        raise refused(wire.FAILED, f"{len(names)} names, the limit is {limit}")
    return names
