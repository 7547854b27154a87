"""The way to every call but the token's own: with a valid token, within the call's rate, and not too large."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from msgspec import Struct

from yizhan.http.router import Call
from yizhan.platforms.qqbot.server.quotas import Rates
from yizhan.platforms.qqbot.server.state import ServerState
from yizhan.platforms.qqbot.server.tokens import Tokens
from yizhan.platforms.qqbot.wire.faults import PROXY_REFUSED
from yizhan.wire import Endpoint, Fault

Req = TypeVar("Req", bound=Struct)


class Access:
    def __init__(self, state: ServerState, tokens: Tokens, rates: Rates) -> None:
        self._state = state
        self._tokens = tokens
        self._rates = rates

    def serve(self, endpoint: Endpoint[Req, Any], handler: Callable[[Call[Req]], Awaitable[Any]]) -> None:
        """Serve a call that wants an access token."""

        async def guarded(call: Call[Req]) -> Any:
            self._tokens.check(call.http)
            self._rates.take(endpoint)
            self._state.base_url = call.base_url
            body = call.http.body[0] if call.http.body else b""
            if isinstance(body, bytes) and len(body) > self._state.rules.number("files.proxy_max_bytes"):
                raise Fault(PROXY_REFUSED)
            return await handler(call)

        self._state.router.add(endpoint, guarded)
