"""The access token: fetched once however many wait, renewed while the old one still works, kept over restarts."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from yizhan.errors import LoginNeeded, PlatformError
from yizhan.http.client import Caller
from yizhan.model import Clock
from yizhan.platforms.adapter import StateStore
from yizhan.platforms.qqbot.wire import GET_TOKEN
from yizhan.platforms.qqbot.wire.gateway import TOKEN_PREFIX
from yizhan.platforms.qqbot.wire.token import AppSecret
from yizhan.runtime.single_flight import SingleFlight

RENEW_SECONDS = 45.0
"""Before the end. In the last 60 s the platform hands out a new token while the old one goes on; earlier, the same."""
ASK_AGAIN_SECONDS = 5.0
"""Between two attempts to renew while the old token still works."""
KEPT_AS = "token"


class KeptToken(Struct):
    app_id: str
    token: str
    ends: float


class Tokens:
    """The token of one bot, as the headers that every call carries."""

    def __init__(self, caller: Caller, app_id: str, secret: str, clock: Clock, state_store: StateStore | None) -> None:
        self._caller = caller
        self._secret = AppSecret(app_id, secret)
        self._clock = clock
        self._keeper = state_store
        self._single: SingleFlight[None] = SingleFlight()
        self._kept = self._load()
        self._headers = self._headers_of(self._kept)
        self._ask_again_at = 0.0

    async def headers(self) -> dict[str, str]:
        """Return the headers of a call.

        Raises:
            LoginNeeded: the platform does not accept the secret.
            PlatformError: no token is to be had, and there is none that still works.
        """
        now = self._clock.now()
        left = self._kept.ends - now
        if left <= RENEW_SECONDS and (left <= 0 or now >= self._ask_again_at):
            self._ask_again_at = now + ASK_AGAIN_SECONDS
            try:
                await self._single.do("token", self._fetch)
            except PlatformError as error:
                # While the old token works, a failure to get the next one is nobody's trouble yet.
                if left <= 0 or isinstance(error, LoginNeeded):
                    raise
        return self._headers

    async def renew(self, refused: dict[str, str]) -> dict[str, str]:
        """Return headers with another token than the one that was refused; many that were refused fetch one."""
        if self._headers is refused:
            await self._single.do("token", self._fetch)
        return self._headers

    @property
    def text(self) -> str:
        """The token in the form in which the gateway's socket wants it."""
        return self._headers["Authorization"]

    async def _fetch(self) -> None:
        answer = await self._caller.call(GET_TOKEN, self._secret)
        self._kept = KeptToken(self._secret.appId, answer.access_token, self._clock.now() + _seconds(answer.expires_in))
        self._headers = self._headers_of(self._kept)
        if self._keeper is not None:
            await self._keeper.put(KEPT_AS, msgspec.json.encode(self._kept))

    def _load(self) -> KeptToken:
        nothing = KeptToken(self._secret.appId, "", 0.0)
        data: Any = self._keeper.get(KEPT_AS) if self._keeper is not None else None
        try:
            kept = msgspec.json.decode(data, type=KeptToken) if data else nothing
        except (ValueError, RecursionError):
            return nothing
        return kept if kept.app_id == self._secret.appId else nothing

    def _headers_of(self, kept: KeptToken) -> dict[str, str]:
        return {"Authorization": TOKEN_PREFIX + kept.token, "X-Union-Appid": kept.app_id}


def _seconds(expires_in: str | int) -> float:
    try:
        return float(expires_in)
    except ValueError:
        return 0.0
