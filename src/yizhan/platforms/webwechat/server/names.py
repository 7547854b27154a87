"""Who is called what: people, rooms and accounts have other UserNames in every login."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from yizhan.platforms.webwechat.wire.session import BUILT_IN
from yizhan.world import World

Sort = Literal["person", "room", "account", "built-in"]


@dataclass(slots=True)
class Account:
    """One of the sandbox's own users, by whom a login may be confirmed."""

    id: str
    """`me`, `me2` …; also the nickname."""
    uin: int
    browsers: set[str]
    """The webwxuvid cookies of browsers that it logged in with; they may ask for a push login."""


@dataclass(frozen=True, slots=True)
class Whom:
    """Somebody whom a login can write to. `shown` is how our adapter's targets name them."""

    sort: Sort
    id: str
    shown: str

    @property
    def kind(self) -> Literal["user", "group"]:
        return "group" if self.sort == "room" else "user"


class Names:
    """The UserNames of one login, made from its seed when first asked for, and read back."""

    def __init__(self, seed: str, world: World, accounts: dict[str, Account], me: Account) -> None:
        self._seed = seed
        self._network = world.network("wechat")
        self._accounts = accounts
        self._me = me
        self._made: dict[tuple[Sort, str], str] = {}
        self._read: dict[str, tuple[Sort, str]] = {}

    @property
    def me(self) -> str:
        return self.of("account", self._me.id)

    def of(self, sort: Sort, id: str) -> str:
        """Return the UserName: `@@` and 64 hex digits for rooms, `@` and 32 or 64 for people."""
        if sort == "built-in":
            return id
        name = self._made.get((sort, id))
        if name is None:
            digest = hashlib.sha256(f"{self._seed}/{sort}/{id}".encode()).hexdigest()
            short = sort == "person" and digest[0] in "01234567"
            name = ("@@" if sort == "room" else "@") + (digest[:32] if short else digest)
            self._made[sort, id] = name
            self._read[name] = sort, id
        return name

    def whom(self, user_name: str) -> Whom | None:
        """Return who is called that in this login; None when nobody is, or the room no longer exists."""
        if user_name in BUILT_IN:
            return Whom("built-in", user_name, user_name)
        if user_name not in self._read and not self._learn_all():
            return None
        sort, id = self._read.get(user_name, ("built-in", ""))
        match sort:
            case "person" if id in self._network.people:
                return Whom("person", id, self._network.people[id].name)
            case "room" if id in self._network.groups and not self._network.groups[id].gone:
                return Whom("room", id, self._network.groups[id].name)
            case "account" if id in self._accounts:
                return Whom("account", id, id)
        return None

    def _learn_all(self) -> bool:
        """Name everybody who has no name yet; False when there was nobody."""
        known = len(self._made)
        for person in self._network.people:
            self.of("person", person)
        for group in self._network.groups:
            self.of("room", group)
        for account in self._accounts:
            self.of("account", account)
        return len(self._made) > known
