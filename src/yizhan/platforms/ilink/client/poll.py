"""Receiving: the long poll with its cursor and pauses, and the ways in which a login is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.errors import LoginNeeded, PlatformError, Rejected, WireMismatch
from yizhan.model import Clock, Event, EventKind
from yizhan.platforms.adapter import StateStore
from yizhan.platforms.ilink import wire
from yizhan.platforms.ilink.client.calls import Calls, Session
from yizhan.platforms.ilink.convert import parse
from yizhan.platforms.rules import Rules

log = logging.getLogger(__name__)

CURSOR = "cursor"
AT_ONCE = 0.5
"""Seconds; an answer within them was not held."""
LONGEST_HOLD = 300.0
"""Seconds of one poll at most, also if the platform names more: a connection may break unnoticed."""
MAX_REFUSED_POLLS = 5
"""After so many refusals in a row the cursor is given up, and receiving starts without one."""


class StoredCursor(Struct, frozen=True):
    """The cursor with the login that it belongs to; it is not used for another."""

    session: str
    """`Session.identity`"""
    cursor: str


class Poll:
    """Receives the messages of one bot.

    The cursor is stored after its batch was yielded. A batch that a crash interrupts is received again, and its
    messages are recognized by their ids.
    """

    def __init__(self, calls: Calls, clock: Clock, state_store: StateStore, rules: Rules) -> None:
        self._calls = calls
        self._clock = clock
        self._state_store = state_store
        self._rules = rules
        self._logged_in = asyncio.Event()
        self._failures = 0
        self._refused = 0
        self._lapses = 0
        self._lost = False
        self._at_once = False
        self._hint = 0.0
        self._heard_at = 0.0
        self.announced = False

    def logged_in(self) -> None:
        """Continue at once with a new session; everything about the old one is forgotten."""
        self._failures = self._refused = self._lapses = 0
        self._heard_at = 0.0
        self._lost = self.announced = False
        self._logged_in.set()

    @property
    def healthy(self) -> bool:
        """Whether the platform answered a poll of this session recently, so that the token is good."""
        return not self._lost and self._clock.now() - self._heard_at <= self._patience

    @property
    def _patience(self) -> float:
        """Seconds that an answer to a poll may take."""
        return (self._hint or self._seconds("getupdates.hold_seconds")) + self._seconds("poll.margin_seconds")

    async def events(self) -> AsyncIterator[Event]:
        """Yield events for ever."""
        while True:
            session = self._calls.session
            if session is None:
                await self._wait_for_login(None)
                continue
            await self._announce()
            try:
                answer = await self._ask()
            except PlatformError as error:
                if self._calls.session is not session:
                    # A login happened meanwhile: the error concerns the earlier bot.
                    continue
                if not isinstance(error, LoginNeeded):
                    await self._failed(error)
                    continue
                for event in self._login_lost(str(error)):
                    yield event
                await self._wait_for_login(self._seconds("poll.dead_token_seconds"))
                continue
            if answer is None:
                continue
            lost = self._read_health(answer) if self._calls.session is session else []
            for raw in answer.msgs or ():
                yield _of_address(parse(raw, self._calls.account, self._clock.now()), session)
            for event in lost:
                yield event
            if self._calls.session is session:
                await self._advance(answer)
            if self._at_once and not answer.msgs:
                # An empty answer at once: the platform does not hold its polls at the moment.
                await self._clock.sleep(self._seconds("poll.pause_seconds"))

    async def _ask(self) -> wire.Updates | None:
        """Return the answer; None if there was none within our own time limit, which is no failure."""
        cursor = self._cursor()
        asked_at = self._clock.now()
        try:
            answer = await self._calls.get_updates(cursor, self._patience)
            self._at_once = self._clock.now() - asked_at < AT_ONCE
            return answer
        except PlatformError as error:
            if isinstance(error.__cause__, TimeoutError):
                self._failures = 0
                return None
            raise

    def _read_health(self, answer: wire.Updates) -> list[Event]:
        """Update the login's state by an answer; return the event of a lost login, if it is lost now."""
        self._failures = self._refused = 0
        if answer.longpolling_timeout_ms and answer.longpolling_timeout_ms > 0:
            self._hint = min(answer.longpolling_timeout_ms / 1000, LONGEST_HOLD)
        if answer.msgs is not None or answer.get_updates_buf:
            self._lapses, self._lost, self._heard_at = 0, False, self._clock.now()
            return []
        # A healthy idle answer has an empty list and a cursor; one with neither was seen after a token had silently
        # lapsed (thread Wechat-ggGitHub/wechat-claude-code#46).
        self._lapses += 1
        if self._lapses < self._rules.number("poll.lapses"):
            return []
        return self._login_lost("the platform answers polls with empty bodies, as it does for lapsed logins")

    async def _advance(self, answer: wire.Updates) -> None:
        cursor, session = answer.get_updates_buf or "", self._calls.session
        if cursor and session is not None and cursor != self._cursor():
            await self._state_store.put(CURSOR, msgspec.json.encode(StoredCursor(session.identity, cursor)))

    def _cursor(self) -> str:
        """Return the stored cursor; empty if there is none or it is another login's."""
        data, session = self._state_store.get(CURSOR), self._calls.session
        try:
            stored = msgspec.json.decode(data, type=StoredCursor) if data else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""
        ours = stored is not None and session is not None and stored.session == session.identity
        return stored.cursor if stored is not None and ours else ""

    def _login_lost(self, why: str) -> list[Event]:
        """Return the event of a lost login, once per session."""
        if self._lost or self._calls.session is None:
            return []
        self._lost = True
        account, now = self._calls.account, self._clock.now()
        id = f"login-lost-{self._calls.session.bot_id}-{int(now * 1000)}"
        return [Event(id, EventKind.LOGIN_LOST, account, now, raw={"reason": why})]

    async def _failed(self, error: PlatformError) -> None:
        self._refused += isinstance(error, (Rejected, WireMismatch))
        named = error.fault is not None and error.fault.row.code == wire.BAD_CURSOR.code
        if self._cursor() and (named or self._refused >= MAX_REFUSED_POLLS):
            log.warning("cursor refused; starting without one", extra={"account": self._calls.account})
            self._refused = 0
            await self._state_store.put(CURSOR, None)
            return
        self._failures += 1
        log.warning("poll failed", extra={"account": self._calls.account, "error": str(error)})
        many = self._failures >= self._rules.number("poll.failures")
        await self._clock.sleep(self._seconds("poll.long_pause_seconds" if many else "poll.pause_seconds"))

    async def _announce(self) -> None:
        """Tell the platform once per session that this client receives; failures do not matter."""
        if self.announced or not self._calls.settings.announce:
            return
        self.announced = True
        try:
            await self._calls.notify_start()
        except PlatformError as error:
            log.info("notifystart failed", extra={"account": self._calls.account, "error": str(error)})

    async def _wait_for_login(self, seconds: float | None) -> None:
        waits: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._logged_in.wait())}
        if seconds is not None:
            waits.add(asyncio.ensure_future(self._clock.sleep(seconds)))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._logged_in.clear()

    def _seconds(self, name: str) -> float:
        return float(self._rules[name])


def _of_address(event: Event, session: Session) -> Event:
    """Add the login's address to the context: a sandbox's token is none for the vendor, whatever the bot's name."""
    if not event.context:
        return event
    return msgspec.structs.replace(event, context={**event.context, "address": session.begun_at})
