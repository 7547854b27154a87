"""The public calls of the library: `async with yizhan.open(path) as yz`. The rooms below do the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from msgspec.structs import replace

from yizhan.broadcasts.broadcast import Broadcast
from yizhan.broadcasts.broadcasts import Broadcasts
from yizhan.broadcasts.create import Audience, WhenRefused
from yizhan.broadcasts.options import BroadcastOptions
from yizhan.calls.deliveries import DeliveryCalls
from yizhan.calls.events import EventCalls
from yizhan.calls.streams import StreamCalls
from yizhan.errors import Refused
from yizhan.model import Clock, Event, Media, Message, Receipt, Reply, SegmentLike, Target, message_of
from yizhan.platforms.adapter import Adapter, Finding, LoginStep
from yizhan.sending.accept import Moment, Targets
from yizhan.sending.decide import Policy
from yizhan.sending.delivery import REPLY
from yizhan.sending.plan import Plan
from yizhan.supervisor import Supervisor

if TYPE_CHECKING:
    from yizhan.config.settings import KeepSettings
    from yizhan.media.share import ShareSettings


class Engine(DeliveryCalls, EventCalls, StreamCalls):
    """One open store. Made by `Engine.open`; ended by `close`."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        """The rooms behind these calls, for programs that look closer; they may change from version to version."""
        self.clock, self.folder = supervisor.clock, supervisor.folder
        self.library, self.contacts = supervisor.library, supervisor.contacts
        self.handles, self.records = supervisor.handles, supervisor.records

    @classmethod
    async def open(
        cls,
        path: str | Path = "yizhan-data",
        *,
        clock: Clock | None = None,
        policy: Policy | None = None,
        sending: bool = True,
        concurrency: int = 32,
        share: ShareSettings | None = None,
        key: str | None = None,
        keep: KeepSettings | None = None,
    ) -> Engine:
        """Open the store in the folder `path`, making it if need be, and start sending due deliveries.

        `sending=False` only looks and stores: submitted deliveries wait for a process that sends. `concurrency`: how
        many sends of one account may be under way at once; a platform's rules may say less. `share`: where media are
        served for platforms that take addresses only; a free port of the loopback address otherwise. `key`: the key of
        the store, base64 of 32 bytes, instead of YIZHAN_KEY or the file in the store. `keep`: how long
        deliveries, attempts, events and media are kept.

        Raises:
            StorageError: the folder cannot be used, or was written by a newer version.
        """
        return cls(
            await Supervisor.open(
                Path(path),
                clock=clock,
                policy=policy,
                sending=sending,
                concurrency=concurrency,
                share=share,
                key=key,
                keep=keep,
            )
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish what is under way (a few seconds at most), then close everything. Waiting deliveries stay stored."""
        await self.supervisor.close()

    @property
    def recovered(self) -> tuple[int, int]:
        """Numbers of deliveries that a crash interrupted: resent under the same key, and unknown."""
        return self.supervisor.worker.recovered

    # --- accounts ---

    async def add_account(self, name: str, **settings: Any) -> None:
        """Add or replace an account, `platform.name`, with the settings that its platform declares.

        Raises:
            ConfigError: no such platform, or a setting is unknown, missing or of the wrong kind.
        """
        await self.supervisor.add_account(name, settings)

    async def remove_account(self, name: str) -> bool:
        """Remove an account with its session; deliveries through it stay on record. False if there was none."""
        return await self.supervisor.remove_account(name)

    async def accounts(self) -> dict[str, dict[str, Any]]:
        """Return every account's settings by name, secrets masked."""
        return await self.supervisor.accounts.shown()

    async def login(self, account: str, show: Callable[[LoginStep], None]) -> str:
        """Log an account in, or check that it still is; returns its identity in words.

        Raises:
            LoginNeeded: it was refused, or not confirmed in time.
        """
        return await self.supervisor.login(account, show)

    async def check(self, account: str) -> Sequence[Finding]:
        """Return the problems that keep `account` from sending, and the checks that passed."""
        return await (await self.adapter(account)).check()

    async def adapter(self, account: str) -> Adapter:
        """Return the account's adapter, with the platform's raw calls.

        Raises:
            UnknownAccount: no such account.
        """
        return (await self.supervisor.accounts.use(account)).adapter

    # --- media ---

    async def upload(
        self,
        source: Any,
        name: str | None = None,
        *,
        to: Targets | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Media:
        """Add a path, an address, bytes, a file object or an async stream to the library, to be sent many times.

        `to`: also upload it to the platforms of those targets now, so that the sends need not. `progress`: called with
        the number of bytes read since the last call.

        Raises:
            MediaFormat: empty or unreadable.
            MediaTooLarge: over the library's limit.
        """
        media = await self.library.add(source, name=name, progress=progress)
        if to is not None:
            await self.supervisor.acceptance.place(media, await self.targets(to), self.handles)
        return media

    async def share(self, media: Media, seconds: float = 600.0) -> str:
        """Return an address under which anyone who has it can fetch `media` until `seconds` from now.

        Raises:
            ConfigError: nothing can listen where `Engine.open(share=…)` said.
            StorageError: the library does not hold the media.
        """
        return await self.supervisor.shared.address(media, seconds)

    async def take_in(self, message: Message) -> Message:
        """Return `message` with every path, bytes or stream in it replaced by media of the library.

        Raises:
            MediaFormat: empty, unreadable, or not of the kind that its segment says.
        """
        return await self.supervisor.acceptance.take_in(message)

    # --- sending ---

    async def targets(self, to: Targets) -> list[Target]:
        """Resolve targets, `@aliases` and `#tags` to targets, each once, in order.

        Raises:
            UnknownTarget: malformed, or no such alias or tag; the text names close ones.
        """
        return await self.supervisor.acceptance.targets(to)

    async def send(
        self,
        to: Targets,
        *content: SegmentLike | Message | Sequence[SegmentLike],
        reply: Reply | None = None,
        key: str | None = None,
        timeout: float | None = 60.0,
        expires_in: float | None = None,
        at: Moment | None = None,
    ) -> Receipt:
        """Send to one target and return its receipt once it is sent, or held for a window or for its time.

        `key`: the same call with the same key finds the first call's delivery. `timeout`: seconds of real time to wait;
        then the receipt has the state so far, and the delivery continues. `at`: a datetime, or seconds since the epoch,
        before which it does not leave. `expires_in`: seconds, from `at` on, after which it is not begun.

        Raises:
            Refused: the message cannot be sent; nothing was stored.
            LoginNeeded: the account must log in first; the delivery waits for that.
            DeliveryFailed: it failed, or whether it arrived is unknown; holds the receipt.
        """
        message = message_of(*content, reply=reply)
        return await self.supervisor.send(to, message, timeout, key=key, expires_in=expires_in, at=at)

    async def reply(
        self,
        event: Event,
        *content: SegmentLike | Message | Sequence[SegmentLike],
        key: str | None = None,
        timeout: float | None = 60.0,
    ) -> Receipt:
        """Answer `event` in its conversation; overtakes everything that is not an answer.

        Raises:
            Refused: the event has no conversation, or cannot carry this.
            DeliveryFailed, LoginNeeded: as in `send`.
        """
        if event.target is None:
            raise Refused(f"The event {event.id} ({event.kind.value}) has no conversation to answer in.")
        message = message_of(*content, reply=event.reply)
        return await self.supervisor.send(event.target, message, timeout, key=key, priority=REPLY)

    async def submit(
        self,
        to: Targets,
        *content: SegmentLike | Message | Sequence[SegmentLike],
        reply: Reply | None = None,
        key: str | None = None,
        priority: int | None = None,
        expires_in: float | None = None,
        at: Moment | None = None,
    ) -> list[Receipt]:
        """Store one delivery per target in one commit and return their receipts; they are sent in the background.

        `key`, `expires_in`, `at` as in `send`.

        Raises:
            Refused: the message cannot be sent; nothing was stored.
        """
        message = message_of(*content, reply=reply)
        submitted = await self.supervisor.submit(to, message, key=key, priority=priority, expires_in=expires_in, at=at)
        return await self.records.receipts(submitted.seqs, limit=len(submitted.seqs))

    async def broadcast(
        self,
        to: Audience,
        *content: SegmentLike | Message | Sequence[SegmentLike],
        name: str = "",
        key: str | None = None,
        expires_in: float | None = None,
        at: Moment | None = None,
        options: BroadcastOptions | None = None,
        refused: WhenRefused = "fail",
    ) -> Broadcast:
        """Start a broadcast: one message to many targets, on any accounts; every media is uploaded once per scope.

        `to`: targets, `@aliases`, `#tags`, or `Recipient` values with the values of `{placeholders}`. `key`: the same
        call with the same key finds the first call's broadcast. `at`: a datetime, or seconds since the epoch, when it
        starts. `expires_in`: seconds after the start in which a delivery must have begun. `refused`: "skip" leaves out
        targets that it cannot be sent to, with the reason in the report; "fail" raises.

        Raises:
            Refused: it cannot be sent to one of them; nothing was stored.
        """
        start_at, expires_in = await self.supervisor.acceptance.checked_times(key, at, expires_in)
        options = options or BroadcastOptions()
        if expires_in is not None:
            options = replace(options, stop_at=max(self.clock.now(), start_at) + expires_in)
        actions = self.supervisor.broadcast_actions
        created = await actions.create(
            message_of(*content),
            to,
            name=name,
            key=key,
            options=options,
            start=True,
            start_at=start_at,
            refused=refused,
        )
        return Broadcast(created.row, actions, repeated=created.repeated)

    @property
    def broadcasts(self) -> Broadcasts:
        """All broadcasts of the store: drafts, running and ended ones."""
        return Broadcasts(self.supervisor.broadcast_actions)

    async def plan(
        self,
        to: Targets,
        *content: SegmentLike | Message | Sequence[SegmentLike],
        reply: Reply | None = None,
        at: Moment | None = None,
    ) -> list[Plan]:
        """Return what sending would do, target by target; nothing is stored but the media themselves.

        Times are those at which each would begin, behind what waits already and behind the targets before it, as far as
        the platform's limits say. `at`: as in `send`.

        Raises:
            Refused: as sending would.
        """
        targets = await self.targets(to)
        return await self.supervisor.planner.plan(targets, message_of(*content, reply=reply), at)
