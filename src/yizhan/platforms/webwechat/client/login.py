"""The login by phone: a confirmation without a QR code if the browser is known, else QR codes."""

from __future__ import annotations

from collections.abc import Callable

from yizhan.errors import LoginNeeded, PlatformError, Unavailable
from yizhan.platforms.adapter import LoginStep
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.client.calls import WebWx
from yizhan.platforms.webwechat.client.connection import POLL_PAUSE
from yizhan.platforms.webwechat.client.session import Session

MAX_CODES = 6
"""The page's script also shows five more codes after the first has expired."""
LOGIN_SECONDS = 600.0

Show = Callable[[LoginStep], None]


class QrLogin:
    """One login of one account."""

    def __init__(self, webwx: WebWx, show: Show) -> None:
        self._webwx = webwx
        self._show = show
        self._deadline = webwx.clock.now() + LOGIN_SECONDS

    async def run(self) -> Session:
        """Return the session of the confirmed login.

        Raises:
            LoginNeeded: the login was refused, or not confirmed in time.
        """
        pushed = await self._push_login()
        if pushed is not None:
            return pushed
        for _ in range(MAX_CODES):
            uuid = await self._webwx.jslogin()
            self._show(LoginStep("qr", "Scan this with WeChat, and confirm on the phone.", wire.QR_TEXT + uuid))
            redirect = await self._wait_for_confirmation(uuid)
            if redirect:
                return await self._open_session(redirect)
        raise self._webwx.login_needed("none of the codes was confirmed in time")

    async def _push_login(self) -> Session | None:
        """Let the phone confirm without a QR code; None if the service does not offer that."""
        session = self._webwx.session
        if session is None or not session.uin:
            return None
        try:
            uuid = await self._webwx.webwxpushloginurl(session.uin)
        except PlatformError:
            return None
        if not uuid:
            return None
        self._show(LoginStep("scanned", "A confirmation was sent to the phone; confirm there."))
        redirect = await self._wait_for_confirmation(uuid)
        return await self._open_session(redirect) if redirect else None

    async def _wait_for_confirmation(self, uuid: str) -> str:
        """Poll until the login is confirmed; return its redirect_uri, or "" if the code was cancelled or expired."""
        tip, scanned = 1, False
        while (began := self._webwx.clock.now()) < self._deadline:
            try:
                polled = await self._webwx.login(uuid, tip)
            except Unavailable:
                await self._webwx.clock.sleep(POLL_PAUSE)
                continue
            tip = 0
            match polled.code:
                case wire.CONFIRMED:
                    return polled.redirect_uri
                case wire.SCANNED:
                    if scanned:
                        await self._webwx.clock.sleep(POLL_PAUSE)
                    else:
                        self._show(LoginStep("scanned", "Scanned; now confirm on the phone."))
                    scanned = True
                case wire.WAITING:
                    await self._webwx.pause_if_unheld(began)
                case wire.CANCELLED:
                    self._show(LoginStep("cancelled", "Cancelled on the phone."))
                    return ""
                case _:
                    self._show(LoginStep("expired", "The code has expired."))
                    return ""
        raise self._webwx.login_needed(f"no code was confirmed within {LOGIN_SECONDS:.0f} seconds")

    async def _open_session(self, redirect: str) -> Session:
        try:
            return await self._webwx.webwxnewloginpage(redirect)
        except LoginNeeded as error:
            self._show(LoginStep("refused", error.fault.message if error.fault else str(error)))
            raise
