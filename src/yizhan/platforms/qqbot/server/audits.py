"""Guild messages under review: held, then passed or rejected, which is reported by an event."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from yizhan.platforms.qqbot.server.address_book import GUILD_ID
from yizhan.platforms.qqbot.server.event_source import EventSource
from yizhan.platforms.qqbot.server.state import ServerState
from yizhan.platforms.qqbot.wire import faults
from yizhan.platforms.qqbot.wire.events import Audit, clock_text
from yizhan.wire import Fault


@dataclass(frozen=True, slots=True)
class PendingAudit:
    """A message under review. `show` posts it and returns its id."""

    scene: str
    target: str
    at: float
    show: Callable[[], str]


class AuditQueue:
    def __init__(self, state: ServerState, event_source: EventSource) -> None:
        self.state = state
        self.event_source = event_source
        self.held: dict[str, PendingAudit] = {}
        """By audit id."""
        self._judging: set[asyncio.Task[None]] = set()

    def reset(self) -> None:
        self.held.clear()
        for task in self._judging:
            task.cancel()

    async def close(self) -> None:
        self.reset()
        await asyncio.gather(*self._judging, return_exceptions=True)

    def hold(self, scene: str, target: str, *, answers: bool, show: Callable[[], str]) -> Fault:
        """Hold a message for review, and return the answer to its sender."""
        audit_id = self.state.world.hex(32)
        self.held[audit_id] = PendingAudit(scene, target, self.state.now(), show)
        task = asyncio.get_running_loop().create_task(self._judge_later(audit_id))
        self._judging.add(task)
        task.add_done_callback(self._judging.discard)
        row = faults.AUDIT_REPLY if answers else faults.AUDIT_PUSH
        return Fault(row, data={"message_audit": {"audit_id": audit_id}})

    async def judge(self, audit_id: str, *, passes: bool) -> None:
        """End a review and push the result.

        Raises:
            LookupError: nothing is held under that id.
        """
        held = self.held.pop(audit_id, None)
        if held is None:
            raise LookupError(f"there is no message under review with the id '{audit_id}'")
        audit = Audit(
            audit_id,
            audit_time=clock_text(int(self.state.now())),
            create_time=clock_text(int(held.at)),
            channel_id=held.target,
            guild_id=held.target if held.scene == "dm" else GUILD_ID,
            message_id=held.show() if passes else "",
        )
        event = "MESSAGE_AUDIT_PASS" if passes else "MESSAGE_AUDIT_REJECT"
        await self.event_source.push(event, audit, scene=held.scene, target=held.target)

    async def _judge_later(self, audit_id: str) -> None:
        rules = self.state.rules
        await self.state.world.clock.sleep(float(rules["guild.audit_seconds"]))
        if audit_id in self.held:
            await self.judge(audit_id, passes=bool(rules["guild.audit_passes"]))
