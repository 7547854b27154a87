"""What all calls of one account share: the login under which they go out, and keeping it fresh."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

from yizhan.errors import LoginNeeded, Rejected
from yizhan.http.client import Caller, Progress
from yizhan.model import Clock
from yizhan.platforms.webwechat import Settings, wire
from yizhan.platforms.webwechat.client.saved import Saved, cookies_of
from yizhan.wire import Endpoint, HttpResponse

Res = TypeVar("Res")

AT_ONCE = 0.02
"""Seconds below which a long poll was not held at all."""
PAUSE = 1.0
"""Seconds between polls that are not held, or do not reach the service."""

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/111.0.0.0 Safari/537.36"


class Connection:
    """Whatever a call goes out with: hosts, identity, cookies, time."""

    def __init__(self, account: str, settings: Settings, clock: Clock) -> None:
        self.account = account
        self.settings = settings
        self.clock = clock
        self.saved: Saved | None = None
        self.caller = Caller(
            account, wire.bases(settings.api_base), headers={"User-Agent": AGENT}, proxy=settings.proxy
        )
        self._base: wire.Base | None = None
        self._cookie = ""
        self._last_id = 0
        self.unkept = False
        """Whether the login has changed since it was last stored."""

    # --- the login that is used ---

    def use(self, saved: Saved | None) -> None:
        """Send everything from now on as this login."""
        self.saved = saved
        self._base = None
        self._cookie = ""
        api = saved.api if saved is not None else self.settings.api_base
        self.caller.bases = dict(wire.bases(api))
        if saved is not None:
            self._identify(saved)

    def _identify(self, saved: Saved) -> None:
        self._base = wire.Base(_number(saved.uin), saved.sid, saved.skey, saved.device_id)
        self._cookie = "; ".join(f"{name}={value}" for name, value in saved.cookies.items())

    @property
    def ready(self) -> Saved:
        """The login. LoginNeeded when there is none."""
        if self.saved is None:
            raise self.login_needed("there is no login")
        return self.saved

    def login_needed(self, why: str) -> LoginNeeded:
        return LoginNeeded(
            f"{self.account}: {why}. Log in by scanning a code: yizhan login {self.account}", account=self.account
        )

    async def call(self, endpoint: Endpoint[Any, Res], request: Any, *, progress: Progress | None = None) -> Res:
        """Carry out one call with the session's cookies, and keep the cookies that come back."""
        headers = {"Cookie": self._cookie} if self._cookie else None
        answer = await self.caller.exchange(endpoint, request, headers=headers, progress=progress)
        self._renew(cookies_of(answer))
        try:
            return self.caller.read(endpoint, answer)
        except LoginNeeded as error:
            needed = self.login_needed(str(error.fault or error).rstrip("."))
            needed.fault, needed.endpoint = error.fault, endpoint.name
            raise needed from error

    def _renew(self, cookies: Mapping[str, str], skey: str = "") -> None:
        """Take over what the service gives anew while a login lasts."""
        saved = self.saved
        if saved is None or (cookies.items() <= saved.cookies.items() and skey in ("", saved.skey)):
            return
        saved.cookies.update(cookies)
        saved.skey = skey or saved.skey
        self._identify(saved)
        self.unkept = True

    async def download(self, endpoint: Endpoint[Any, Any], request: Any) -> AsyncIterator[bytes]:
        """Yield the bytes that a download call answers with.

        Raises:
            Rejected: the service has no bytes for it.
        """
        saved = self.ready
        async with self.caller.stream(endpoint, request, headers={"Cookie": self._cookie}) as (head, chunks):
            refused = head.content_type == "text/plain" and not head.header("content-disposition")
            if head.status >= 400 or refused:
                body = b"".join([chunk async for chunk in chunks])
                self.caller.read(endpoint, HttpResponse(head.status, head.headers, body))
                yield body
                return
            some = False
            async for chunk in chunks:
                some = True
                yield chunk
        if not some:
            raise Rejected(
                f"{self.account}: {endpoint.name} came back empty, as it does for some media of phones and for store "
                f"stickers (logged in as {saved.nick}).",
                account=self.account,
                endpoint=endpoint.name,
            )

    # --- time ---

    async def rest(self, began: float) -> None:
        """Wait a little if a poll that `began` then came back at once: one that nobody holds is not asked endlessly."""
        if self.clock.now() - began < AT_ONCE:
            await self.clock.sleep(PAUSE)

    def milliseconds(self) -> int:
        return int(self.clock.now() * 1000)

    def unique_milliseconds(self) -> int:
        """Return now, or the number after the last one given."""
        self._last_id = max(self._last_id + 1, self.milliseconds())
        return self._last_id

    @property
    def _lang(self) -> str:
        return self.settings.lang


def _number(uin: str) -> int | str:
    return int(uin) if uin.isdecimal() else uin
