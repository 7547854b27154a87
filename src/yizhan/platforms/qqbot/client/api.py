"""The API of one bot: every call with a valid token, repeated once with a new one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Self, TypeVar

import msgspec
from msgspec import Struct

from yizhan.errors import LoginNeeded, Throttled
from yizhan.http.client import Caller, Progress
from yizhan.model import Clock
from yizhan.platforms.adapter import StateStore
from yizhan.platforms.qqbot import VENDOR
from yizhan.platforms.qqbot.client.tokens import Tokens
from yizhan.platforms.qqbot.wire import faults
from yizhan.runtime.clock import SystemClock
from yizhan.wire import Endpoint, Header, Path, Whole

Res = TypeVar("Res")

RATE_RETRY_SECONDS = 30.0
"""Time during which a call over its rate is repeated."""


class Api:
    """Every call raises PlatformError (see `yizhan.errors`); an expired token is renewed automatically."""

    def __init__(
        self,
        app_id: str,
        secret: str,
        *,
        base_url: str = VENDOR,
        token_url: str = "",
        account: str = "qqbot",
        clock: Clock | None = None,
        state_store: StateStore | None = None,
        proxy: str = "",
    ) -> None:
        self.app_id = app_id
        self.base_url = (base_url or VENDOR).rstrip("/")
        token_url = token_url.rstrip("/") or self.base_url
        self.clock = clock or SystemClock()
        self.caller = Caller(account, {"api": self.base_url, "token": token_url}, proxy=proxy)
        self.tokens = Tokens(self.caller, app_id, secret, self.clock, state_store, token_url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self.caller.close()

    async def call(self, endpoint: Endpoint[Any, Res], request: Any, *, progress: Progress | None = None) -> Res:
        """Make any call of `yizhan.platforms.qqbot.wire`; once more with a new token if the token was refused.

        A call refused for its rate is repeated for a while. Sends are not: their queue repeats them.
        """
        retry_until = self.clock.now() + RATE_RETRY_SECONDS
        while True:
            try:
                return await self._call(endpoint, request, progress)
            except Throttled as error:
                too_often = error.fault is not None and error.fault.row is faults.CALLED_TOO_OFTEN
                if endpoint.acts or not too_often or self.clock.now() >= retry_until:
                    raise
                await self.clock.sleep(error.retry_after or 1.0)

    async def _call(self, endpoint: Endpoint[Any, Res], request: Any, progress: Progress | None) -> Res:
        headers = await self.tokens.headers()
        try:
            return await self.caller.call(endpoint, request, headers=headers, progress=progress)
        except LoginNeeded as error:
            if error.fault is None or error.fault.row not in faults.TOKEN_FAULTS:
                raise
        headers = await self.tokens.renew(headers)
        return await self.caller.call(endpoint, request, headers=headers, progress=progress)

    async def call_json(self, endpoint: Endpoint[Any, Res], id: str, fields: Mapping[str, Any]) -> Res:
        """Make a call with `fields` as its JSON body, unchecked; `id` goes into the path."""
        return await self.call(_json_form(endpoint), JsonBody(id, msgspec.json.encode(fields), "application/json"))


class JsonBody(Struct):
    """Stands in for a call's own struct when the caller gives the JSON."""

    id: Annotated[str, Path()]
    body: Annotated[Any, Whole()]
    content_type: Annotated[str, Header("Content-Type")]


_json_forms: dict[str, Endpoint[JsonBody, Any]] = {}


def _json_form(endpoint: Endpoint[Any, Any]) -> Endpoint[JsonBody, Any]:
    if endpoint.name not in _json_forms:
        path = re.sub(r"{\w+}", "{id}", endpoint.path)
        _json_forms[endpoint.name] = replace(endpoint, request=JsonBody, path=path, constants={}, target="id")
    return _json_forms[endpoint.name]
