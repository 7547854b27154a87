"""The plan of a broadcast: by account its parts, uploads and pace, when it ends, and what limits it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from yizhan.accounts.registry import Accounts
from yizhan.broadcasts.figures import BroadcastFigures
from yizhan.broadcasts.options import QuietHours
from yizhan.broadcasts.placeholders import filled, names_in
from yizhan.broadcasts.recall import recall_seconds
from yizhan.broadcasts.rows import BroadcastRow, Recipient, broadcast_name
from yizhan.broadcasts.table import BroadcastTable
from yizhan.model import Clock, Message
from yizhan.sending.accept import Fits
from yizhan.sending.forecast import EXACT, Forecast, in_words
from yizhan.sending.pace import pace_of
from yizhan.sending.plan import Planner, upload_key

MOST_REFUSALS = 20
"""Reasons of refusals that a plan lists."""


class AccountPlan(Struct, frozen=True):
    """One account's share of a broadcast. Times in seconds since the epoch."""

    account: str
    recipients: int
    """Of those that are not in the outbox yet."""
    parts: int
    uploads: int
    """Uploads still to be made; equal ones are made once."""
    upload_bytes: int
    at_once: int
    """Recipients whose message may begin when the broadcast does."""
    never: int
    """Recipients whose message waits until the other side writes."""
    expire: int
    """Recipients whose turn comes after `stop_at`."""
    ends_about: float
    """When the last message begins, as far as the limits say; the platform's answers take their time, too."""
    limited_by: str
    """The limit that sets its pace; empty if none does."""
    recallable: int | None
    """Most messages that can be recalled at any one time; None if the platform's rules name no time."""
    notes: tuple[str, ...]
    """Remarks that receipts will carry."""


class BroadcastPlan(Struct, frozen=True):
    """A foretelling of a broadcast; nothing is sent. Exact for the first 5,000 recipients of each account."""

    id: str
    name: str
    state: str
    total: int
    refused: int
    refusals: Mapping[str, int]
    """How many recipients are refused, by reason; the most frequent ones."""
    begins_at: float
    ends_about: float
    limited_by: str
    accounts: Sequence[AccountPlan]


class BroadcastPlanner:
    """Makes the plans of stored broadcasts."""

    def __init__(
        self, table: BroadcastTable, figures: BroadcastFigures, planner: Planner, accounts: Accounts, clock: Clock
    ) -> None:
        self._table = table
        self._figures = figures
        self._planner = planner
        self._accounts = accounts
        self._clock = clock

    async def plan(self, id: int, at: float | None = None) -> BroadcastPlan:
        """Return the plan of a broadcast that starts now or, with `at`, then.

        Raises:
            Refused: there is none of that id.
        """
        row = await self._table.get(id)
        begin = hours_of(row.options.quiet)(max(self._clock.now(), row.start_at, at or 0.0))
        message = await self._table.message(row.message)
        accounts = [
            await self._account(row, message, account, fed_to, begin) for account, fed_to in await self._table.feeds(id)
        ]
        last = max(accounts, key=lambda one: one.ends_about, default=None)
        return BroadcastPlan(
            broadcast_name(id),
            row.name,
            row.state.value,
            row.total,
            row.refused,
            await self._figures.refusals(id, MOST_REFUSALS),
            begin,
            begin if last is None else last.ends_about,
            "" if last is None or last.ends_about <= begin else last.limited_by,
            accounts,
        )

    async def _account(
        self, row: BroadcastRow, message: Message, account: str, fed_to: int, begin: float
    ) -> AccountPlan:
        share = _Share(self._planner, row, message, account, begin)
        count, parts = await self._figures.left(row.id, account, fed_to)
        for one in await self._table.next_recipients(row.id, account, fed_to, EXACT):
            await share.add(one)
        return share.planned(count, parts, await recall_seconds(self._accounts, account))


class _Share:
    """The first recipients of one account; the others are taken to go on like the second half of these."""

    def __init__(self, planner: Planner, row: BroadcastRow, message: Message, account: str, begin: float) -> None:
        self._planner = planner
        self._row = row
        self._message = message
        self._personal = bool(names_in(message))
        self._account = account
        self._begin = begin
        self._hours = hours_of(row.options.quiet)
        self._pace = pace_of(row.id, row.options.per_minute)
        self._fits: Fits = {}
        self._forecast: Forecast | None = None
        self._never: list[bool] = []
        self._times: list[float] = []
        self._made: list[int] = []
        """After each recipient, the number of uploads so far."""
        self._uploads: dict[tuple[str, str, str], int] = {}
        self._limits: Counter[str] = Counter()
        self._notes: dict[str, None] = {}

    async def add(self, one: Recipient) -> None:
        message, notes = await self._planner.fitted(self._message, one.target, self._fits)
        if self._personal and one.values:
            message = filled(message, one.values)
        parts = await self._planner.composed(message, one.target)
        self._notes.update(dict.fromkeys([*notes, *(part.note for part in parts if part.note)]))
        for part in parts:
            for need in await self._planner.missing(self._account, part):
                self._uploads[upload_key(self._account, need)] = need.media.size
        self._made.append(len(self._uploads))
        if self._forecast is None:
            self._forecast = await self._planner.forecast(one.target, self._begin, message, self._hours, self._pace)
        limits = (*await self._planner.limits(message, one.target), *self._pace)
        foretold = self._forecast.next(limits, one.target, message.reply, len(parts))
        self._never.append(foretold.at is None)
        if foretold.at is not None:
            self._times.append(foretold.at)
        if foretold.limit is not None:
            self._limits[in_words(foretold.limit)] += 1

    def planned(self, count: int, parts: int, recall_seconds: float | None) -> AccountPlan:
        """Return the plan for `count` recipients with `parts` parts, of whom the first were added."""
        rest, half = count - len(self._never), len(self._never) // 2
        never = sum(self._never) + _carried_on(sum(self._never[half:]), len(self._never) - half, rest)
        timed = count - never
        later = timed - len(self._times)
        middle = len(self._times) // 2
        pace = (self._times[-1] - self._times[middle]) / max(1, len(self._times) - 1 - middle) if self._times else 0.0
        end = max(self._times, default=self._begin) + later * pace
        made = len(self._uploads) - self._made[half] if self._made else 0
        uploads = len(self._uploads) + _carried_on(made, len(self._made) - half, rest)
        size = sum(self._uploads.values()) / max(1, len(self._uploads))
        at_once = sum(at <= self._begin for at in self._times)
        return AccountPlan(
            self._account,
            count,
            parts,
            uploads,
            round(uploads * size),
            at_once if pace else at_once + later,
            never,
            self._expiring(later, pace),
            end,
            self._limits.most_common(1)[0][0] if self._limits else "",
            None if recall_seconds is None else self._recallable(recall_seconds, timed, pace),
            tuple(self._notes),
        )

    def _expiring(self, later: int, pace: float) -> int:
        stop_at = self._row.options.stop_at
        if stop_at is None or not self._times:
            return 0
        last = self._times[-1]
        in_time = later if not pace and last < stop_at else int((stop_at - last) / pace) if pace else 0
        return sum(at >= stop_at for at in self._times) + later - min(later, max(0, in_time))

    def _recallable(self, seconds: float, timed: int, pace: float) -> int:
        """Return the most messages that leave within `seconds`."""
        if not pace and self._times and self._times[-1] - self._times[0] <= seconds:
            return timed
        most, window = 0, deque[float]()
        for at in self._times:
            window.append(at)
            while window[0] < at - seconds:
                window.popleft()
            most = max(most, len(window))
        return most


def hours_of(quiet: QuietHours | None) -> Callable[[float], float]:
    """Return a function that moves a time out of the quiet hours, both in seconds since the epoch."""
    if quiet is None:
        return lambda at: at

    def moved(at: float) -> float:
        until = quiet.until(at)
        return at if until is None else until

    return moved


def _carried_on(found: int, of: int, rest: int) -> int:
    """Return how many there are among `rest` more, when there were `found` among `of`."""
    return round(found * rest / of) if of else 0
