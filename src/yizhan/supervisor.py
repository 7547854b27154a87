"""The composition root: store, accounts, lanes and listeners of one process, put together and kept running."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yizhan.accounts.contacts import Contacts
from yizhan.accounts.received_media import ReceivedMedia
from yizhan.accounts.registry import Accounts, Change, OpenAccount
from yizhan.accounts.shared_media import SharedMedia
from yizhan.accounts.status import ACTIVE, AccountStatuses
from yizhan.accounts.tables import AccountTable, ContactTable
from yizhan.broadcasts.actions import BroadcastActions
from yizhan.broadcasts.feeder import Feeder
from yizhan.broadcasts.figures import BroadcastFigures
from yizhan.broadcasts.plan import BroadcastPlanner
from yizhan.broadcasts.recall import Recaller
from yizhan.broadcasts.table import BroadcastTable
from yizhan.config.settings import KeepSettings
from yizhan.errors import Refused, StorageError, YizhanError
from yizhan.media.upload_table import HandleTable
from yizhan.media.uploads import HandleCache
from yizhan.model import Clock, Message, Receipt, State
from yizhan.platforms.adapter import LoginStep
from yizhan.receiving.event_log import EventTable
from yizhan.receiving.listener import Listeners
from yizhan.receiving.readers import EventReaders
from yizhan.retention import Retention
from yizhan.runtime.clock import SystemClock
from yizhan.runtime.deadline import Deadline
from yizhan.runtime.notifier import Notifier
from yizhan.sending.accept import Acceptance, Targets
from yizhan.sending.budgets import Budgets
from yizhan.sending.decide import Policy
from yizhan.sending.delivery import Submitted
from yizhan.sending.fitting import MessageCache
from yizhan.sending.operations import Operations
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.outbox.receipts import Records
from yizhan.sending.pace import Paces
from yizhan.sending.plan import Planner
from yizhan.sending.senders import Senders
from yizhan.sending.settled_log import log_settled
from yizhan.sending.waiting import Waiting, raise_if_failed
from yizhan.sending.worker import Worker
from yizhan.storage.counters import known_store_id, make_store_id
from yizhan.storage.ledger import Ledger
from yizhan.storage.vault import Vault
from yizhan.tidying import Tidying

if TYPE_CHECKING:
    from yizhan.media.library import Library
    from yizhan.media.share import ShareSettings

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5
"""How often the store is looked at for changes by other processes."""

_IDENTITY = "identity"
"""The name under which an account's state keeps as whom it logged in last."""


class Supervisor:
    """Everything that runs on one store in this process. Made by `open`; ended by `close`."""

    def __init__(
        self,
        ledger: Ledger,
        vault: Vault,
        library: Library,
        store_id: str,
        folder: Path,
        *,
        clock: Clock,
        policy: Policy,
        concurrency: int,
        share: ShareSettings | None,
        keep: KeepSettings | None = None,
    ) -> None:
        from yizhan.media.variants import Variants

        self.clock, self.folder, self.ledger, self.library, self.store_id = clock, folder, ledger, library, store_id
        self.notifier = Notifier()
        self.notifier.delivery_changed.subscribe(log_settled)
        self.statuses = AccountStatuses(self.notifier)
        self.variants = Variants(library)
        self.shared = SharedMedia(library, vault, clock, share)
        self.outbox = Outbox(ledger, clock)
        self.records = Records(ledger)
        self.handles = HandleCache(HandleTable(ledger, vault), clock, self.variants)
        self.contacts = Contacts(ContactTable(ledger))
        self.event_table = EventTable(ledger, vault)
        self.retention = Retention(ledger, self.event_table, library, clock, keep or KeepSettings())
        self.accounts = Accounts(
            AccountTable(ledger, vault), self.event_table, library, self.variants, self.shared, clock
        )
        self.received = ReceivedMedia(self.accounts, library, self.variants)
        self.messages = MessageCache(self.records, self.variants)
        self.budgets = Budgets(self.outbox, clock, self.notifier)
        paces = Paces()
        self.senders = Senders(
            self.outbox,
            self.handles,
            self.budgets,
            self.messages,
            self.notifier,
            self.statuses,
            clock,
            policy,
            store_id,
            paces,
        )
        self.worker = Worker(
            self.outbox,
            self.accounts,
            self.senders,
            self.statuses,
            self.notifier,
            folder / "worker.lock",
            concurrency=concurrency,
        )
        self.listeners = Listeners(
            self.event_table, self.outbox, self.worker, self.accounts, self.statuses, self.notifier, clock, folder
        )
        self.readers = EventReaders(self.event_table, self.listeners, self.notifier)
        self.acceptance = Acceptance(
            self.accounts,
            self.contacts,
            library,
            self.messages,
            self.outbox,
            self.records,
            self.worker,
            self.received,
            clock,
        )
        self.planner = Planner(self.accounts, self.acceptance, self.outbox, self.budgets, self.handles, clock)
        self.waiting = Waiting(self.notifier, self.records, self.worker, clock)
        self.operations = Operations(
            self.accounts,
            self.acceptance,
            self.outbox,
            self.records,
            self.worker,
            self.budgets,
            self.notifier,
            clock,
        )
        self.broadcast_table = BroadcastTable(ledger, clock)
        self.recaller = Recaller(self.broadcast_table, self.operations, self.accounts, self.notifier, clock)
        self.feeder = Feeder(self.broadcast_table, self.worker, paces, self.recaller, self.notifier, clock)
        figures = BroadcastFigures(ledger)
        self.broadcast_actions = BroadcastActions(
            self.broadcast_table,
            figures,
            self.acceptance,
            self.outbox,
            self.records,
            self.worker,
            self.feeder,
            self.recaller,
            BroadcastPlanner(self.broadcast_table, figures, self.planner, self.accounts, clock),
            self.waiting,
            self.notifier,
            clock,
        )
        self._revision = 0
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls,
        folder: Path,
        *,
        clock: Clock | None,
        policy: Policy | None,
        sending: bool,
        concurrency: int,
        share: ShareSettings | None,
        key: str | None = None,
        keep: KeepSettings | None = None,
    ) -> Supervisor:
        """Open the store in `folder`, making it if need be, and start sending and following it.

        Raises:
            StorageError: the folder cannot be used, or was written by a newer version.
        """
        from yizhan.media.blobs import open_blobs
        from yizhan.media.index import SqlMediaIndex
        from yizhan.media.library import Library

        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{folder} cannot be used as a store: {error}. Name another folder.") from error
        ledger = await Ledger.open(folder / "yizhan.db")
        try:
            is_new = not await ledger.read(known_store_id)
            vault = Vault.open(folder / "key", make=is_new, key=key)
            used_clock = clock or SystemClock()
            library = Library(open_blobs(folder / "blobs"), SqlMediaIndex(ledger), used_clock)
            store_id = await ledger.write(make_store_id)
        except BaseException:
            await ledger.close()
            raise
        supervisor = cls(
            ledger,
            vault,
            library,
            store_id,
            folder,
            clock=used_clock,
            policy=policy or Policy(),
            concurrency=concurrency,
            share=share,
            keep=keep,
        )
        try:
            await supervisor._start(sending)
        except BaseException:
            await supervisor.close()
            raise
        return supervisor

    async def _start(self, sending: bool) -> None:
        if sending:
            self._revision = await self.outbox.revision()
            await self.worker.take_over()
        await self.listeners.start()
        self._tasks.append(asyncio.create_task(self._watch_store(sending), name="yizhan store watch"))
        if sending:
            self._tasks.append(asyncio.create_task(self.feeder.run(), name="yizhan broadcasts"))
        self._lead_if_first()

    async def close(self) -> None:
        """Finish what is under way (a few seconds at most), then close everything. Waiting deliveries stay stored."""
        if self._closed:
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.listeners.close()
        await self.worker.close()
        await self.listeners.finish()
        self._closed = True
        self.notifier.close()
        for account in self.accounts.all_used():
            try:
                await account.adapter.close()
            except Exception:
                log.exception("account not closed", extra={"account": account.name})
        await self.shared.close()
        await self.variants.close()
        await self.ledger.close()

    # --- accounts ---

    async def add_account(self, name: str, settings: dict[str, Any]) -> None:
        """Store an account, and use it with its new settings from now on."""
        change = await self.accounts.put(name, settings)
        was_heard = False
        if change is not Change.NONE:
            was_heard = await self._close_account(name)
            # Deliveries that the old limits held may go by the new ones.
            await self.outbox.requeue_waiting(name)
        if change is Change.IDENTITY:
            await self.handles.forget(name)
        self.listeners.account_added(name, was_heard=was_heard)
        await self.outbox.bump_revision()

    async def remove_account(self, name: str) -> bool:
        """Remove an account with its session; False if there was none."""
        await self._close_account(name)
        removed = await self.accounts.remove(name)
        # Once more: it may have been opened in between.
        await self._close_account(name)
        await self.handles.forget(name)
        # Callers that wait for its deliveries are told that it is gone.
        await self.outbox.bump_revision()
        return removed

    async def login(self, name: str, show: Callable[[LoginStep], None]) -> str:
        """Log an account in and send what waited for that; returns its identity in words."""
        opened = await self.accounts.use(name)
        identity = await opened.adapter.login(show)
        await self._remember_identity(opened, identity)
        self.listeners.logged_in(name)
        if not self.worker.leading:
            await self.outbox.bump_revision()
        return identity

    async def _remember_identity(self, opened: OpenAccount, identity: str) -> None:
        """Store as whom an account is logged in; uploads made as another person are of no use."""
        known = opened.context.state_store.get(_IDENTITY)
        if known == identity.encode():
            return
        if known is not None:
            await self.handles.forget(opened.name)
        await opened.context.state_store.put(_IDENTITY, identity.encode())

    async def _close_account(self, name: str) -> bool:
        """Close an account, which is opened anew when it is next used; returns whether it was listened to."""
        opened = await self.accounts.detach(name)
        self.messages.forget(name)
        was_heard = await self.listeners.stop(name)
        await self.worker.close_lane(name)
        # If it was opened anew before its lane had ended, its budget does not count what that lane still sent.
        early = self.accounts.detach_nowait(name)
        self.budgets.forget(name)
        self.statuses.set(name, ACTIVE)
        self.notifier.wake_all()
        for one in (opened, early):
            if one is not None:
                await one.adapter.close()
        return was_heard

    async def _reopen(self, name: str) -> None:
        """Open an account anew that is paused, or that another process changed; it is listened to if it was."""
        change, lane = await self.accounts.changed(name), self.worker.lanes.get(name)
        if lane is None or (change is Change.NONE and not lane.paused):
            return
        if change is Change.IDENTITY:
            await self.handles.forget(name)
        if await self._close_account(name):
            await self.listeners.listen_to([name])

    # --- deliveries ---

    async def submit(self, to: Targets, message: Message, **how: Any) -> Submitted:
        """Accept a message and hand the new deliveries to the lanes. `how`: as in `Acceptance.accept`."""
        targets = await self.acceptance.targets(to)
        submitted = await self.acceptance.accept(targets, message, **how)
        await self.worker.start(submitted, targets)
        return submitted

    async def send(self, to: Targets, message: Message, timeout: float | None, **how: Any) -> Receipt:
        """Submit for one target and wait for its end, reading the store again only where another process sends.

        Raises:
            Refused: it is not one target, or cannot be sent there.
            LoginNeeded: the account must log in first.
            DeliveryFailed: it failed, or whether it arrived is unknown.
        """
        targets, deadline = await self.acceptance.targets(to), Deadline(timeout)
        if len(targets) != 1:
            raise Refused(f"send() takes one target, this names {len(targets)}. Use broadcast() for many.")
        submitted, (target,) = await self.acceptance.accept(targets, message, **how), targets
        receipt = await self.waiting.for_one(submitted, target, timeout)
        if receipt is not None and receipt.state is State.HELD and not receipt.due_at:
            # The event that opens its window may be coming in just now, from before this process listened.
            if seconds := self.listeners.catching_up(target.account):
                await self.waiting.for_all(submitted.seqs, seconds, until_held=False)
            receipt = None
        if receipt is None:
            (receipt,) = await self.waiting.for_all(submitted.seqs, deadline.left())
        raise_if_failed([receipt])
        return receipt

    # --- other processes ---

    async def _watch_store(self, sending: bool) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if sending:
                    await self._look()
            except Exception:
                log.exception("looking for the changes of other processes failed")
            # Callers that wait may wait for deliveries that another process sends.
            self.notifier.wake_all()

    async def _look(self) -> None:
        """Take over if no process sends; else act on what other processes stored."""
        if not self.worker.leading:
            await self.worker.take_over()
            self._lead_if_first()
            return
        revision = await self.outbox.revision()
        await self.worker.wake_newer()
        if revision != self._revision:
            self.notifier.revision_bumped.send(revision)
            for account in list(self.worker.lanes):
                try:
                    await self._reopen(account)
                except YizhanError as error:
                    log.warning("account not opened", extra={"account": account, "reason": str(error)})
            await self.feeder.drop_paused()
            await self.worker.wake_waiting()
        self._revision = revision

    def _lead_if_first(self) -> None:
        """Tidy and run the broadcasts if this process sends; a process that takes over does the same."""
        if self.worker.leading:
            tidying = Tidying(self.library, self.handles, self.retention, self.clock)
            self._tasks.append(asyncio.create_task(tidying.run(), name="yizhan tidying"))
            self.notifier.revision_bumped.send(self._revision)
