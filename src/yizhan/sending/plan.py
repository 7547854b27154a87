"""The plan of a send: parts, uploads and times, target by target, without sending."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from yizhan.accounts.registry import Accounts
from yizhan.media.uploads import HandleCache
from yizhan.model import Clock, Message, Target
from yizhan.platforms.adapter import Limit, MediaNeed, Part
from yizhan.sending.accept import Acceptance, Fits, Moment
from yizhan.sending.budgets import Budgets
from yizhan.sending.forecast import Forecast, Foretold, in_words
from yizhan.sending.outbox.outbox import Outbox

SCHEDULED = "it is scheduled"


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """One part of a plan, with the media that would have to be uploaded for it."""

    summary: str
    note: str
    uploads: tuple[str, ...]
    """Media that would be uploaded, as `name (bytes)`; empty when every handle is there."""
    upload_keys: tuple[tuple[str, str, str], ...]
    """scope, digest and use of each; equal ones share one upload."""
    upload_bytes: int
    ready: int = 0
    """Number of media whose handle is there."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan for one target. Nothing was stored and nothing sent."""

    target: Target
    parts: tuple[PlannedPart, ...]
    budget: str
    """Why it would wait; empty when it may go now."""
    opens_at: float | None = None
    """When it would begin, after those before it, in seconds since the epoch; None for at once, or if it waits for the
    other side."""
    notes: tuple[str, ...] = ()
    """Remarks of the receipt about media that are not sent as they are."""


class Planner:
    """Plans sends: what acceptance would compose, what would be uploaded, and when the budgets let it go."""

    def __init__(
        self,
        accounts: Accounts,
        acceptance: Acceptance,
        outbox: Outbox,
        budgets: Budgets,
        handles: HandleCache,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._acceptance = acceptance
        self._outbox = outbox
        self._budgets = budgets
        self._handles = handles
        self._clock = clock

    async def plan(self, targets: Sequence[Target], message: Message, at: Moment | None = None) -> list[Plan]:
        """Return what sending would do now, or at a time, target by target, in the order in which they would go."""
        not_before, _ = await self._acceptance.checked_times(None, at, None)
        forecasts: dict[str, Forecast] = {}
        fits: Fits = {}
        plans = []
        async with self._acceptance.taking_in(message, targets) as (ready, _):
            for target in targets:
                fitted, notes = await self.fitted(ready, target, fits)
                parts = await self.composed(fitted, target)
                if target.account not in forecasts:
                    begin = max(self._clock.now(), not_before)
                    forecasts[target.account] = await self.forecast(target, begin, ready)
                foretold = forecasts[target.account].next(
                    await self.limits(ready, target), target, ready.reply, len(parts)
                )
                planned = tuple([await self._part(target, part) for part in parts])
                plans.append(_plan(target, planned, notes, foretold, not_before))
        return plans

    async def fitted(self, message: Message, target: Target, fits: Fits) -> tuple[Message, tuple[str, ...]]:
        """Return the message with media as the platform takes them, and remarks about those that change."""
        message = await self._acceptance.fitted(message, target, fits)
        fitted = fits.get((target.account, target.kind))
        return message, () if fitted is None else tuple(fitted[1])

    async def composed(self, message: Message, target: Target) -> Sequence[Part]:
        """Return the parts for `target` of a message whose media fit."""
        return await self._acceptance.composed(message, target)

    async def limits(self, message: Message, target: Target) -> Sequence[Limit]:
        return (await self._accounts.use(target.account)).adapter.limits(message, target)

    async def forecast(
        self,
        target: Target,
        begin: float,
        message: Message,
        hours: Callable[[float], float] = lambda at: at,
        pace: Sequence[Limit] = (),
    ) -> Forecast:
        """Return a forecast for the account of `target` from `begin` on, behind the deliveries that wait there."""
        opened = await self._accounts.use(target.account)
        forecast = Forecast(await self._budgets.of(opened), begin, hours)
        limits = [limit for limit in (*opened.adapter.limits(message, target), *pace) if limit.scope == "account"]
        if limits and message.reply is None:
            forecast.pass_over(limits, target, await self._outbox.parts_ahead(target.account, begin))
        return forecast

    async def missing(self, account: str, part: Part) -> list[MediaNeed]:
        """Return the media of `part` that would be uploaded."""
        return [need for need in part.needs if await self._handles.peek(account, need) is None]

    async def _part(self, target: Target, part: Part) -> PlannedPart:
        missing = await self.missing(target.account, part)
        return PlannedPart(
            part.summary or part.call,
            part.note,
            tuple(f"{need.name or need.media.name or need.media.kind} ({need.media.size})" for need in missing),
            tuple(upload_key(target.account, need) for need in missing),
            sum(need.media.size for need in missing),
            len(part.needs) - len(missing),
        )


def upload_key(account: str, need: MediaNeed) -> tuple[str, str, str]:
    """Return what makes two uploads one: scope, digest and use."""
    return f"{account} {need.scope}", need.media.sha256, need.use


def _plan(
    target: Target, parts: tuple[PlannedPart, ...], notes: tuple[str, ...], foretold: Foretold, not_before: float
) -> Plan:
    if foretold.limit is not None:
        return Plan(target, parts, in_words(foretold.limit), foretold.at, notes)
    if not_before:
        return Plan(target, parts, SCHEDULED, foretold.at, notes)
    return Plan(target, parts, "", None, notes)
