"""People, groups, channels and direct messages, and whether the bot can reach them."""

from __future__ import annotations

import hashlib
from typing import Literal

from yizhan.platforms.qqbot.server.state import ServerState
from yizhan.platforms.qqbot.wire import faults
from yizhan.wire import Fault
from yizhan.world import Group, Person

GUILD_ID = "18700000000001"


class AddressBook:
    def __init__(self, state: ServerState) -> None:
        self.state = state
        self.dms: dict[str, str] = {}
        """Person by the guild id of their direct conversation."""

    def reset(self) -> None:
        self.dms.clear()

    def find(self, scene: str, openid: str) -> Person | Group:
        """Return the person or group in a path.

        Raises:
            Fault: none of that id knows the bot.
        """
        return self.user(openid) if scene == "user" else self.group(openid)

    def user(self, openid: str) -> Person:
        person = self.state.network.people.get(openid)
        if person is not None and person.friends:
            return person
        if openid in self.state.network.groups:
            raise Fault(faults.INVALID_REQUEST, http=500)
        raise Fault(faults.NOT_A_FRIEND)

    def group(self, openid: str) -> Group:
        group = self.state.network.groups.get(openid)
        if group is None or group.kind != "group":
            raise Fault(faults.BOT_NOT_IN_GROUP)
        if group.gone:
            raise Fault(faults.NOT_A_MEMBER)
        return group

    def channel(self, channel_id: str) -> Group:
        group = self.state.network.groups.get(channel_id)
        if group is None or group.kind != "channel" or group.gone:
            raise Fault(faults.CHANNEL_UNKNOWN)
        return group

    def open_dm(self, person: Person) -> str:
        """Return the guild id of the direct conversation with a person; the same every time."""
        digest = hashlib.sha256(person.id.encode()).digest()
        guild_id = str(int.from_bytes(digest[:7], "big") | 1 << 56)
        self.dms[guild_id] = person.id
        return guild_id

    def create(self, kind: Literal["user", "group"], count: int) -> list[str]:
        created = []
        for number in range(1, count + 1):
            openid = self.state.world.hex(32).upper()
            if kind == "user":
                self.state.network.add_person(openid, f"person {number}")
            else:
                members = list(self.state.network.people)[:3]
                self.state.network.add_group(openid, f"group {number}", members)
            created.append(openid)
        return created
