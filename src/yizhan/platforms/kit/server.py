"""Base of the serving ends: calls by name, people and posts of the world, uploads that end, sliding windows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from yizhan.http.router import Router
from yizhan.model import Kind
from yizhan.platforms.kit.limits import SlidingWindows, limit_named
from yizhan.platforms.kit.shelf import Shelf
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import ServerOptions, SimulatedEvent
from yizhan.platforms.spec import Platform
from yizhan.wire import Endpoint, Envelope, Fault, FaultCode
from yizhan.world import Blob, Network, Post, World

Calls = Mapping[str, Endpoint[Any, Any]]
"""Endpoints by the name of the method that serves them."""


class SandboxServer:
    """The sandbox of one platform. Rules are read when they are needed, since the sandbox replaces them at run time.

    A subclass names its methods in `calls`: `calls = {"send": SEND}`. Chapters of a large platform are subclasses with
    `calls` of their own, from all of which the server inherits.
    """

    platform: ClassVar[Platform]
    envelope: ClassVar[Envelope]
    calls: ClassVar[Calls] = {}
    too_often: ClassVar[FaultCode | None] = None
    """The refusal of a call over one of the rules' limits."""

    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        self.world = world
        self.rules = rules
        self.options = options
        self.router = Router(self.platform.name, self.envelope, world.blobs)
        self.uploads: Shelf[Blob] = Shelf(world.clock)
        self.windows = SlidingWindows(world.clock)
        for chapter in type(self).__mro__:
            for method, endpoint in vars(chapter).get("calls", {}).items():
                self.router.add(endpoint, getattr(self, method))

    @property
    def network(self) -> Network:
        return self.world.network(self.platform.network)

    def now(self) -> float:
        return self.world.now()

    # --- uploads and limits ---

    def upload(self, blob: Blob) -> str:
        """Keep `blob` for `handle.seconds` of the rules and return its new id."""
        upload_id = self.world.hex(32)
        self.uploads.put(upload_id, blob, float(self.rules.get("handle.seconds", 0)))
        return upload_id

    def count(self, name: str, *, account: str = "", target: str = "") -> None:
        """Count one call under `limit.NAME` of the rules.

        Raises:
            Fault: `too_often`: the window is full, and the call is not counted.
        """
        limit = limit_named(self.rules, name)
        if limit is None:
            return
        key = target if limit.scope == "target" else account
        if (seconds := self.windows.opens_in(limit, key)) > 0:
            if self.too_often is None:
                raise TypeError(f"{type(self).__name__} has limits, but no `too_often`.")
            raise Fault(self.too_often, retry_after=seconds)
        self.windows.add(limit, key)

    def record(self, call: str, sender: str, target: str, kind: str, **post: Any) -> Post:
        """Add a message to the world's posts; further fields as in `Post`."""
        post.setdefault("message_id", self.new_message_id())
        post.setdefault("account", self.options.extra.get("account", self.platform.name))
        post.setdefault("target_kind", "group" if target in self.network.groups else "user")
        return self.world.post(
            network=self.platform.network,
            platform=self.platform.name,
            call=call,
            sender=sender,
            target=target,
            kind=kind,
            **post,
        )

    # --- ids; a platform with forms of its own overrides them ---

    def new_message_id(self) -> str:
        return self.world.hex(16)

    def new_id(self, kind: Literal["user", "group"]) -> str:
        """Return the id of a new person or group."""
        return f"{kind}_{self.world.hex(12)}"

    # --- the sandbox's interface ---

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        """Let a person say something to the account (`to="bot"`) or in a group; return the message's id.

        Raises:
            LookupError: there is no such person or group; the text names close ones.
        """
        self.network.person(sender)
        if to != "bot":
            self.network.group(to)
        what = kind if media is not None else "text"
        post = self.record("say", sender, to, what, text=text, blob=media, name=name)
        self.heard(post)
        return post.message_id

    async def event(self, event: SimulatedEvent) -> str:
        """Play an act of a person; return the platform's own id of it. Default: messages of text and one file.

        Raises:
            LookupError: the platform has no such event, or it names a person, group or message that does not exist.
        """
        if event.event != "message":
            raise LookupError(f"{self.platform.title} plays no '{event.event}'. It has: message.")
        if not event.media:
            return await self.say(event.sender, event.to, text=event.text)
        media = event.media[0]
        return await self.say(
            event.sender, event.to, text=event.text, media=media.blob, kind=media.kind, name=media.name
        )

    def heard(self, post: Post) -> None:
        """Push a person's message to the platform's clients. Default: nothing is pushed."""

    def people(self, kind: Literal["user", "group"], count: int) -> list[str]:
        """Create people or groups, and return the ids by which this platform addresses them."""
        add = self.network.add_person if kind == "user" else self.network.add_group
        return [add(self.new_id(kind)).id for _ in range(count)]

    async def login(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"]) -> None:
        """Play the phone at a QR login.

        Raises:
            LookupError: there is no such login.
        """
        raise LookupError(f"{self.platform.title} has no QR login.")

    async def webhook(self, url: str) -> None:
        """Push this platform's events to `url`.

        Raises:
            LookupError: it has no webhooks.
        """
        raise LookupError(f"{self.platform.title} has no webhooks.")

    def reset(self) -> None:
        """Forget everything but the world."""
        self.uploads.clear()
        self.windows.clear()

    async def close(self) -> None:
        """End sockets and long polls."""
