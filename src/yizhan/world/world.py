"""People, groups, membership and posts on two networks, one clock, one source of chance."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from yizhan.errors import did_you_mean
from yizhan.world.blobs import Blob, Blobs
from yizhan.world.clock import TurnableClock

TargetKind = Literal["user", "group", "channel", "dm"]


@dataclass(slots=True)
class Person:
    """A person on a network. `id` is the network's own name; platforms may show other ids."""

    id: str
    name: str
    remark: str = ""
    active_allowed: bool = True
    """Whether they take messages that they did not ask for."""
    friends: bool = True
    """Whether they know the accounts of the sandbox."""


@dataclass(slots=True)
class Group:
    """A group, room or channel with its members' ids."""

    id: str
    name: str
    members: list[str] = field(default_factory=list)
    kind: Literal["group", "channel"] = "group"
    muted: bool = False
    gone: bool = False
    active_allowed: bool = True
    owner: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Post:
    """A message as the world keeps it."""

    number: int
    network: str
    platform: str
    """The platform that received it (or on which a person said it)."""
    call: str
    """The call that sent it; `say` if a simulated person said it."""
    account: str
    """The platform's account it passed through, by the platform's id."""
    sender: str
    target: str
    """Whom it is for, by the id that the platform uses."""
    target_kind: TargetKind
    kind: str
    """text, image, video, voice, file, sticker, link, …"""
    at: float
    message_id: str
    """The platform's own id."""
    text: str = ""
    name: str = ""
    blob: Blob | None = None
    recalled: bool = False
    extra: dict[str, Any] = field(default_factory=dict)


class Network:
    """The people and groups of one network."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.people: dict[str, Person] = {}
        self.groups: dict[str, Group] = {}

    def person(self, id: str) -> Person:
        """Return the person.

        Raises:
            LookupError: there is none; the text names close ones.
        """
        if id not in self.people:
            raise LookupError(f"no one called '{id}' on the {self.name} network.{_close(id, self.people)}")
        return self.people[id]

    def group(self, id: str) -> Group:
        """Return the group.

        Raises:
            LookupError: there is none; the text names close ones.
        """
        if id not in self.groups:
            raise LookupError(f"no group '{id}' on the {self.name} network.{_close(id, self.groups)}")
        return self.groups[id]

    def add_person(self, id: str, name: str = "", **more: Any) -> Person:
        person = self.people[id] = Person(id, name or id, **more)
        return person

    def add_group(self, id: str, name: str = "", members: Sequence[str] = (), **more: Any) -> Group:
        group = self.groups[id] = Group(id, name or id, list(members), **more)
        return group


def _close(id: str, known: dict[str, Any]) -> str:
    # Looking for likenesses among a hundred thousand people would hold the whole sandbox up.
    return did_you_mean(id, islice(known, 500))


class World:
    """One simulated world. The same seed gives the same ids."""

    def __init__(self, *, seed: int = 1, clock: TurnableClock | None = None, folder: Path | None = None) -> None:
        self.seed = seed
        self.clock = clock or TurnableClock()
        self.blobs = Blobs(folder)
        self.random = random.Random(seed)
        self.networks = {name: Network(name) for name in ("qq", "wechat", "wecom")}
        self.posts: list[Post] = []
        self._by_id: dict[tuple[str, str], Post] = {}
        self._listeners: list[Callable[[Post], None]] = []

    def now(self) -> float:
        return self.clock.now()

    def hex(self, digits: int) -> str:
        """Return a random lower-case hex text."""
        return f"{self.random.getrandbits(digits * 4):0{digits}x}"

    def network(self, name: str) -> Network:
        return self.networks[name]

    def post(self, **fields: Any) -> Post:
        """Keep a message and call the listeners. Fields as in `Post`, without `number` and `at`."""
        fields.setdefault("at", self.now())
        post = Post(number=len(self.posts) + 1, **fields)
        self.posts.append(post)
        self._by_id[post.platform, post.message_id] = post
        for listener in list(self._listeners):
            listener(post)
        return post

    def find_post(self, platform: str, message_id: str) -> Post | None:
        return self._by_id.get((platform, message_id))

    def listen(self, listener: Callable[[Post], None]) -> Callable[[], None]:
        """Call `listener` with every new post; the returned function ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def select(
        self, *, platform: str | None = None, target: str | None = None, since: int = 0, **fields: Any
    ) -> Iterator[Post]:
        """Yield posts in order, those with `number` above `since` that match every field given."""
        for post in self.posts[since:]:
            if platform is not None and post.platform != platform:
                continue
            if target is not None and post.target != target:
                continue
            if all(getattr(post, name) == value for name, value in fields.items()):
                yield post

    def reset(self) -> None:
        """Forget posts, blobs, people and groups, and turn the clock back to real time."""
        self.random = random.Random(self.seed)
        self.posts.clear()
        self._by_id.clear()
        self.blobs.clear()
        for network in self.networks.values():
            network.people.clear()
            network.groups.clear()
        self.clock.reset()

    def close(self) -> None:
        self.blobs.close()
