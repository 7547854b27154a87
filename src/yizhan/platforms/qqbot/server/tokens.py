"""The access token and who asks: every other call is let in here. Also what a bot may ask about itself."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from yizhan.http.router import Call
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.wire import faults
from yizhan.platforms.qqbot.wire.foreign import GatewayForBot
from yizhan.platforms.qqbot.wire.gateway import PATH, TOKEN_PREFIX
from yizhan.platforms.qqbot.wire.token import (
    AccessToken,
    AppSecret,
    GatewayAddress,
    Me,
    Nothing,
)
from yizhan.wire import Fault, HttpRequest

if TYPE_CHECKING:
    from yizhan.platforms.qqbot.server import Server


class Tokens:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.ends: dict[str, float] = {}
        """End of every token that was handed out, seconds since the epoch."""
        self.current = ""
        server.router.add(wire.GET_TOKEN, self.issue)
        server.serve(wire.GET_ME, self.me)
        server.serve(wire.GET_GATEWAY, self.gateway)
        server.serve(wire.GET_GATEWAY_BOT, self.gateway_bot)

    def reset(self) -> None:
        """Tokens live on: clients that run through a reset would not know why theirs is refused."""

    def forget(self) -> None:
        """Refuse every token that was handed out."""
        self.ends.clear()
        self.current = ""

    async def issue(self, call: Call[AppSecret]) -> AccessToken:
        """The same token while it is valid; a new one in its last minute, and the old one goes on to its end."""
        if not call.http.header("content-type").lower().startswith("application/json"):
            raise Fault(faults.APPID_INVALID)
        if call.request.appId != self.server.app_id:
            raise Fault(faults.APPID_INVALID)
        if call.request.clientSecret != self.server.secret:
            raise Fault(faults.SECRET_WRONG)
        rules, now = self.server.rules, self.server.world.now()
        if self.ends.get(self.current, 0.0) - now <= rules.number("token.overlap_seconds"):
            self.ends = {token: end for token, end in self.ends.items() if end > now}
            self.current = secrets.token_urlsafe(48)
            self.ends[self.current] = now + rules.number("token.lifetime_seconds")
        return AccessToken(self.current, str(int(self.ends[self.current] - now)))

    def check(self, http: HttpRequest) -> None:
        """Let a request in, or raise the platform's fault."""
        authorization = http.headers.get("Authorization") or http.header("authorization")
        if not authorization:
            raise Fault(faults.TOKEN_MISSING)
        if not authorization.startswith(TOKEN_PREFIX):
            raise Fault(faults.TOKEN_FIXED if authorization.startswith("Bot ") else faults.TOKEN_WRONG)
        if not self.is_valid(authorization.removeprefix(TOKEN_PREFIX)):
            raise Fault(faults.TOKEN_EXPIRED)

    def is_valid(self, token: str) -> bool:
        return self.ends.get(token, 0.0) > self.server.world.now()

    async def me(self, _call: Call[Nothing]) -> Me:
        return Me(self.server.bot_id, self.server.bot_name)

    async def gateway(self, call: Call[Nothing]) -> GatewayAddress:
        return GatewayAddress(_socket_address(call.base_url))

    async def gateway_bot(self, call: Call[Nothing]) -> GatewayForBot:
        return GatewayForBot(_socket_address(call.base_url))


def _socket_address(base_url: str) -> str:
    # The address is made from what the client called: behind another name or port it must come back there.
    return base_url.replace("http", "ws", 1) + PATH
