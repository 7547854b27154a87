"""A platform in memory, controlled by the test: for the durable path alone, without a wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from yizhan.errors import HandleExpired, Unsupported
from yizhan.model import (
    Content,
    Event,
    File,
    Handle,
    Image,
    Media,
    Message,
    PlatformId,
    Receipt,
    SendKey,
    Target,
    Text,
    Video,
    Voice,
)
from yizhan.platforms.adapter import Adapter, Finding, Limit, LoginStep, MediaNeed, Part
from yizhan.platforms.spec import AccountSettings, KindCapabilities, Platform, platforms


class FakeSettings(AccountSettings, frozen=True):
    pass


class Network:
    """The messages that arrived, and the failures that a test asks for."""

    def __init__(self) -> None:
        self.arrived: list[tuple[Target, str, SendKey]] = []
        self.times: list[float] = []
        """When each of them arrived."""
        self.uploads: list[MediaNeed] = []
        self.recalled: list[str] = []
        self.script: Callable[[Target, int], Exception | None] = lambda target, number: None
        """Called before every send with the target and the number of attempts so far; a returned error is raised."""
        self.after: Callable[[Target, int], Exception | None] = lambda target, number: None
        """The same, after the message has arrived."""
        self.upload_error: Callable[[int], Exception | None] = lambda number: None
        self.limits: Callable[[Message, Target], Sequence[Limit]] = lambda message, target: ()
        self.handle_ends: float | None = None
        self.repeatable = False
        self.repeatable_to: Callable[[Target], bool] = lambda target: False
        """Targets at which repeats are recognized, where that is not so everywhere."""
        self.recognise: Callable[[PlatformId], PlatformId | Exception] | None = None
        """Returns the answer to a repeat under a key that arrived; None: it arrives once more."""
        self.known: dict[int, PlatformId] = {}
        self.late: Callable[[], float] = lambda: 0.0
        """Seconds between a message's arrival and the answer."""
        self.delay = 0.0
        self.tries: dict[str, int] = {}
        self.concurrent = 0
        self.most_concurrent = 0
        self.order: list[str] = []
        self.inbox: asyncio.Queue[Event | Exception] = asyncio.Queue()
        """Incoming events of every account that has no inbox of its own; an error ends the stream with it."""
        self.inboxes: dict[str, asyncio.Queue[Event | Exception]] = {}
        self.listened: list[str] = []
        """The account, every time that its event stream was opened."""
        self.contexts: list[Mapping[str, Any]] = []
        """The context of the conversation at every send."""
        self.refused_tokens: set[str] = set()
        self.tells_progress = False
        self.identity = "fake"
        self.session = "login 1"
        """The login of every account, within which a repeat under the same key is recognized."""
        self.gate: asyncio.Event | None = None
        self.upload_gate: asyncio.Event | None = None


NETWORK = Network()


class FakeAdapter(Adapter):
    def compose(self, message: Message, target: Target) -> Sequence[Part]:
        parts = []
        repeatable = NETWORK.repeatable or NETWORK.repeatable_to(target)
        for segment in message.segments:
            if isinstance(segment, Text):
                parts.append(Part("send", segment.text, repeatable=repeatable, summary=f"text {segment.text}"))
            elif isinstance(segment, (Image, Video, Voice, File)) and isinstance(segment.media, Media):
                need = MediaNeed(segment.media, target.kind, "image", segment.name)
                parts.append(Part("send", segment.name, (need,), repeatable, "image"))
            else:
                raise Unsupported(f"{target} cannot take a {type(segment).__name__}.")
        return parts

    def session(self) -> str:
        return NETWORK.session

    def limits(self, message: Message, target: Target) -> Sequence[Limit]:
        return NETWORK.limits(message, target)

    async def upload(self, need: MediaNeed, content: Content, target: Target, progress: Any = None) -> Handle:
        error = NETWORK.upload_error(len(NETWORK.uploads) + 1)
        NETWORK.uploads.append(need)
        await asyncio.sleep(0.01)
        if NETWORK.tells_progress and progress is not None:
            progress(content.size)
        if NETWORK.upload_gate is not None:
            await NETWORK.upload_gate.wait()
        if error is not None:
            raise error
        ends = None if NETWORK.handle_ends is None else self.context.clock.now() + NETWORK.handle_ends
        return Handle(f"h{len(NETWORK.uploads)}", need.scope, ends)

    async def send(
        self, part: Part, handles: Mapping[MediaNeed, Handle], target: Target, key: SendKey, message: Message
    ) -> PlatformId:
        name = f"{target.id}:{part.body}"
        number = NETWORK.tries[name] = NETWORK.tries.get(name, 0) + 1
        NETWORK.contexts.append(self.context.context_of(target))
        NETWORK.concurrent += 1
        NETWORK.most_concurrent = max(NETWORK.most_concurrent, NETWORK.concurrent)
        try:
            if NETWORK.gate is not None:
                await NETWORK.gate.wait()
            await asyncio.sleep(NETWORK.delay)
            if NETWORK.refused_tokens & {handle.token for handle in handles.values()}:
                raise HandleExpired("no such handle")
            if (error := NETWORK.script(target, number)) is not None:
                raise error
            if part.repeatable and NETWORK.recognise is not None and key.token in NETWORK.known:
                answer = NETWORK.recognise(NETWORK.known[key.token])
                if isinstance(answer, Exception):
                    raise answer
                return answer
            text = f"{part.body} {' '.join(h.token for h in handles.values())}".strip()
            NETWORK.arrived.append((target, text, key))
            NETWORK.times.append(self.context.clock.now())
            NETWORK.order.append(f"{target.id} {part.body}")
            NETWORK.known[key.token] = PlatformId(f"m{len(NETWORK.arrived)}")
            await asyncio.sleep(NETWORK.late())
            if (error := NETWORK.after(target, number)) is not None:
                raise error
        finally:
            NETWORK.concurrent -= 1
        return NETWORK.known[key.token]

    async def recall(self, sent: PlatformId, target: Target, receipt: Receipt) -> None:
        NETWORK.recalled.append(sent.id)

    async def mark_read(self, target: Target) -> None:
        raise Unsupported("no such call")

    async def events(self) -> AsyncIterator[Event]:
        NETWORK.listened.append(self.context.name)
        while True:
            item = await NETWORK.inboxes.get(self.context.name, NETWORK.inbox).get()
            if isinstance(item, Exception):
                raise item
            yield item

    async def login(self, show: Callable[[LoginStep], None]) -> str:
        return NETWORK.identity

    async def check(self) -> Sequence[Finding]:
        return ()

    async def close(self) -> None:
        pass


FAKE = Platform(
    name="fake",
    title="Fake",
    network="qq",
    settings=FakeSettings,
    capabilities={
        "user": KindCapabilities(frozenset({"text", "image"})),
        "group": KindCapabilities(frozenset({"text", "image"})),
    },
    adapter="tests.sending.fake:FakeAdapter",
    server="",
    folder=Path(__file__).parent,
)


@contextmanager
def fake_network() -> Iterator[Network]:
    """A fresh network, with the fake platform registered beside the real ones."""
    global NETWORK  # noqa: PLW0603
    NETWORK = Network()
    registered: Any = platforms()
    registered["fake"] = FAKE
    try:
        yield NETWORK
    finally:
        del registered["fake"]
