"""The window of each conversation, by the person's last message and the platform's refusals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yizhan.errors import WindowClosed
from yizhan.model import Target
from yizhan.platforms.adapter import AccountContext
from yizhan.platforms.ilink.client.calls import Calls


class Windows:
    """Remembers which windows the platform called closed.

    Every message that waits for a window would otherwise ask the platform by itself, and each refusal is said to keep
    the window closed for longer (thread chenhg5/cc-connect#1643).
    """

    def __init__(self, context: AccountContext, calls: Calls) -> None:
        self._context = context
        self._calls = calls
        self._closed: dict[Target, tuple[float | None, float]] = {}
        """By conversation: when the person had last written, and when to ask the platform again."""

    def raise_if_closed(self, target: Target) -> None:
        """Raise WindowClosed if the platform called the window closed a while ago and the person has not written."""
        wrote_at, ask_at = self._closed.get(target, (None, 0.0))
        if self._context.clock.now() < ask_at and wrote_at == self._wrote_at(target):
            text = f"{target}: the platform called the window closed just now; it opens when the person writes."
            raise WindowClosed(text, account=self._context.name, opens_at=ask_at)
        self._closed.pop(target, None)

    def record_closed(self, error: WindowClosed, target: Target) -> WindowClosed:
        """Remember that the platform calls the window closed, and return `error` with the time of the next try."""
        error.opens_at = self._context.clock.now() + self._context.rules.number("window.ask_seconds")
        self._closed[target] = self._wrote_at(target), error.opens_at
        return error

    def should_be_open(self, target: Target) -> bool:
        """Return whether the person wrote within the window's time."""
        at = self._wrote_at(target)
        return at is not None and self._context.clock.now() < at + self._context.rules.number("window.seconds")

    def context_of(self, target: Target) -> Mapping[str, Any]:
        """Return what the person's last message left; empty where an earlier bot or another address received it."""
        context, session = self._context.context_of(target), self._calls.session
        if session is None:
            return context
        ours = context.get("bot", session.bot_id), context.get("address", session.begun_at)
        return context if ours == (session.bot_id, session.begun_at) else {}

    def clear(self) -> None:
        self._closed.clear()

    def _wrote_at(self, target: Target) -> float | None:
        """Return when the person last wrote, if that is known."""
        at = self.context_of(target).get("at")
        return at if isinstance(at, (int, float)) else None
