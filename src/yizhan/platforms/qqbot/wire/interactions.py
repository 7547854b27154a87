"""Answers to pressed buttons. Source: "消息按钮", "互动事件" (API v2, 2026-09)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from yizhan.platforms.qqbot.wire.envelope import ENVELOPE
from yizhan.platforms.qqbot.wire.token import Nothing
from yizhan.wire import Path
from yizhan.wire.api import Api


class AnswerInteraction(Struct):
    """Within 3 s, once."""

    interaction_id: Annotated[str, Path()]
    """The event's `d.id`, not the frame's id with its prefix."""
    code: int = 0
    """0 done, 1 failed, 2 too often, 3 repeated, 4 no right, 5 administrators only."""


ANSWER_INTERACTION = Api(ENVELOPE, '"互动事件", API v2').call(
    "PUT", "answerInteraction", AnswerInteraction, Nothing, "/interactions/{interaction_id}"
)
