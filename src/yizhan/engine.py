"""The engine: storage, media, delivery and platforms put together. `async with yizhan.open(path) as yz:`.

One class with every public call of the library, each with its errors; what a call needs is done in the rooms below.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from yizhan.accounts.registry import Accounts, Change, OpenAccount, identity_of
from yizhan.accounts.tables import AccountTable, ContactTable
from yizhan.errors import (
    DeliveryFailed,
    LoginNeeded,
    MediaFormat,
    MediaTooLarge,
    Refused,
    StorageError,
    Unsupported,
    YizhanError,
)
from yizhan.media.received import Announced, receive
from yizhan.media.upload_table import HandleTable
from yizhan.media.uploads import HandleCache
from yizhan.model import (
    Clock,
    Event,
    Forward,
    Media,
    Message,
    PlatformId,
    Receipt,
    Reply,
    SegmentLike,
    State,
    Target,
    load_message,
    message_of,
)
from yizhan.platforms.adapter import Adapter, Finding, LoginStep
from yizhan.platforms.spec import platform_named
from yizhan.receiving.event_log import EventTable
from yizhan.receiving.listener import Inbox
from yizhan.runtime.clock import SystemClock
from yizhan.sending.accept import Acceptance, Moment, Targets
from yizhan.sending.broadcast import PACE, Broadcast
from yizhan.sending.decide import Policy
from yizhan.sending.delivery import BROADCAST, REPLY, Submitted, delivery_id, delivery_seq
from yizhan.sending.fitting import MessageCache
from yizhan.sending.lane import Lane
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.outbox.receipts import Records
from yizhan.sending.plan import Plan
from yizhan.sending.run import REPEAT_SECONDS, Runner
from yizhan.sending.waiters import SettledListener, Waiters
from yizhan.sending.worker import Worker
from yizhan.storage.counters import known_store_id, make_store_id
from yizhan.storage.ledger import Ledger
from yizhan.storage.vault import Vault

if TYPE_CHECKING:
    from yizhan.media.library import Library
    from yizhan.media.share import ShareServer, ShareSettings

TIDY_SECONDS = 3600.0
RECEIVED_VOICE = "voice;format=wav;rate=24000"
"""SILK has no rate of its own: WeChat's clients play it at this one."""

log = logging.getLogger(__name__)


class Engine:
    """Everything on one store. Made by `Engine.open`; ended by `close`."""

    def __init__(
        self, ledger: Ledger, vault: Vault, library: Library, clock: Clock, store_id: str, folder: Path, policy: Policy
    ) -> None:
        self.clock = clock
        from yizhan.media.variants import Variants

        self.library = library
        self.prepare = Variants(library)
        self.share_settings: ShareSettings | None = None
        self.outbox = Outbox(ledger, clock)
        self.records = Records(ledger)
        self.shelf = HandleCache(HandleTable(ledger, vault), clock, self.prepare)
        self.contacts = ContactTable(ledger)
        self.event_table = EventTable(ledger, vault)
        self.folder = folder
        self.ledger = ledger
        self.concurrency = 32
        self._accounts = Accounts(
            AccountTable(ledger, vault),
            self.event_table,
            self.outbox,
            clock,
            open_media=library.open,
            variant=self.prepare.variant,
            share=self.share,
        )
        self._vault = vault
        self._store_id = store_id
        self._policy = policy
        self._waiters = Waiters()
        self._closed = False
        self._listening_to_all = False
        self._messages = MessageCache(self.records, self.prepare)
        self._sharing: ShareServer | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[Any]] = set()
        self.worker = Worker(self.outbox, folder / "worker.lock", self._make_lane, self._reopen, self._break_up_lines)
        self._acceptance = Acceptance(
            self._accounts, self.contacts, library, self._messages, self.outbox, self.worker, clock, self._fetch
        )
        self.inbox = Inbox(self.event_table, self.outbox, self.worker, clock, folder, self._accounts.use)

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
    ) -> Engine:
        """Open the store in the folder `path`, making it if need be, and start sending what is due.

        `sending=False` only looks and stores: what is submitted waits for a process that sends. `concurrency`: how
        many sends of one account may be under way at once; a platform's rules may say less. `share`: where media are
        served for platforms that take addresses only; a free port of the loopback address otherwise.

        Raises:
            StorageError: the folder cannot be used, or was written by a newer version.
        """
        from yizhan.media.blobs import open_blobs
        from yizhan.media.index import SqlMediaIndex
        from yizhan.media.library import Library

        folder = Path(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{folder} cannot be used as a store: {error}. Name another folder.") from error
        ledger = await Ledger.open(folder / "yizhan.db")
        try:
            is_new = not await ledger.read(known_store_id)
            vault = Vault.open(folder / "key", make=is_new)
            used_clock = clock or SystemClock()
            library = Library(open_blobs(folder / "blobs"), SqlMediaIndex(ledger), used_clock)
            store_id = await ledger.write(make_store_id)
        except BaseException:
            await ledger.close()
            raise
        engine = cls(ledger, vault, library, used_clock, store_id, folder, policy or Policy())
        engine.concurrency, engine.share_settings = concurrency, share
        try:
            if sending:
                await engine.worker.start()
            await engine.inbox.start()
        except BaseException:
            await engine.close()
            raise
        if engine.worker.leading:
            engine._tidying = asyncio.create_task(engine._tidy(), name="yizhan tidying")
        return engine

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Finish what is under way (a few seconds at most), then let go of everything. What waits stays stored."""
        if self._closed:
            return
        if self._tidying is not None:
            self._tidying.cancel()
            await asyncio.gather(self._tidying, return_exceptions=True)
        await self.inbox.close()
        await self.worker.close()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._closed = True
        self._waiters.close()
        for account in self._accounts.all_used():
            try:
                await account.adapter.close()
            except Exception:
                log.exception("account not closed", extra={"account": account.name})
        if self._sharing is not None:
            await self._sharing.close()
        await self.prepare.close()
        await self.ledger.close()

    # --- accounts ---

    async def add_account(self, name: str, **settings: Any) -> None:
        """Add or replace an account, `platform.name`, with the settings that its platform declares.

        Raises:
            ConfigError: no such platform, or a setting is unknown, missing or of the wrong kind.
        """
        change = await self._accounts.put(name, settings)
        listened = False
        if change is not Change.NONE:
            listened = await self._forget(name)
            # What was held by its limits may go by the new ones.
            await self.outbox.requeue_waiting(name)
        if change is Change.IDENTITY:
            await self.shelf.forget(name)
        if listened or self._listening_to_all:
            self.inbox.listen([name])
        await self.outbox.bump_revision()

    async def remove_account(self, name: str) -> bool:
        """Remove an account with its session; what was sent through it stays on record. False if there was none."""
        await self._forget(name)
        removed = await self._accounts.remove(name)
        # Once more: it may have been used in between.
        await self._forget(name)
        await self.shelf.forget(name)
        # Whoever waits for what it had to send is told that it is gone.
        await self.outbox.bump_revision()
        return removed

    async def accounts(self) -> dict[str, dict[str, Any]]:
        """Return every account's settings by name, secrets masked."""
        return await self._accounts.shown()

    async def login(self, account: str, show: Callable[[LoginStep], None]) -> str:
        """Log an account in, or check that it still is; returns its identity in words.

        Raises:
            LoginNeeded: it was refused, or not confirmed in time.
        """
        opened = await self._accounts.use(account)
        identity = await opened.adapter.login(show)
        await self._known_as(opened, identity)
        self.inbox.back(account)
        if not self.worker.leading:
            await self.outbox.bump_revision()
        return identity

    async def check(self, account: str) -> Sequence[Finding]:
        """Look for what would keep `account` from sending."""
        return await (await self._accounts.use(account)).adapter.check()

    async def adapter(self, account: str) -> Adapter:
        """Return the account's adapter, with the platform's raw calls.

        Raises:
            UnknownAccount: no such account.
        """
        return (await self._accounts.use(account)).adapter

    # --- media ---

    async def upload(
        self,
        source: Any,
        name: str | None = None,
        *,
        to: Targets | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Media:
        """Take a path, an address, bytes, a file object or an async stream into the library, to be sent many times.

        `to`: also place it at the platforms of those targets now, so that the sends need not. `progress`: called with
        the number of bytes taken in since the last call.

        Raises:
            MediaFormat: empty or unreadable.
            MediaTooLarge: over the library's limit.
        """
        media = await self.library.add(source, name=name, progress=progress)
        if to is not None:
            for target in await self.targets(to):
                parts = await self._acceptance.compose(message_of(media), target)
                for need in [need for part in parts for need in part.needs]:
                    await self.shelf.place(target.account, need, target, await self.adapter(target.account))
        return media

    async def share(self, media: Media, seconds: float = 600.0) -> str:
        """Return an address under which `media` can be fetched until `seconds` from now; whoever has it may read them.

        Raises:
            ConfigError: nothing can listen where `Engine.open(share=…)` said.
            StorageError: the library does not hold the media.
        """
        from yizhan.media.share import ShareServer

        self.library.open(media)
        if self._sharing is None:
            secret = self._vault.derived("shared addresses")
            self._sharing = ShareServer(self.library, self.clock, secret, self.share_settings)
        return await self._sharing.address(media, seconds)

    async def take_in(self, message: Message) -> Message:
        """Return `message` with every path, bytes or stream in it replaced by media of the library.

        Raises:
            MediaFormat: empty, unreadable, or not of the kind that its segment says.
        """
        return await self._acceptance.take_in(message)

    # --- sending ---

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
        when it runs out, the receipt says where the delivery stands, and it goes on. `at`: a datetime, or seconds since
        the epoch, before which it does not leave. `expires_in`: seconds, from `at` on, after which it is not begun.

        Raises:
            Refused: it cannot be sent as it stands; nothing was stored.
            LoginNeeded: the account must log in first; the delivery waits for that.
            DeliveryFailed: it failed, or whether it arrived is unknown; holds the receipt.
        """
        targets = await self.targets(to)
        if len(targets) != 1:
            raise Refused(f"send() takes one target, this names {len(targets)}. Use broadcast() for many.")
        message = message_of(*content, reply=reply)
        return await self._send(targets[0], message, timeout, key=key, expires_in=expires_in, at=at)

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
        """Store one delivery per target in one commit and return their receipts; sending goes on by itself.

        `key`, `expires_in`, `at` as in `send`.

        Raises:
            Refused: it cannot be sent as it stands; nothing was stored.
        """
        targets, message = await self.targets(to), message_of(*content, reply=reply)
        submitted = await self._submit(targets, message, key=key, priority=priority, expires_in=expires_in, at=at)
        return await self.records.receipts(submitted.seqs, limit=len(submitted.seqs))

    async def broadcast(
        self,
        message: Message | SegmentLike | Sequence[SegmentLike],
        to: Targets,
        *,
        key: str | None = None,
        expires_in: float | None = None,
        at: Moment | None = None,
    ) -> Broadcast:
        """Send one message to many targets, on any accounts; every media is uploaded once per scope.

        `key`, `expires_in`, `at` as in `send`.

        Raises:
            Refused: it cannot be sent to one of them as it stands; nothing was stored.
        """
        targets, given = await self.targets(to), message_of(message)
        submitted = await self._submit(targets, given, key=key, priority=BROADCAST, expires_in=expires_in, at=at)
        return self._broadcast(submitted)

    async def plan(
        self,
        to: Targets,
        *content: SegmentLike | Message | Sequence[SegmentLike],
        reply: Reply | None = None,
    ) -> list[Plan]:
        """Say what sending would do, target by target; nothing is stored but the media themselves.

        Raises:
            Refused: as sending would.
        """
        targets = await self.targets(to)
        return await self._acceptance.plan(targets, message_of(*content, reply=reply), self.shelf)

    async def wait(
        self,
        which: Broadcast | Receipt | str | Iterable[Receipt | str],
        *,
        timeout: float | None = None,
        until_held: bool = True,
    ) -> list[Receipt]:
        """Wait until the deliveries have ended (or are held, with `until_held`) and return their receipts.

        What is held for a minute at most is waited for either way: that is the platform's pace.

        Raises:
            DeliveryFailed: one of them failed, expired, was cancelled or is unknown.
            LoginNeeded: an account must log in before they can go on.
        """
        if isinstance(which, Broadcast):
            await which.wait(timeout, until_held=until_held)
            return _raise_if_failed(await which.receipts())
        given = [which] if isinstance(which, (Receipt, str)) else list(which)
        seqs = [delivery_seq(one.delivery if isinstance(one, Receipt) else one) for one in given]
        receipts: list[Receipt] = []

        async def finished() -> bool:
            nonlocal receipts
            receipts = await self.records.receipts(seqs, limit=len(seqs))
            if len(receipts) < len(set(seqs)):
                known = {receipt.delivery for receipt in receipts}
                raise Refused(
                    f"There is no delivery {', '.join(delivery_id(s) for s in seqs if delivery_id(s) not in known)}."
                )
            soon = self.clock.now() + PACE
            going = [r for r in receipts if not (r.state.final or (until_held and _is_held_beyond(soon, r)))]
            stopped = [error for r in going if (error := self._why_stopped(r))]
            if stopped and len(stopped) == len(going):
                raise stopped[0]
            return not going

        await self.until(finished, timeout, seqs)
        return _raise_if_failed(receipts)

    async def recall(self, which: Receipt | str) -> Receipt:
        """Withdraw a sent message, every part of it, and return its receipt.

        Raises:
            Refused: it is not sent, or there is nothing to withdraw it by.
            Rejected: the platform says no (its window for that is over, say).
        """
        seq = delivery_seq(which.delivery if isinstance(which, Receipt) else which)
        receipt = await self.receipt(seq)
        if receipt.state is not State.SENT:
            raise Refused(f"{receipt.delivery} is {receipt.state.value}; only a sent message can be recalled.")
        target = Target.parse(receipt.target)
        adapter = await self.adapter(target.account)
        for part in receipt.platform_ids:
            if not part.id:
                raise Refused(f"{receipt.delivery}: the platform's id of a part is not known; it cannot be recalled.")
            await adapter.recall(part, target, receipt)
        await self.outbox.record_recall(seq)
        return await self.receipt(seq)

    async def cancel(self, which: Iterable[Receipt | str]) -> int:
        """Take deliveries that have not begun out of the queue; returns how many."""
        seqs = {delivery_seq(one.delivery if isinstance(one, Receipt) else one) for one in which}
        cancelled = await self.outbox.cancel(sorted(seqs))
        self._break_up_lines()
        for lane in self.worker.lanes.values():
            lane.drop([seq for seq, target in cancelled if target.account == lane.account])
            lane.wake()
        self._waiters.changed(cancelled, State.CANCELLED)
        return len(cancelled)

    async def settle_unknown(self, which: Receipt | str, *, arrived: bool | None) -> Receipt:
        """A person settles an `unknown` delivery: it arrived, it did not, or (None) it is to be sent again.

        Only the part in doubt is meant: what was sent before it stays sent, and once it is known to have arrived, the
        parts behind it follow.
        """
        seq = delivery_seq(which.delivery if isinstance(which, Receipt) else which)
        state, ids = State.QUEUED if arrived is None else State.FAILED, None
        if arrived:
            receipt = await self.receipt(seq)
            message = load_message(await self.records.message_of(seq))
            parts = await self._acceptance.compose(message, Target.parse(receipt.target))
            ids = (*receipt.platform_ids, PlatformId("", self.clock.now(), {"arrived": True}))
            state = State.SENT if len(ids) >= len(parts) else State.QUEUED
        if not await self.outbox.settle_unknown(seq, state, "settled by hand", ids):
            raise Refused(f"{delivery_id(seq)} is not unknown; there is nothing to settle.")
        receipt = await self.receipt(seq)
        await self.worker.wake(Target.parse(receipt.target).account)
        return receipt

    async def receipt(self, which: int | str) -> Receipt:
        """Return one delivery's receipt.

        Raises:
            Refused: there is no such delivery.
        """
        seq = which if isinstance(which, int) else delivery_seq(which)
        receipts = await self.records.receipts([seq])
        if not receipts:
            raise Refused(f"There is no delivery {delivery_id(seq)}.")
        return receipts[0]

    async def deliveries(
        self,
        *,
        account: str | None = None,
        target: str | Target | None = None,
        states: Sequence[State | str] = (),
        limit: int = 100,
        after: str | None = None,
        newest: bool = False,
    ) -> list[Receipt]:
        """Return receipts, oldest first, that match everything given.

        At most `limit`: the first ones, or with `newest` the last ones.
        """
        return await self.records.receipts(
            account=account,
            target=None if target is None else Target.parse(target),
            states=[State(state) for state in states],
            limit=limit,
            after=delivery_seq(after) if after else 0,
            newest=newest,
        )

    # --- receiving ---

    def events(
        self, accounts: str | Iterable[str] | None = None, *, reader: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield what comes in on `accounts` (None: all, also those added later) from this call on, each event once.

        Sources that break are opened again, with patience; when a login is lost, an event says so. `reader`: a name
        of at most 30 characters under which it is kept how far this reader is; the next time it goes on there, so that
        nothing is lost between two runs. An event is done with when the next one is asked for, and is kept for thirty
        days, or longer where a reader has not read it yet.
        """
        if reader is not None and not 0 < len(reader) <= 30:
            raise Refused(
                f"A reader's name has 1 to 30 characters, '{reader}' has {len(reader)}. Choose a shorter one."
            )
        wanted = None if accounts is None else {accounts} if isinstance(accounts, str) else set(accounts)
        return self.inbox.events(wanted, lambda: self.listen(wanted), self.inbox.latest, reader)

    async def forget_reader(self, reader: str) -> bool:
        """Forget how far `reader` is, once it will not come back: events it has not read are kept for it.

        False if it never read.
        """
        return await self.event_table.forget(reader)

    async def listen(self, accounts: str | Iterable[str] | None = None) -> None:
        """Begin to take in events of `accounts` in the background: windows open, held sends go on.

        None: of all, also of those that are added later.

        Raises:
            UnknownAccount: one that is named does not exist.
        """
        self._listening_to_all |= accounts is None
        given = [accounts] if isinstance(accounts, str) else accounts
        names = list(given) if given is not None else await self._accounts.names()
        for name in names if given is not None else ():
            await self._accounts.use(name)
        self.inbox.listen(names)

    async def receive_webhook(self, account: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Take in what a platform pushed to this program's own address; returns status and JSON to answer with.

        What it tells is stored before this returns. An error means that it was not: answer with 500, and the platform
        pushes again.

        Raises:
            Unsupported: that platform pushes nothing over HTTP.
            StorageError: it could not be stored.
        """
        adapter: Any = await self.adapter(account)
        if not hasattr(adapter, "read_webhook"):
            title = platform_named(account.partition(".")[0]).title
            raise Unsupported(f"{account}: {title} has no webhooks. Its events come by themselves: use events().")
        status, answer, event = adapter.read_webhook(headers, body)
        if event is not None:
            await self.inbox.take(account, event)
        return status, answer

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
        return await self._send(event.target, message_of(*content, reply=event.reply), timeout, key=key, priority=REPLY)

    async def save(
        self,
        source: Forward | str,
        reference: Mapping[str, Any] | None = None,
        name: str | None = None,
        *,
        as_received: bool = False,
    ) -> Media:
        """Download received media into the library: `save(segment)`, with a `Forward` segment of an event.

        `save(account, reference, name)` does the same with the parts of one. A voice in SILK, which little plays
        outside of WeChat and QQ, comes back as WAV, unless `as_received`; one that cannot be decoded comes back as it
        is.

        Raises:
            Unsupported: it has no bytes, or this account cannot fetch it.
            PlatformError: the platform no longer has it, or could not be reached.
        """
        if isinstance(source, Forward):
            account, reference, name = source.account, source.reference, name or source.name
        else:
            account = source
        if not account or reference is None:
            raise Refused("It is not known which account received this. Use save(account, reference).")
        adapter: Any = await self.adapter(account)
        announced = Announced.by(source if isinstance(source, Forward) else Forward("", dict(reference)))
        fetched = dict(reference)
        media = await receive(
            self.library, lambda: adapter.open_reference(dict(fetched)), announced, account=account, name=name or None
        )
        if as_received or media.format != "silk":
            return media
        try:
            return await self.prepare.variant(media, RECEIVED_VOICE)
        except (MediaFormat, MediaTooLarge) as error:
            log.warning("voice kept as received", extra={"account": account, "reason": str(error)})
            return media

    # --- looking at targets ---

    async def targets(self, to: Targets) -> list[Target]:
        """Resolve targets, `@aliases` and `#tags` to targets, each once, in order.

        Raises:
            UnknownTarget: malformed, or no such alias or tag; the text names close ones.
        """
        return await self._acceptance.targets(to)

    def on_settled(self, listener: SettledListener) -> Callable[[], None]:
        """Call `listener` with target and state whenever a delivery of this process ends or waits."""
        return self._waiters.listen(listener)

    def stopped(self) -> set[str]:
        """Return the accounts that are known not to send until somebody does something about them."""
        resting = {name for name, lane in self.worker.lanes.items() if lane.paused and not lane.under_way}
        return resting | self.worker.closed.keys()

    def paused(self) -> str:
        """Return why accounts of this process do not send, if all of them that were used do not."""
        lanes = self.worker.lanes.values()
        return next((lane.paused for lane in lanes), "") if lanes and all(lane.paused for lane in lanes) else ""

    async def until(
        self, finished: Callable[[], Any], timeout: float | None, seqs: Sequence[int] | None = None
    ) -> None:
        """Ask `finished` again whenever something may have changed.

        Until it is true, `timeout` seconds are over, or the engine closes.
        """
        loop = asyncio.get_running_loop()
        end = None if timeout is None else loop.time() + timeout
        while True:
            # Watched before asking, so that what settles in between is not missed.
            with self._waiters.watching(seqs or ()) as changed:
                if await finished():
                    return
                left = None if end is None else end - loop.time()
                if self._closed or (left is not None and left <= 0):
                    return
                pause = 0.5 if seqs else 0.1
                # Not wait_for, which may swallow a cancellation that comes at the same moment.
                await asyncio.wait([changed], timeout=pause if left is None else min(pause, left))

    # --- inside ---

    async def _submit(self, targets: Sequence[Target], message: Message, **how: Any) -> Submitted:
        submitted = await self._acceptance.accept(targets, message, **how)
        await self._start(submitted, targets)
        return submitted

    async def _send(self, target: Target, message: Message, timeout: float | None, **how: Any) -> Receipt:
        """Submit for one target and wait for its end without reading the store again."""
        submitted = await self._acceptance.accept([target], message, **how)
        (seq,) = submitted.seqs
        if not submitted.deliveries or not self.worker.leading:
            await self._start(submitted, [target])
            return (await self.wait(delivery_id(seq), timeout=timeout))[0]
        receipt, end = None, None if timeout is None else asyncio.get_running_loop().time() + timeout
        with self._waiters.awaiting(seq, target.account) as ended:
            await self._start(submitted, [target])
            lane = self.worker.lanes.get(target.account)
            if lane is not None and lane.paused:
                self._note_paused(target.account, lane.paused)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(end):
                    receipt = None if lane is None else await ended
        if receipt is not None and receipt.state is State.HELD and not receipt.due_at:
            # What opens its window may have been said before anybody listened, and be coming in just now.
            if seconds := self.inbox.catching_up(target.account):
                await self.wait(receipt, timeout=seconds, until_held=False)
            receipt = None
        if receipt is None:
            left = None if end is None else end - asyncio.get_running_loop().time()
            (receipt,) = await self.wait(delivery_id(seq), timeout=left)
        return _raise_if_failed([receipt])[0]

    async def _fetch(self, forward: Forward) -> Media:
        return await self.save(forward, as_received=True)

    async def _start(self, submitted: Submitted, targets: Sequence[Target]) -> None:
        """Tell the lanes what there is to do."""
        for account in dict.fromkeys(target.account for target in targets):
            if submitted.deliveries:
                await self.worker.offer(account, [job for job in submitted.deliveries if job.target.account == account])
            else:
                await self.worker.wake(account)

    def _broadcast(self, submitted: Submitted) -> Broadcast:
        return Broadcast(submitted, self.records, self.stopped, self.until, self.clock.now)

    async def _known_as(self, opened: OpenAccount, identity: str) -> None:
        """Remember who an account is; what was uploaded as somebody else is of no use."""
        kept = opened.context.state_store.get(_IDENTITY)
        if kept == identity.encode():
            return
        if kept is not None:
            await self.shelf.forget(opened.name)
        await opened.context.state_store.put(_IDENTITY, identity.encode())

    async def _forget(self, name: str) -> bool:
        """Close an account whose settings changed; it is opened anew when it is next used.

        True if it was listened to, which has ended.
        """
        opened = await self._accounts.let_go(name)
        self._messages.forget(name)
        listened = await self.inbox.stop(name)
        await self.worker.close_lane(name)
        # Opened anew before its lane had ended, it would not count what that had still sent.
        early = self._accounts.drop(name)
        self._waiters.left(name)
        for one in (opened, early):
            if one is not None:
                await one.adapter.close()
        return listened

    async def _reopen(self, name: str) -> None:
        """Open an account anew that is paused, or that another process changed; it goes on listening if it did."""
        change, lane = await self._accounts.changed(name), self.worker.lanes.get(name)
        if lane is None or (change is Change.NONE and not lane.paused):
            return
        if change is Change.IDENTITY:
            await self.shelf.forget(name)
        listened = await self._forget(name)
        self.inbox.back(name)
        if listened:
            await self.listen([name])

    async def _make_lane(self, name: str) -> Lane:
        opened = await self._accounts.use(name)
        runner = Runner(
            opened.adapter,
            self.outbox,
            self.shelf,
            opened.budget,
            self.clock,
            messages=self._messages,
            store_id=self._store_id,
            policy=self._policy,
            settled=self._waiters.settled,
            gone=self._waiters.gone,
            repeat_seconds=float(opened.context.rules.get("send.repeat_seconds", REPEAT_SECONDS)),
            identity=identity_of(opened),
        )
        concurrency = min(self.concurrency, int(opened.context.rules.get("client.concurrency", self.concurrency)))
        lane = Lane(
            name,
            runner,
            self.outbox,
            self.clock,
            concurrency=concurrency,
            on_paused=self._note_paused,
            on_expired=lambda expired: self._waiters.changed(expired, State.EXPIRED),
        )
        if platform_named(name.partition(".")[0]).listens:
            await self.listen([name])
        if reason := self.inbox.lost.get(name):
            lane.pause(reason)
        return lane

    def _note_paused(self, account: str, reason: str) -> None:
        if account not in self.inbox.lost:
            saying = asyncio.ensure_future(self.inbox.lose(account, reason))
            self._background.add(saying)
            saying.add_done_callback(self._background.discard)
        lane = self.worker.lanes.get(account)
        self._waiters.paused(account, reason, lane.under_way if lane is not None else ())

    def _break_up_lines(self) -> None:
        for opened in self._accounts.all_used():
            opened.budget.break_up_lines()

    def _why_stopped(self, receipt: Receipt) -> YizhanError | None:
        """Return why nothing becomes of a delivery until somebody does something about it."""
        account = Target.parse(receipt.target).account
        lane = self.worker.lanes.get(account)
        if lane is not None and lane.paused and delivery_seq(receipt.delivery) not in lane.under_way:
            return LoginNeeded(f"{lane.paused} The delivery waits; log in and it goes on.")
        return self.worker.closed.get(account)

    async def _tidy(self) -> None:
        """Remove what crashes left among the media, ended handles and old events, while there is other work to do."""
        from yizhan.media.housekeeping import Housekeeping

        try:
            removed = await Housekeeping(self.library).tidy()
        except Exception:
            log.exception("tidying the library failed")
        else:
            if removed:
                log.info("library tidied", extra={"removed": removed})
        while True:
            try:
                await self.shelf.tidy()
                pruned = await self.event_table.prune(self.clock.now())
                if pruned.waits_for:
                    log.info("old events are kept for readers", extra={"readers": pruned.waits_for})
            except Exception:
                log.exception("tidying failed")
            await self.clock.sleep(TIDY_SECONDS)


_IDENTITY = "identity"


def _is_held_beyond(soon: float, receipt: Receipt) -> bool:
    return receipt.state is State.HELD and not 0 < receipt.due_at <= soon


def _raise_if_failed(receipts: list[Receipt]) -> list[Receipt]:
    bad = [receipt for receipt in receipts if receipt.state.final and not receipt.ok]
    if not bad:
        return receipts
    first = bad[0]
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    raise DeliveryFailed(
        f"{first.delivery} to {first.target} is {first.state.value}: {first.detail or first.error}{more}", receipts
    )
