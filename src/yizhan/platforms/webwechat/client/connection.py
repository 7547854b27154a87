"""The connection of one account: hosts, session, cookies and time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Struct

from yizhan.errors import LoginNeeded, Rejected, WireMismatch
from yizhan.http.client import Caller, Progress
from yizhan.model import Clock
from yizhan.platforms.webwechat import Settings, wire
from yizhan.platforms.webwechat.client.session import Session, cookies_of
from yizhan.wire import Endpoint, HttpResponse

Req = TypeVar("Req", bound=Struct)
Res = TypeVar("Res")

UNHELD_SECONDS = 0.02
"""A long poll that returns sooner was not held by the service."""
POLL_PAUSE = 1.0
"""Seconds between polls that the service does not hold or that do not reach it."""

USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/111.0.0.0 Safari/537.36"


class Connection:
    """Sends calls under the current session and keeps the session fresh."""

    def __init__(self, account: str, settings: Settings, clock: Clock) -> None:
        self.account = account
        self.settings = settings
        self.clock = clock
        self.session: Session | None = None
        self.unsaved = False
        """Whether the session has changed since it was last stored."""
        self.caller = Caller(
            account, wire.bases(settings.api_base), headers={"User-Agent": USER_AGENT}, proxy=settings.proxy
        )
        self._identity: dict[str, Any] = {}
        self._cookie = ""
        self._last_id = 0

    # --- the session ---

    def use(self, session: Session | None) -> None:
        """Send all further calls under `session`."""
        self.session = session
        self._identity, self._cookie = {}, ""
        self.caller.bases = dict(wire.bases(session.api if session is not None else self.settings.api_base))
        if session is not None:
            self.identify(session)

    def identify(self, session: Session) -> None:
        """Read cookies and the fields that identify a call from `session`."""
        self._cookie = "; ".join(f"{name}={value}" for name, value in session.cookies.items())
        uin = int(session.uin) if session.uin.isdecimal() else session.uin
        self._identity = {
            "BaseRequest": wire.Credentials(uin, session.sid, session.skey, session.device_id),
            "FromUserName": session.me,
            "pass_ticket": session.pass_ticket,
            "lang": self.settings.lang,
            "skey": session.skey,
            "sid": session.sid,
            "uin": session.uin,
            "deviceid": session.device_id,
            "webwx_data_ticket": session.cookies.get("webwx_data_ticket", ""),
        }

    @property
    def ready(self) -> Session:
        """The session.

        Raises:
            LoginNeeded: there is none.
        """
        if self.session is None:
            raise self.login_needed("there is no login")
        return self.session

    @property
    def credentials(self) -> wire.Credentials:
        """The BaseRequest of the session, for requests that carry it inside of another field."""
        credentials: wire.Credentials = self._identity["BaseRequest"]
        return credentials

    def login_needed(self, why: str) -> LoginNeeded:
        return LoginNeeded(
            f"{self.account}: {why}. Log in by scanning a code: yizhan login {self.account}", account=self.account
        )

    def unexpected(self, endpoint: Endpoint[Any, Any], why: str) -> WireMismatch:
        return WireMismatch(f"{self.account}: {endpoint.name}: {why}.", account=self.account, endpoint=endpoint.name)

    # --- calls ---

    async def call(self, endpoint: Endpoint[Req, Res], request: Req, *, progress: Progress | None = None) -> Res:
        """Send one call and return its response.

        Fields that identify the session (BaseRequest, FromUserName, skey, pass_ticket …) are filled in where `request`
        leaves them empty. Cookies of the response replace those of the session.

        Raises:
            LoginNeeded: the call needs a session and there is none, or the session has ended.
            PlatformError: the service refused the call, or did not answer.
        """
        signed = self.signed(request)
        headers = {"Cookie": self._cookie} if self._cookie else None
        response = await self.caller.exchange(endpoint, signed, headers=headers, progress=progress)
        self.renew(cookies_of(response))
        try:
            return self.caller.read(endpoint, response)
        except LoginNeeded as error:
            needed = self.login_needed(str(error.fault or error).rstrip("."))
            needed.fault, needed.endpoint = error.fault, endpoint.name
            raise needed from error

    def signed(self, request: Req) -> Req:
        """Return `request` with the fields that identify the session filled in."""
        fields = request.__struct_fields__
        if self.session is None:
            if "BaseRequest" in fields or "skey" in fields:
                raise self.login_needed("there is no login")
            return request
        empty = {
            name: value
            for name, value in self._identity.items()
            if name in fields and getattr(request, name) in (None, UNSET, "")
        }
        return msgspec.structs.replace(request, **empty) if empty else request

    def renew(self, cookies: Mapping[str, str], skey: str = "") -> None:
        """Replace cookies and skey that the service issued anew during the session."""
        session = self.session
        if session is None or (cookies.items() <= session.cookies.items() and skey in ("", session.skey)):
            return
        session.cookies.update(cookies)
        session.skey = skey or session.skey
        self.identify(session)
        self.unsaved = True

    async def download(self, endpoint: Endpoint[Req, Any], request: Req) -> AsyncIterator[bytes]:
        """Yield the bytes of a download call.

        Raises:
            Rejected: the response is empty.
        """
        session, empty = self.ready, True
        signed = self.signed(request)
        async with self.caller.stream(endpoint, signed, headers={"Cookie": self._cookie}) as (head, chunks):
            refused = head.content_type == "text/plain" and not head.header("content-disposition")
            if head.status >= 400 or refused:
                body = b"".join([chunk async for chunk in chunks])
                self.caller.read(endpoint, HttpResponse(head.status, head.headers, body))
                yield body
                return
            async for chunk in chunks:
                empty = False
                yield chunk
        if empty:
            raise Rejected(
                f"{self.account}: {endpoint.name} returned no bytes (logged in as {session.nick}). The service does so "
                "for store stickers and for some media from phones; open them on the phone.",
                account=self.account,
                endpoint=endpoint.name,
            )

    # --- time ---

    async def pause_if_unheld(self, began: float) -> None:
        """Pause if the poll that started at `began` was not held, so that polling never becomes a busy loop."""
        if self.clock.now() - began < UNHELD_SECONDS:
            await self.clock.sleep(POLL_PAUSE)

    def milliseconds(self) -> int:
        return int(self.clock.now() * 1000)

    def unique_milliseconds(self) -> int:
        """Return the time in milliseconds, or one more than the last result if that is larger."""
        self._last_id = max(self._last_id + 1, self.milliseconds())
        return self._last_id
