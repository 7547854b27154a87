"""UserNames: every login names people, rooms and accounts anew."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, TypeAlias

from yizhan.platforms.webwechat.wire.session import BUILT_IN
from yizhan.world import World

Sort: TypeAlias = Literal["person", "room", "account", "built-in"]


@dataclass(slots=True)
class Account:
    """A user of the sandbox's own, who confirms a login."""

    id: str
    """`me`, `me2` …; also the nickname."""
    uin: int
    browsers: set[str]
    """The webwxuvid cookies of its logins; those browsers may use the push login."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person, room, account or built-in account that a login can write to."""

    sort: Sort
    id: str
    shown: str
    """Its name in posts and in our adapter's targets."""

    @property
    def kind(self) -> Literal["user", "group"]:
        return "group" if self.sort == "room" else "user"


class UserNames:
    """The UserNames of one login, derived from its seed on first use."""

    def __init__(self, seed: str, world: World, accounts: dict[str, Account], me: Account) -> None:
        self._seed = seed
        self._network = world.network("wechat")
        self._accounts = accounts
        self._me = me
        self._names: dict[tuple[Sort, str], str] = {}
        self._owners: dict[str, tuple[Sort, str]] = {}

    @property
    def me(self) -> str:
        return self.of("account", self._me.id)

    def of(self, sort: Sort, id: str) -> str:
        """Return the UserName: `@@` and 64 hex digits for a room, `@` and 32 or 64 for a person."""
        if sort == "built-in":
            return id
        name = self._names.get((sort, id))
        if name is None:
            digest = hashlib.sha256(f"{self._seed}/{sort}/{id}".encode()).hexdigest()
            short = sort == "person" and digest[0] in "01234567"
            name = ("@@" if sort == "room" else "@") + (digest[:32] if short else digest)
            self._names[sort, id] = name
            self._owners[name] = sort, id
        return name

    def recipient(self, user_name: str) -> Recipient | None:
        """Return the owner of a UserName; None if there is none, or the room no longer exists."""
        if user_name in BUILT_IN:
            return Recipient("built-in", user_name, user_name)
        if user_name not in self._owners and not self._name_everyone():
            return None
        sort, id = self._owners.get(user_name, ("built-in", ""))
        match sort:
            case "person" if id in self._network.people:
                return Recipient("person", id, self._network.people[id].name)
            case "room" if id in self._network.groups and not self._network.groups[id].gone:
                return Recipient("room", id, self._network.groups[id].name)
            case "account" if id in self._accounts:
                return Recipient("account", id, id)
        return None

    def _name_everyone(self) -> bool:
        """Derive the missing UserNames; return whether there were any."""
        known = len(self._names)
        for person in self._network.people:
            self.of("person", person)
        for group in self._network.groups:
            self.of("room", group)
        for account in self._accounts:
            self.of("account", account)
        return len(self._names) > known
