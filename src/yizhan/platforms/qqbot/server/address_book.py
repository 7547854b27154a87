"""People, groups, channels and direct messages, as the bot may or may not reach them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal

from yizhan.platforms.qqbot.wire import faults
from yizhan.wire import Fault
from yizhan.world import Group, Person

if TYPE_CHECKING:
    from yizhan.platforms.qqbot.server import Server

GUILD_ID = "18700000000001"


class AddressBook:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.dms: dict[str, str] = {}
        """Guild id of a direct conversation -> person."""

    def reset(self) -> None:
        self.dms.clear()

    def find(self, scene: str, openid: str) -> Person | Group:
        """Return whom a path names.

        Raises:
            Fault: nobody of that id knows the bot.
        """
        return self.user(openid) if scene == "user" else self.group(openid)

    def user(self, openid: str) -> Person:
        person = self.server.network.people.get(openid)
        if person is not None and person.friends:
            return person
        if openid in self.server.network.groups:
            raise Fault(faults.INVALID_REQUEST, http=500)
        raise Fault(faults.NOT_A_FRIEND)

    def group(self, openid: str) -> Group:
        group = self.server.network.groups.get(openid)
        if group is None or group.kind != "group":
            raise Fault(faults.BOT_NOT_IN_GROUP)
        if group.gone:
            raise Fault(faults.NOT_A_MEMBER)
        return group

    def channel(self, channel_id: str) -> Group:
        group = self.server.network.groups.get(channel_id)
        if group is None or group.kind != "channel" or group.gone:
            raise Fault(faults.CHANNEL_UNKNOWN)
        return group

    def open_dm(self, person: Person) -> str:
        """Return the guild id of the direct conversation with somebody; the same every time."""
        digest = hashlib.sha256(person.id.encode()).digest()
        guild_id = str(int.from_bytes(digest[:7], "big") | 1 << 56)
        self.dms[guild_id] = person.id
        return guild_id

    def create(self, kind: Literal["user", "group"], count: int) -> list[str]:
        made = []
        for number in range(1, count + 1):
            openid = self.server.world.hex(32).upper()
            if kind == "user":
                self.server.network.add_person(openid, f"person {number}")
            else:
                members = list(self.server.network.people)[:3]
                self.server.network.add_group(openid, f"group {number}", members)
            made.append(openid)
        return made
