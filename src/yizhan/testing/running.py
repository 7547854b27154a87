"""A sandbox that runs in a thread of its own, with plain methods: for blocking and for async tests alike."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self, TypeVar

import msgspec

from yizhan.errors import UnknownTarget
from yizhan.model import Kind, Target
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import SimulatedEvent
from yizhan.runtime.event_loop import LoopThread
from yizhan.sandbox import Sandbox
from yizhan.sandbox.control import select_posts
from yizhan.sandbox.request_log import view
from yizhan.sandbox.wire import ChaosRule, PostQuery, RequestView
from yizhan.world import Post, TurnableClock, World

T = TypeVar("T")


class RunningSandbox:
    """Made as `RunningSandbox(**options)`, with the options of `Sandbox`; ends with `close()` or its `with` block.

    Its methods wait until the sandbox has finished. Where a test's own event loop has to answer meanwhile
    (a webhook that lives in the test), call them through `asyncio.to_thread`.
    """

    def __init__(self, **options: Any) -> None:
        self.sandbox = Sandbox(**options)
        self._loop = LoopThread()
        try:
            self._loop.run(self.sandbox.start())
        except BaseException:
            self._loop.close()
            raise

    def close(self) -> None:
        self._loop.run(self.sandbox.close())
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The one origin of all platforms, without a slash at the end."""
        return self.sandbox.url

    @property
    def type_api_url(self) -> str:
        """The origin of the second listener, where `type_api_port` was given."""
        return self.sandbox.type_api_url

    @property
    def world(self) -> World:
        return self.sandbox.world

    @property
    def clock(self) -> TurnableClock:
        """Turned by `clock.advance(seconds)` and `clock.set(seconds since the epoch)`, from any thread."""
        return self.sandbox.clock

    # --- requests and posts -------------------------------------------------------------------------------------------

    def calls(self, endpoint: str = "", **more: Any) -> int:
        """Return how often `endpoint` (a name, or a glob) was called; `more`: platform, target, status, since."""
        return self._do(lambda: self.sandbox.request_log.count(endpoint=endpoint, **more))

    def requests(self, endpoint: str = "", **more: Any) -> list[RequestView]:
        """Return the exchanges that fit, oldest first, secrets masked; filters as in `calls`."""
        return self._do(lambda: [view(entry) for entry in self.sandbox.request_log.select(endpoint=endpoint, **more)])

    def posts(self, target: str | Target = "", **more: Any) -> list[Post]:
        """Return what arrived, oldest first; `said=True` adds what simulated people said.

        `target`: an id of the platform, or `platform.account/kind/id`. `more`: platform, kind, call, account,
        message_id, recalled, since.
        """
        platform, id = _split(target)
        if platform:
            more.setdefault("platform", platform)
        query = PostQuery(target=id, **more)
        return self._do(lambda: list(select_posts(self.world, query)))

    def wait_for(self, question: Callable[[], T], timeout: float = 30.0) -> T:
        """Ask until the answer is true (not empty, not 0), and return it: `wait_for(lambda: sandbox.posts(USER))`.

        For the actions of a bot in the background. In an async test that runs the bot on its own loop, call it through
        `asyncio.to_thread`. `timeout`: seconds, which only count when something is broken.

        Raises:
            AssertionError: it did not become true; the text has the requests to the sandbox.
        """
        end = time.monotonic() + timeout
        while not (answer := question()):
            if time.monotonic() > end:
                raise AssertionError(f"It did not become true within {timeout:g} s. Requests:\n{self.seen()}")
            time.sleep(0.01)
        return answer

    def seen(self, last: int = 20) -> str:
        """Return the `last` exchanges, a line each, for a person to read; a failed test shows them."""
        lines = [
            f"{one.method} {one.path} {one.endpoint} → {one.status} {one.note}".rstrip() for one in self.requests()
        ]
        left_out = [f"… {len(lines) - last} before"] if len(lines) > last else []
        return "\n".join([*left_out, *lines[-last:]]) or "nothing"

    def blob(self, sha256: str) -> bytes:
        """Return bytes that arrived.

        Raises:
            LookupError: none with that digest have.
        """
        found = self.world.blobs.find(sha256)
        if found is None:
            raise LookupError(f"no bytes with the SHA-256 '{sha256}' have arrived")
        return found.read()

    # --- people -------------------------------------------------------------------------------------------------------

    def users(self, count: int, account: str = "qqbot.main") -> list[str]:
        """Make people who know `account`; return the targets by which it reaches them."""
        return self._people("user", count, account)

    def groups(self, count: int, account: str = "qqbot.main") -> list[str]:
        """Make groups that `account` is in; return the targets by which it reaches them."""
        return self._people("group", count, account)

    def say(
        self,
        platform: str,
        sender: str | Target,
        text: str = "",
        *,
        to: str | Target = "bot",
        media: bytes | None = None,
        kind: Kind = "file",
        name: str = "",
    ) -> str:
        """Let a person write to the account, or in the group `to`; return the platform's own id of the message."""
        said = self.sandbox.say(
            platform, _split(sender)[1], _split(to)[1], text=text, media=media, kind=kind, name=name
        )
        return self._loop.run(said)

    def event(
        self, platform: str, event: str, sender: str | Target = "", *, to: str | Target = "bot", **fields: Any
    ) -> str:
        """Let a person do something other than writing text; return the platform's own id of the event.

        `event`: a kind of event such as `button_pressed`, or `raw`. `fields`: those of `POST /_sandbox/event`; media as
        `SaidMedia` with bytes in place of a blob.
        """
        given = {"media": [], **fields}
        played = self._event(platform, event, _split(sender)[1] if sender else "", _split(to)[1], given)
        return self._loop.run(played)

    async def _event(self, platform: str, event: str, sender: str, to: str, fields: dict[str, Any]) -> str:
        blobs = self.sandbox.world.blobs
        media = [
            dataclasses.replace(said, blob=await blobs.add(said.blob)) if isinstance(said.blob, bytes) else said
            for said in fields.pop("media")
        ]
        return await self.sandbox.event(platform, SimulatedEvent(event, sender, to, media=media, **fields))

    def login(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"] = "confirm") -> None:
        """Play the phone at a QR login (with `manual_logins=True`)."""
        self._loop.run(self.sandbox.login(uuid, step))

    # --- how the platforms behave -------------------------------------------------------------------------------------

    def chaos(self, endpoint: str = "*", **rule: Any) -> None:
        """Add a rule: `fault` or `status`, `delay`, `cut`, with `target`, `platform`, `rate`, `times`."""
        wanted = msgspec.convert({"endpoint": endpoint, **rule}, ChaosRule)
        self._do(lambda: self.sandbox.chaos.set([wanted]))

    def calm(self) -> None:
        """Take all chaos rules away."""
        self._do(self.sandbox.chaos.clear)

    def rules(
        self,
        platform: str,
        profile: str | None = None,
        *,
        set: Mapping[str, Any] | None = None,
        limits: bool | None = None,
    ) -> Rules:
        """Change the rules of a platform and return them; without anything to change, return those in force."""
        return self._do(lambda: self.sandbox.set_rules(platform, profile, set, limits))

    def webhook(self, platform: str, url: str) -> None:
        """Push the events of `platform` to `url`."""
        self._loop.run(self.sandbox.set_webhook(platform, url))

    def reset(self) -> None:
        """Bring everything back to the start."""
        self._do(self.sandbox.reset)

    def _people(self, kind: Literal["user", "group"], count: int, account: str) -> list[str]:
        platform = account.partition(".")[0]
        ids = self._do(lambda: self.sandbox.people(platform, kind, count))
        return [str(Target(account, kind, id)) for id in ids]

    def _do(self, work: Callable[[], T]) -> T:
        async def once() -> T:
            return work()

        return self._loop.run(once())


def _split(target: str | Target) -> tuple[str, str]:
    """Return platform and id; the platform is empty where `target` is an id already."""
    try:
        parsed = Target.parse(target)
    except UnknownTarget:
        return "", str(target)
    return parsed.platform, parsed.id
