"""The access token: fetched once however many callers wait, renewed before it ends, kept over restarts."""

from __future__ import annotations

import hashlib

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
"""A token is renewed this long before its end. The platform issues a new one only in the last 60 s."""
RETRY_SECONDS = 5.0
"""Pause between two attempts to renew while the old token still works."""
STATE_KEY = "token"


class StoredToken(Struct):
    """A token with its bot, host and secret; it is not used for others."""

    app_id: str
    token: str
    ends: float
    """Seconds since the epoch."""
    base_url: str = ""
    secret: str = ""
    """A digest of the secret that it was issued for."""

    def belongs_with(self, other: StoredToken) -> bool:
        """Return whether both are of the same bot, host and secret."""
        return (self.app_id, self.base_url, self.secret) == (other.app_id, other.base_url, other.secret)


class Tokens:
    """The token of one bot, as the headers that every call carries.

    `base_url`: the host that issues tokens.
    """

    def __init__(
        self,
        caller: Caller,
        app_id: str,
        secret: str,
        clock: Clock,
        state_store: StateStore | None,
        base_url: str = "",
    ) -> None:
        self._caller = caller
        self._secret = AppSecret(app_id, secret)
        self._base_url = base_url
        self._clock = clock
        self._state_store = state_store
        self._single: SingleFlight[None] = SingleFlight()
        self._token = self._load()
        self._headers = _headers_of(self._token)
        self._retry_at = 0.0

    async def headers(self) -> dict[str, str]:
        """Return the headers of a call.

        Raises:
            LoginNeeded: the platform does not accept the secret.
            PlatformError: the token has ended and no new one can be fetched.
        """
        now = self._clock.now()
        left = self._token.ends - now
        if left <= RENEW_SECONDS and (left <= 0 or now >= self._retry_at):
            self._retry_at = now + RETRY_SECONDS
            try:
                await self._single.do("token", self._fetch)
            except PlatformError as error:
                # A failed renewal is no error while the old token works; a refused secret always is.
                if left <= 0 or isinstance(error, LoginNeeded):
                    raise
        return self._headers

    async def renew(self, refused: dict[str, str]) -> dict[str, str]:
        """Return headers with another token than the refused one; callers that were refused together share one."""
        if self._headers is refused:
            await self._single.do("token", self._fetch)
        return self._headers

    @property
    def text(self) -> str:
        """The token as the gateway's socket wants it."""
        return self._headers["Authorization"]

    async def _fetch(self) -> None:
        answer = await self._caller.call(GET_TOKEN, self._secret)
        ends = self._clock.now() + _seconds(answer.expires_in)
        self._token = self._stored(answer.access_token, ends)
        self._headers = _headers_of(self._token)
        if self._state_store is not None:
            await self._state_store.put(STATE_KEY, msgspec.json.encode(self._token))

    def _load(self) -> StoredToken:
        none = self._stored("", 0.0)
        data = self._state_store.get(STATE_KEY) if self._state_store is not None else None
        try:
            stored = msgspec.json.decode(data, type=StoredToken) if data else none
        except (ValueError, RecursionError):
            return none
        return stored if stored.belongs_with(none) else none

    def _stored(self, token: str, ends: float) -> StoredToken:
        digest = hashlib.blake2b(self._secret.clientSecret.encode(), digest_size=12).hexdigest()
        return StoredToken(self._secret.appId, token, ends, self._base_url, digest)


def _headers_of(token: StoredToken) -> dict[str, str]:
    return {"Authorization": TOKEN_PREFIX + token.token, "X-Union-Appid": token.app_id}


def _seconds(expires_in: str | int) -> float:
    try:
        return float(expires_in)
    except ValueError:
        return 0.0
