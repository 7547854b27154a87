"""Everything that `yizhan.open` gives, without async: the same calls, waiting for their results.

Written by `python -m checks.blocking --write` from the asynchronous classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from yizhan.accounts.contacts import Contacts
from yizhan.broadcasts.broadcast import Broadcast
from yizhan.broadcasts.broadcasts import Broadcasts
from yizhan.broadcasts.create import Audience, WhenRefused
from yizhan.broadcasts.options import BroadcastOptions
from yizhan.broadcasts.plan import BroadcastPlan
from yizhan.broadcasts.report import BroadcastReport
from yizhan.broadcasts.rows import BroadcastRow, Recipient, RecipientState
from yizhan.broadcasts.states import BroadcastState
from yizhan.calls.deliveries import Which
from yizhan.calls.streams import TextStream
from yizhan.engine import Engine
from yizhan.media.ingest import Progress
from yizhan.media.library import Check, Library
from yizhan.media.references import Trust
from yizhan.media.sources import Source
from yizhan.model import Event, Forward, Kind, Media, Message, Receipt, Reply, SegmentLike, State, Target
from yizhan.platforms.adapter import Adapter, Finding, LoginStep
from yizhan.runtime.blocking import BlockingStore, StoreLoop
from yizhan.sending.accept import Moment, Targets
from yizhan.sending.operations import Outcome
from yizhan.sending.outbox.listing import DeliveryFilter, ListedDelivery
from yizhan.sending.plan import Plan


class BlockingBroadcast:
    """`Broadcast`, waiting for its results."""

    def __init__(self, loop: StoreLoop, inner: Broadcast) -> None:
        self._loop, self._inner = loop, inner
        self.number = inner.number
        self.name = inner.name
        self.total = inner.total
        self.repeated = inner.repeated

    @property
    def id(self) -> str:
        """The id that people see and paste: `b7`."""
        return self._loop.call(lambda: self._inner.id)

    def row(self) -> BroadcastRow:
        """Return state, reason, times and options as they are now."""
        return self._loop.run(self._inner.row())

    def counts(self) -> dict[State, int]:
        """Return how many recipients stand in each state; their sum is `total` less the refused."""
        return self._loop.run(self._inner.counts())

    def wait(self, timeout: float | None = None, *, until_held: bool = True) -> dict[State, int]:
        """Wait until nothing of it is queued or being sent (nor held, unless `until_held`); returns the counts."""
        return self._loop.run(self._inner.wait(timeout, until_held=until_held))

    def receipts(self, states: Sequence[State] = (), limit: int = 100000) -> list[Receipt]:
        """Return the receipts of the deliveries that are in the outbox, in the order of the recipients."""
        return self._loop.run(self._inner.receipts(states, limit))

    def recipients(self, states: Sequence[str] = ()) -> Iterator[RecipientState]:
        """Yield a row for every recipient, in order, also while it runs; `states` are those of `RecipientState`."""
        return self._loop.each(self._inner.recipients(states))

    def report(self) -> BroadcastReport:
        """Return totals by account, state and code, the timeline, and what was recalled."""
        return self._loop.run(self._inner.report())

    def configure(self, *, name: str | None = None, options: BroadcastOptions | None = None) -> None:
        """Change its name, or how it runs; also while it runs."""
        return self._loop.run(self._inner.configure(name=name, options=options))

    def plan(self, at: float | None = None) -> BroadcastPlan:
        """Return what its start would do, now or at a time in seconds since the epoch: parts, uploads, times, …"""
        return self._loop.run(self._inner.plan(at))

    def test(self, to: Sequence[str | Target | Recipient]) -> list[Receipt]:
        """Send its message to a few targets, outside of its counts, and return their receipts once they end."""
        return self._loop.run(self._inner.test(to))

    def start(self, at: float | None = None) -> None:
        """Start it now, or at a time in seconds since the epoch."""
        return self._loop.run(self._inner.start(at))

    def unschedule(self) -> None:
        """Make a draft of it again."""
        return self._loop.run(self._inner.unschedule())

    def pause(self) -> None:
        """Let nothing more of it leave; what is on the wire, and the rest of half-sent messages, finishes."""
        return self._loop.run(self._inner.pause())

    def resume(self) -> None:
        return self._loop.run(self._inner.resume())

    def cancel(self) -> int:
        """Let nothing more of it leave, for good; returns how many recipients get nothing."""
        return self._loop.run(self._inner.cancel())

    def recall(self) -> None:
        """Cancel it and recall what was sent, as far as the platforms allow; goes on by itself until that is done."""
        return self._loop.run(self._inner.recall())

    def retry(self, states: Sequence[State] = (State.FAILED, State.EXPIRED, State.CANCELLED)) -> BlockingBroadcast:
        """Start a new broadcast to those recipients that ended in `states`; they get the parts that are missing."""
        return BlockingBroadcast(self._loop, self._loop.run(self._inner.retry(states)))


class BlockingBroadcasts:
    """`Broadcasts`, waiting for its results."""

    def __init__(self, loop: StoreLoop, inner: Broadcasts) -> None:
        self._loop, self._inner = loop, inner

    def create(
        self,
        to: Audience,
        *content: SegmentLike | Message | Sequence[SegmentLike],
        name: str = "",
        key: str | None = None,
        options: BroadcastOptions | None = None,
        refused: WhenRefused = "fail",
    ) -> BlockingBroadcast:
        """Store a draft, which leaves when it is started: `await draft.start()`."""
        return BlockingBroadcast(
            self._loop,
            self._loop.run(self._inner.create(to, *content, name=name, key=key, options=options, refused=refused)),
        )

    def get(self, which: str) -> BlockingBroadcast:
        """Return the broadcast of an id such as `b7`."""
        return BlockingBroadcast(self._loop, self._loop.run(self._inner.get(which)))

    def list(
        self, states: Sequence[BroadcastState | str] = (), *, limit: int = 100, before: str | None = None
    ) -> list[BlockingBroadcast]:
        """Return broadcasts, newest first: those in `states`, or all. `before`: those older than that id."""
        return [
            BlockingBroadcast(self._loop, one)
            for one in self._loop.run(self._inner.list(states, limit=limit, before=before))
        ]


class BlockingContacts:
    """`Contacts`, waiting for its results."""

    def __init__(self, loop: StoreLoop, inner: Contacts) -> None:
        self._loop, self._inner = loop, inner

    def put(self, name: str, targets: str | Target | Iterable[str | Target]) -> None:
        """Give `name` to `targets`, replacing its earlier ones: one target for `@alice`, any number for `#staff`."""
        return self._loop.run(self._inner.put(name, targets))

    def get(self, name: str) -> list[str]:
        """Return the targets of a name, in order."""
        return self._loop.run(self._inner.get(name))

    def remove(self, name: str) -> None:
        """Remove a name; no person or group is removed."""
        return self._loop.run(self._inner.remove(name))

    def all(self) -> dict[str, list[str]]:
        """Return the targets of every name, aliases first."""
        return self._loop.run(self._inner.all())


class BlockingLibrary:
    """`Library`, waiting for its results."""

    def __init__(self, loop: StoreLoop, inner: Library) -> None:
        self._loop, self._inner = loop, inner

    def add(
        self,
        source: Source,
        name: str | None = None,
        kind: Kind | None = None,
        progress: Progress | None = None,
        trust: Trust | None = None,
        check: Check | None = None,
    ) -> Media:
        """Store `source` and return its media; the same bytes are stored once, whatever their names."""
        return self._loop.run(self._inner.add(source, name, kind, progress, trust, check))

    def find(self, sha256: str) -> Media | None:
        return self._loop.run(self._inner.find(sha256))

    def get(self, sha256: str) -> Media:
        """Return the media with digest `sha256`."""
        return self._loop.run(self._inner.get(sha256))

    def verify(self, sha256: str) -> str:
        """Read the stored bytes and return the problem with them, or the empty string."""
        return self._loop.run(self._inner.verify(sha256))


class BlockingTextStream:
    """`TextStream`, waiting for its results."""

    def __init__(self, loop: StoreLoop, inner: TextStream) -> None:
        self._loop, self._inner = loop, inner

    def write(self, text: str) -> None:
        """Add to the text. People see it at once, or with the next update if the last one was a moment ago."""
        return self._loop.run(self._inner.write(text))

    def close(self, timeout: float | None = 60.0) -> Receipt:
        """End the text and return the receipt of the last message."""
        return self._loop.run(self._inner.close(timeout))


class Blocking(BlockingStore[Engine]):
    """`Engine`, waiting for its results."""

    def __init__(self, path: str | Path = "yizhan-data") -> None:
        super().__init__(Engine.open(path))

    def wait(
        self,
        which: BlockingBroadcast | Which | Iterable[Which],
        *,
        timeout: float | None = None,
        until_held: bool = True,
    ) -> list[Receipt]:
        """Wait until the deliveries have ended (or are held, with `until_held`) and return their receipts."""
        return self._loop.run(
            self._inner.wait(
                which._inner if isinstance(which, BlockingBroadcast) else which, timeout=timeout, until_held=until_held
            )
        )

    def recall(self, which: Which) -> Receipt:
        """Withdraw a sent message, every part of it, and return its receipt."""
        return self._loop.run(self._inner.recall(which))

    def cancel(self, which: Iterable[Which]) -> int:
        """Take deliveries that have not begun out of the queue; returns how many."""
        return self._loop.run(self._inner.cancel(which))

    def settle(self, which: Which, *, as_: Outcome) -> Receipt:
        """Settle an `unknown` delivery by hand: it "arrived", it was "lost", or it is to be sent "again"."""
        return self._loop.run(self._inner.settle(which, as_=as_))

    def retry(self, *which: Which, states: Sequence[State | str] = ()) -> list[Receipt]:
        """Send again what ended without success, named or in `states`: only the parts that are missing."""
        return self._loop.run(self._inner.retry(*which, states=states))

    def mark_read(self, target: str | Target) -> None:
        """Tell the platform that what `target` wrote has been read."""
        return self._loop.run(self._inner.mark_read(target))

    def receipt(self, which: int | str) -> Receipt:
        """Return one delivery's receipt."""
        return self._loop.run(self._inner.receipt(which))

    def deliveries(
        self,
        *,
        account: str | None = None,
        target: str | Target | None = None,
        states: Sequence[State | str] = (),
        key: str | None = None,
        broadcast: str | None = None,
        error: str | None = None,
        since: float | None = None,
        until: float | None = None,
        limit: int = 100,
        after: str | None = None,
        newest: bool = False,
    ) -> list[Receipt]:
        """Return receipts, oldest first, of the deliveries that match everything given."""
        return self._loop.run(
            self._inner.deliveries(
                account=account,
                target=target,
                states=states,
                key=key,
                broadcast=broadcast,
                error=error,
                since=since,
                until=until,
                limit=limit,
                after=after,
                newest=newest,
            )
        )

    def deliveries_with_messages(self, wanted: DeliveryFilter) -> list[ListedDelivery]:
        """Return deliveries, oldest first, each with its receipt, its key, and its message in short."""
        return self._loop.run(self._inner.deliveries_with_messages(wanted))

    def on_settled(self, listener: Callable[[Target, State], None]) -> Callable[[], None]:
        """Call `listener` with target and state whenever a delivery of this process ends or waits."""
        return self._loop.call(lambda: self._inner.on_settled(listener))

    def paused(self) -> str:
        """Return why no account of this process sends; empty while one of them does."""
        return self._loop.call(self._inner.paused)

    def events(self, accounts: str | Iterable[str] | None = None, *, reader: str | None = None) -> Iterator[Event]:
        """Yield events of `accounts` (None: all, also those added later) from this call on, each once."""
        return self._loop.each(self._inner.events(accounts, reader=reader))

    def recent_events(self, account: str | None = None, limit: int = 100) -> list[Event]:
        """Return the newest stored events, of `account` or of all, oldest of them first."""
        return self._loop.run(self._inner.recent_events(account, limit))

    def forget_reader(self, reader: str) -> bool:
        """Forget the position of `reader`, so that unread events are no longer kept for it; False if it never read."""
        return self._loop.run(self._inner.forget_reader(reader))

    def listen(self, accounts: str | Iterable[str] | None = None) -> None:
        """Begin to receive events of `accounts` in the background: windows open, and held deliveries are sent."""
        return self._loop.run(self._inner.listen(accounts))

    def receive_webhook(self, account: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Store an event that a platform pushed to this program's own address; return status and JSON of the answer."""
        return self._loop.run(self._inner.receive_webhook(account, headers, body))

    def save(
        self,
        source: Forward | str,
        reference: Mapping[str, Any] | None = None,
        name: str | None = None,
        *,
        as_received: bool = False,
    ) -> Media:
        """Download received media into the library: `save(segment)`, with a `Forward` segment of an event."""
        return self._loop.run(self._inner.save(source, reference, name, as_received=as_received))

    def stream(self, event: Event) -> BlockingTextStream:
        """Answer `event` with a text that grows: `async with yz.stream(event) as text: await text.write("…")`."""
        return BlockingTextStream(self._loop, self._loop.call(lambda: self._inner.stream(event)))

    @property
    def recovered(self) -> tuple[int, int]:
        """Numbers of deliveries that a crash interrupted: resent under the same key, and unknown."""
        return self._loop.call(lambda: self._inner.recovered)

    def add_account(self, name: str, **settings: Any) -> None:
        """Add or replace an account, `platform.name`, with the settings that its platform declares."""
        return self._loop.run(self._inner.add_account(name, **settings))

    def remove_account(self, name: str) -> bool:
        """Remove an account with its session; deliveries through it stay on record. False if there was none."""
        return self._loop.run(self._inner.remove_account(name))

    def accounts(self) -> dict[str, dict[str, Any]]:
        """Return every account's settings by name, secrets masked."""
        return self._loop.run(self._inner.accounts())

    def login(self, account: str, show: Callable[[LoginStep], None]) -> str:
        """Log an account in, or check that it still is; returns its identity in words."""
        return self._loop.run(self._inner.login(account, show))

    def check(self, account: str) -> Sequence[Finding]:
        """Return the problems that keep `account` from sending, and the checks that passed."""
        return self._loop.run(self._inner.check(account))

    def adapter(self, account: str) -> Adapter:
        """Return the account's adapter, with the platform's raw calls."""
        return self._loop.run(self._inner.adapter(account))

    def upload(
        self,
        source: Any,
        name: str | None = None,
        *,
        to: Targets | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Media:
        """Add a path, an address, bytes, a file object or an async stream to the library, to be sent many times."""
        return self._loop.run(self._inner.upload(source, name, to=to, progress=progress))

    def share(self, media: Media, seconds: float = 600.0) -> str:
        """Return an address under which anyone who has it can fetch `media` until `seconds` from now."""
        return self._loop.run(self._inner.share(media, seconds))

    def take_in(self, message: Message) -> Message:
        """Return `message` with every path, bytes or stream in it replaced by media of the library."""
        return self._loop.run(self._inner.take_in(message))

    def targets(self, to: Targets) -> list[Target]:
        """Resolve targets, `@aliases` and `#tags` to targets, each once, in order."""
        return self._loop.run(self._inner.targets(to))

    def send(
        self,
        to: Targets,
        *content: SegmentLike | Message | Sequence[SegmentLike],
        reply: Reply | None = None,
        key: str | None = None,
        timeout: float | None = 60.0,
        expires_in: float | None = None,
        at: Moment | None = None,
    ) -> Receipt:
        """Send to one target and return its receipt once it is sent, or held for a window or for its time."""
        return self._loop.run(
            self._inner.send(to, *content, reply=reply, key=key, timeout=timeout, expires_in=expires_in, at=at)
        )

    def reply(
        self,
        event: Event,
        *content: SegmentLike | Message | Sequence[SegmentLike],
        key: str | None = None,
        timeout: float | None = 60.0,
    ) -> Receipt:
        """Answer `event` in its conversation; overtakes everything that is not an answer."""
        return self._loop.run(self._inner.reply(event, *content, key=key, timeout=timeout))

    def submit(
        self,
        to: Targets,
        *content: SegmentLike | Message | Sequence[SegmentLike],
        reply: Reply | None = None,
        key: str | None = None,
        priority: int | None = None,
        expires_in: float | None = None,
        at: Moment | None = None,
    ) -> list[Receipt]:
        """Store one delivery per target in one commit and return their receipts; they are sent in the background."""
        return self._loop.run(
            self._inner.submit(to, *content, reply=reply, key=key, priority=priority, expires_in=expires_in, at=at)
        )

    def broadcast(
        self,
        to: Audience,
        *content: SegmentLike | Message | Sequence[SegmentLike],
        name: str = "",
        key: str | None = None,
        expires_in: float | None = None,
        at: Moment | None = None,
        options: BroadcastOptions | None = None,
        refused: WhenRefused = "fail",
    ) -> BlockingBroadcast:
        """Start a broadcast: one message to many targets, on any accounts; every media is uploaded once per scope."""
        return BlockingBroadcast(
            self._loop,
            self._loop.run(
                self._inner.broadcast(
                    to, *content, name=name, key=key, expires_in=expires_in, at=at, options=options, refused=refused
                )
            ),
        )

    def plan(
        self,
        to: Targets,
        *content: SegmentLike | Message | Sequence[SegmentLike],
        reply: Reply | None = None,
        at: Moment | None = None,
    ) -> list[Plan]:
        """Return what sending would do, target by target; nothing is stored but the media themselves."""
        return self._loop.run(self._inner.plan(to, *content, reply=reply, at=at))

    @property
    def library(self) -> BlockingLibrary:
        return BlockingLibrary(self._loop, self._inner.library)

    @property
    def contacts(self) -> BlockingContacts:
        return BlockingContacts(self._loop, self._inner.contacts)

    @property
    def broadcasts(self) -> BlockingBroadcasts:
        return BlockingBroadcasts(self._loop, self._inner.broadcasts)
