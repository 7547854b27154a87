"""The gateway session, stored over restarts, and the conditions under which it is not resumed."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from yizhan.platforms.adapter import StateStore

STATE_KEY = "gateway"
MAX_FAILED_RESUMES = 3
"""Resumes in a row that brought nothing, after which the client identifies anew."""


class Origin(Struct, frozen=True):
    """Bot, host, shard and intents that a session was opened for; under others it is not resumed."""

    app_id: str = ""
    base_url: str = ""
    intents: int = 0
    """The intents that the settings ask for, which may be more than the platform granted."""
    shard: tuple[int, int] = (0, 1)


class Session(Struct):
    """One session at the gateway."""

    id: str
    seq: int
    """Number of the last event received."""
    origin: Origin = Origin()
    intents: int = 0
    """The intents that the platform granted."""
    own_id: str = ""
    """The bot's own id, as READY named it."""
    failed_resumes: int = 0
    """Resumes in a row without an event or a lasting connection."""

    @property
    def is_given_up(self) -> bool:
        return self.failed_resumes >= MAX_FAILED_RESUMES


class SessionStore:
    """Keeps one account's session. Without a state store nothing outlives the program."""

    def __init__(self, state_store: StateStore | None) -> None:
        self._state_store = state_store

    def load(self, origin: Origin) -> Session | None:
        """Return the stored session if it was opened for `origin` and still may be resumed."""
        data = self._state_store.get(STATE_KEY) if self._state_store is not None else None
        try:
            session = msgspec.json.decode(data, type=Session) if data else None
        except (ValueError, RecursionError):
            return None
        if session is None or session.origin != origin or session.is_given_up:
            return None
        return session

    async def save(self, session: Session | None, acknowledged: int = 0) -> None:
        """Store `session` as of the last event that was acknowledged: a restart resumes behind that one."""
        if self._state_store is not None:
            stored = msgspec.structs.replace(session, seq=acknowledged) if session else None
            await self._state_store.put(STATE_KEY, msgspec.json.encode(stored) if stored else None)
