"""Acknowledges pressed buttons: the platform wants an answer within 3 s, or it shows people an error."""

from __future__ import annotations

import asyncio
import logging

from yizhan.errors import PlatformError
from yizhan.model import Event, EventKind
from yizhan.platforms.qqbot.client.api import Api
from yizhan.platforms.qqbot.wire.faults import INTERACTION_MISMATCH
from yizhan.platforms.qqbot.wire.interactions import ANSWER_INTERACTION, AnswerInteraction

log = logging.getLogger(__name__)


class PressAcknowledger:
    """Answers "done" to every pressed button of one bot, beside the stream of events, which may be slow."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._tasks: set[asyncio.Task[None]] = set()

    def received(self, event: Event) -> None:
        """Acknowledge `event` in the background if it is a pressed button."""
        interaction_id = str(event.raw.get("d", {}).get("id") or "")
        if event.kind is not EventKind.BUTTON_PRESSED or not interaction_id:
            return
        task = asyncio.get_running_loop().create_task(self._acknowledge(interaction_id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait for acknowledgements that are on their way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _acknowledge(self, interaction_id: str) -> None:
        try:
            await self._api.call(ANSWER_INTERACTION, AnswerInteraction(interaction_id))
        except PlatformError as error:
            # An event that is pushed twice is acknowledged twice; the second answer is refused.
            repeated = error.fault is not None and error.fault.row is INTERACTION_MISMATCH
            level = logging.DEBUG if repeated else logging.WARNING
            log.log(level, "button press not acknowledged", extra={"interaction": interaction_id, "reason": str(error)})
