"""The plan of a send: parts, uploads and waits, target by target, without sending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from yizhan.media.uploads import HandleCache
from yizhan.model import Target
from yizhan.platforms.adapter import Part
from yizhan.sending.quota import Closed


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
    notes: tuple[str, ...] = ()
    """Remarks of the receipt about media that are not sent as they are."""


async def plan_of(
    target: Target, parts: Sequence[Part], notes: tuple[str, ...], closed: Closed | None, handles: HandleCache
) -> Plan:
    """Return the plan for `parts` to `target`. `closed`: why they may not go now, if so."""
    planned = []
    for part in parts:
        missing = [need for need in part.needs if await handles.peek(target.account, need) is None]
        planned.append(
            PlannedPart(
                part.summary or part.call,
                part.note,
                tuple(f"{need.name or need.media.name or need.media.kind} ({need.media.size})" for need in missing),
                tuple((f"{target.account} {need.scope}", need.media.sha256, need.use) for need in missing),
                sum(need.media.size for need in missing),
                len(part.needs) - len(missing),
            )
        )
    if closed is None:
        return Plan(target, tuple(planned), "", notes=notes)
    return Plan(target, tuple(planned), f"{closed.limit.name} allows {closed.limit.count}", closed.opens_at, notes)
