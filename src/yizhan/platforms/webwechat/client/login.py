"""Getting from nothing to a session: take up the stored one, ask the phone, or show a code."""

from __future__ import annotations

from collections.abc import Callable

from yizhan.errors import LoginNeeded, PlatformError, Unavailable
from yizhan.platforms.adapter import LoginStep
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.client.calls import WebWx
from yizhan.platforms.webwechat.client.connection import PAUSE
from yizhan.platforms.webwechat.client.saved import Saved

MOST_CODES = 5
"""New codes that are shown after the first has expired; the page's script does the same."""
SECONDS = 600.0

Show = Callable[[LoginStep], None]


class QrLogin:
    """One login of one account."""

    def __init__(self, wx: WebWx, show: Show) -> None:
        self._wx = wx
        self._show = show
        self._until = wx.clock.now() + SECONDS

    async def run(self) -> Saved:
        """Return what a confirmed login gave.

        Raises:
            LoginNeeded: it was refused, or not confirmed in time.
        """
        pushed = await self._pushed()
        if pushed is not None:
            return pushed
        for _ in range(MOST_CODES + 1):
            uuid = await self._wx.jslogin()
            self._show(LoginStep("qr", "Scan this with WeChat, and confirm on the phone.", wire.QR_TEXT + uuid))
            redirect = await self._follow(uuid)
            if redirect:
                return await self._page(redirect)
        raise self._wx.login_needed("none of the codes was confirmed in time")

    async def _pushed(self) -> Saved | None:
        """A browser that is known may have the phone asked without a code."""
        saved = self._wx.saved
        if saved is None or not saved.uin:
            return None
        try:
            uuid = await self._wx.webwxpushloginurl(saved.uin)
        except PlatformError:
            return None
        if not uuid:
            return None
        self._show(LoginStep("scanned", "The phone has been asked; confirm there."))
        redirect = await self._follow(uuid)
        return await self._page(redirect) if redirect else None

    async def _follow(self, uuid: str) -> str:
        """Poll until the login is confirmed (the address to go on with) or the code is no longer good (empty)."""
        tip, scanned = 1, False
        while (began := self._wx.clock.now()) < self._until:
            try:
                polled = await self._wx.login(uuid, tip)
            except Unavailable:
                await self._wx.clock.sleep(PAUSE)
                continue
            tip = 0
            match polled.code:
                case wire.CONFIRMED:
                    return polled.redirect_uri
                case wire.SCANNED:
                    if scanned:
                        await self._wx.clock.sleep(PAUSE)
                    else:
                        self._show(LoginStep("scanned", "Scanned; now confirm on the phone."))
                    scanned = True
                case wire.WAITING:
                    await self._wx.rest(began)
                case wire.CANCELLED:
                    self._show(LoginStep("cancelled", "Cancelled on the phone."))
                    return ""
                case _:
                    self._show(LoginStep("expired", "That code is no longer good."))
                    return ""
        raise self._wx.login_needed(f"no code was confirmed within {SECONDS:.0f} seconds")

    async def _page(self, redirect: str) -> Saved:
        try:
            return await self._wx.webwxnewloginpage(redirect)
        except LoginNeeded as error:
            words = error.fault.message if error.fault else str(error)
            self._show(LoginStep("refused", words))
            raise
