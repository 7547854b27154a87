"""Stores a broadcast: the message once, the recipients in slices, each checked, all of them or none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Literal, TypeAlias

from msgspec.structs import replace

from yizhan.broadcasts.feeder import Feeder
from yizhan.broadcasts.placeholders import filled, names_in
from yizhan.broadcasts.rows import BroadcastRow, Recipient
from yizhan.broadcasts.states import BroadcastState
from yizhan.broadcasts.table import BroadcastTable, NewBroadcast
from yizhan.errors import Refused, UnknownTarget
from yizhan.model import Message, Target
from yizhan.sending.accept import Acceptance, Fits
from yizhan.sending.delivery import Submitted
from yizhan.sending.outbox.insert import check_key
from yizhan.storage.driver import Connection

SLICE = 1000
"""Recipients of one commit; a larger broadcast is stored in several, between which others write."""
FEW = 50
"""Refused recipients that an error names."""

Audience: TypeAlias = str | Target | Iterable[str | Target | Recipient]
"""Targets, `@aliases` and `#tags`, or recipients with names and values."""
WhenRefused = Literal["fail", "skip"]


@dataclass(frozen=True, slots=True)
class Created:
    """A broadcast that was just stored, or found by its key."""

    row: BroadcastRow
    repeated: bool
    fed: Mapping[str, Submitted]
    """The first deliveries of every account, where it was started."""


class Creator:
    """Makes broadcasts from audiences."""

    def __init__(self, table: BroadcastTable, acceptance: Acceptance, feeder: Feeder) -> None:
        self._table = table
        self._acceptance = acceptance
        self._feeder = feeder

    async def create(
        self, new: NewBroadcast, to: Audience, *, when_refused: WhenRefused = "fail", start: bool = False
    ) -> Created:
        """Store a complete draft, and start it with `start`; a small one is stored and started in one commit.

        A repeat under the same key finds the first, and adds further recipients.

        Raises:
            Refused: it cannot be sent to one of them as it stands, or the key was used for another message; nothing is
                stored.
        """
        checker, slices = _Checker(self._acceptance, new.message, when_refused), self._slices(to)
        first = await checker.checked(await anext(slices, []))
        second = await checker.checked(await anext(slices, []))
        if not first:
            raise UnknownTarget("There is no target. Name at least one, such as qqbot.main/user/OPENID.")
        if not second:
            return await self._table.ledger.write(lambda connection: self._all_at_once(connection, new, first, start))
        return await self._in_slices(new, [first, second], checker, slices, start)

    def _all_at_once(self, connection: Connection, new: NewBroadcast, to: list[Recipient], start: bool) -> Created:
        id, repeated = self._find_or_create(connection, new)
        self._table.add(connection, id, to)
        return self._completed(connection, id, repeated, start)

    async def _in_slices(
        self,
        new: NewBroadcast,
        read: list[list[Recipient]],
        checker: _Checker,
        slices: AsyncIterator[list[Recipient]],
        start: bool,
    ) -> Created:
        write = self._table.ledger.write
        id, repeated = await write(lambda connection: self._find_or_create(connection, new))
        try:
            for some in read:
                await write(partial(self._table.add, id=id, recipients=some))
            async for more in slices:
                await write(partial(self._table.add, id=id, recipients=await checker.checked(more)))
        except BaseException:
            if not repeated:
                await self._table.delete(id)
            raise
        return await write(lambda connection: self._completed(connection, id, repeated, start))

    def _find_or_create(self, connection: Connection, new: NewBroadcast) -> tuple[int, bool]:
        known = None
        if new.key is not None:
            check_key(connection, new.key, new.message)
            known = self._table.of_key(connection, new.key)
        return (self._table.create(connection, new), False) if known is None else (known, True)

    def _completed(self, connection: Connection, id: int, repeated: bool, start: bool) -> Created:
        """Count the recipients; with `start`, start it unless that was done, and feed the first of every account."""
        self._table.complete(connection, id)
        row = self._table.get_on(connection, id)
        if start and (row.state is BroadcastState.DRAFT or (repeated and row.state is BroadcastState.DONE)):
            # Recipients that a repeat added set a broadcast going again that had ended.
            self._table.set_on(connection, row, BroadcastState.SCHEDULED if row.start_at else BroadcastState.RUNNING)
            row = self._table.get_on(connection, id)
        fed = self._feeder.feed_first_on(connection, row) if row.state is BroadcastState.RUNNING else {}
        return Created(row, repeated, fed)

    async def _slices(self, to: Audience) -> AsyncIterator[list[Recipient]]:
        """Resolve the audience slice by slice, so that memory stays flat however large it is."""
        if not isinstance(to, (str, Target, Iterable)):
            raise UnknownTarget(f"Targets are text or a list of it, not {type(to).__name__}.")
        given: Iterator[str | Target | Recipient] = iter([to] if isinstance(to, (str, Target)) else to)
        while some := list(islice(given, SLICE)):
            found: list[Recipient] = []
            for one in some:
                if isinstance(one, Recipient):
                    found.append(one)
                else:
                    found += [Recipient(target) for target in await self._acceptance.targets([one])]
            yield found


class _Checker:
    """Composes the message for each recipient."""

    def __init__(self, acceptance: Acceptance, message: Message, when_refused: WhenRefused) -> None:
        self._acceptance = acceptance
        self._message = message
        self._when_refused = when_refused
        self._personal = bool(names_in(message))
        self._fits: Fits = {}

    async def checked(self, recipients: list[Recipient]) -> list[Recipient]:
        """Return the recipients with the number of parts, or with the reason why nothing can be sent to them.

        Raises:
            Refused: one of them cannot be sent to, and that is not to be skipped; with several, the text names them.
        """
        found, refused = [], []
        for one in recipients:
            try:
                # Fitted before the words are filled in, which differ from person to person.
                message = await self._acceptance.fitted(self._message, one.target, self._fits)
                if self._personal and one.values:
                    message = filled(message, one.values)
                submission = await self._acceptance.checked_fitted(message, one.target)
            except Refused as error:
                refused.append(error)
                found.append(replace(one, parts=0, refused=str(error)))
            else:
                found.append(replace(one, parts=submission.parts, refused=""))
        if refused and self._when_refused == "fail":
            if len(refused) == 1:
                raise refused[0]
            named = "; ".join(str(error) for error in refused[:FEW])
            raise type(refused[0])(f"{len(refused)} targets are refused: {named}") from refused[0]
        await asyncio.sleep(0)
        return found
