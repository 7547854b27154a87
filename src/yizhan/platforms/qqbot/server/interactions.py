"""Answers to pressed buttons; `EventSource.press` presses one."""

from __future__ import annotations

from yizhan.http.router import Call
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.server.access import Access
from yizhan.platforms.qqbot.server.state import ServerState
from yizhan.platforms.qqbot.wire import faults
from yizhan.platforms.qqbot.wire.interactions import AnswerInteraction
from yizhan.platforms.qqbot.wire.token import Nothing
from yizhan.wire import Fault

CODES = range(6)


class Interactions:
    def __init__(self, state: ServerState, access: Access) -> None:
        self.state = state
        self.waiting: set[str] = set()
        """Ids of presses that are not answered yet."""
        access.serve(wire.ANSWER_INTERACTION, self.answer)

    def reset(self) -> None:
        self.waiting.clear()

    async def answer(self, call: Call[AnswerInteraction]) -> Nothing:
        if call.request.code not in CODES:
            raise Fault(faults.INTERACTION_BAD_PARAMETER)
        if call.request.interaction_id not in self.waiting:
            raise Fault(faults.INTERACTION_MISMATCH)
        self.waiting.discard(call.request.interaction_id)
        return Nothing()
