"""The login by QR code, from the first code to the bot's token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from yizhan.errors import LoginNeeded, Unavailable, WireMismatch
from yizhan.model import Clock
from yizhan.platforms.adapter import LoginStep
from yizhan.platforms.ilink import wire
from yizhan.platforms.ilink.client.calls import Calls, Session
from yizhan.platforms.rules import Rules

Show = Callable[[LoginStep], None]


class CodeEntry:
    """Receives the digits that a person reads from the phone."""

    def __init__(self) -> None:
        self._code = ""
        self._given = asyncio.Event()

    def give(self, code: str) -> None:
        """Give the digits to the login that waits for them."""
        self._code = code.strip()
        self._given.set()

    async def take(self, clock: Clock, seconds: float) -> str:
        """Return the digits; an empty text if there were none within `seconds`."""
        waits: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(self._given.wait()),
            asyncio.ensure_future(clock.sleep(seconds)),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        code, self._code = self._code, ""
        self._given.clear()
        return code


class QrLogin:
    """One login. `kept`: the stored session; its token tells the platform which bot this installation has."""

    def __init__(self, calls: Calls, clock: Clock, rules: Rules, entry: CodeEntry, kept: Session | None) -> None:
        self._calls = calls
        self._clock = clock
        self._rules = rules
        self._entry = entry
        self._kept = kept
        self._ends_at = 0.0
        self._shown = ""

    async def run(self, show: Show) -> Session:
        """Show codes until one is confirmed, and return the session.

        Raises:
            LoginNeeded: no code was confirmed in time.
        """
        self._ends_at = self._clock.now() + self._rules.number("login.total_seconds")
        for _ in range(self._rules.number("login.max_codes")):
            code = await self._calls.get_bot_qrcode([self._kept.bot_token] if self._kept else [])
            self._shown = "qr"
            show(LoginStep("qr", "Scan this with WeChat, and confirm on the phone.", code.qrcode_img_content or ""))
            session = await self._follow(code.qrcode, show)
            if session is not None:
                show(LoginStep("confirmed", f"{session.bot_id}, bound to {session.user_id or 'a person'}"))
                return session
            show(LoginStep("expired", "That code has expired."))
        raise self._failed("none of the codes was confirmed in time")

    async def _follow(self, qrcode: str, show: Show) -> Session | None:
        """Ask about one code until it is confirmed (the session) or expired (None)."""
        digits: str | None = None
        before = "wait"
        while self._clock.now() < self._ends_at:
            answer = await self._status(qrcode, digits)
            digits = None
            if answer.status == before:
                # The platform may not hold the request at all, and would repeat this answer for ever.
                await self._clock.sleep(float(self._rules["login.pause_seconds"]))
            before = "wait" if answer.status == "need_verifycode" else answer.status
            match answer.status:
                case "confirmed":
                    return self._session(answer)
                case "binded_redirect":
                    return self._still_bound()
                case "expired" | "verify_code_blocked":
                    return None
                case "scaned":
                    self._show_once(show, LoginStep("scanned", "Scanned; now confirm on the phone."))
                case "scaned_but_redirect":
                    if answer.redirect_host:
                        self._calls.follow(answer.redirect_host)
                case "need_verifycode":
                    digits = await self._digits(show)
        raise self._failed(f"no code was confirmed within {self._rules['login.total_seconds']} seconds")

    async def _status(self, qrcode: str, digits: str | None) -> wire.QrStatus:
        try:
            return await self._calls.get_qrcode_status(qrcode, digits)
        except Unavailable:
            # Like the official client: a timeout or an error of the network or a gateway means "wait".
            return wire.QrStatus("wait")

    async def _digits(self, show: Show) -> str:
        again = self._shown == "code"
        self._shown = "code"
        text = f"The phone shows digits; enter them{' again, those were wrong' if again else ''}."
        show(LoginStep("code", text, answer=self._entry.give))
        return await self._entry.take(self._clock, max(0.0, self._ends_at - self._clock.now()))

    def _session(self, answer: wire.QrStatus) -> Session:
        if not answer.bot_token or not answer.ilink_bot_id:
            raise WireMismatch(
                f"{self._calls.account}: the login was confirmed, but the answer names no bot or no token.",
                account=self._calls.account,
                endpoint=wire.GET_QRCODE_STATUS.name,
            )
        home = self._calls.settings.api_base
        base = (answer.baseurl or home).rstrip("/")
        return Session(answer.bot_token, answer.ilink_bot_id, answer.ilink_user_id or "", base, home)

    def _still_bound(self) -> Session:
        if self._kept is None:
            raise self._failed("the platform says that this installation has a bot already, but none is stored here")
        return self._kept

    def _show_once(self, show: Show, step: LoginStep) -> None:
        if self._shown != step.state:
            self._shown = step.state
            show(step)

    def _failed(self, why: str) -> LoginNeeded:
        return LoginNeeded(f"{self._calls.account}: {why}. Start the login again.", account=self._calls.account)
