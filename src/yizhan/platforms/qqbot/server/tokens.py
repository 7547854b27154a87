"""Access tokens: issued, renewed in their last minute, and checked at every other call."""

from __future__ import annotations

import secrets

from yizhan.http.router import Call
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.server.state import ServerState
from yizhan.platforms.qqbot.wire import faults
from yizhan.platforms.qqbot.wire.gateway import TOKEN_PREFIX
from yizhan.platforms.qqbot.wire.token import AccessToken, AppSecret
from yizhan.wire import Fault, HttpRequest


class Tokens:
    def __init__(self, state: ServerState) -> None:
        self.state = state
        self.ends: dict[str, float] = {}
        """The end of every issued token, seconds since the epoch."""
        self.current = ""
        state.router.add(wire.GET_TOKEN, self.issue)

    def reset(self) -> None:
        """Keep the tokens: a client that runs through a reset would not know why its token is refused."""

    def forget(self) -> None:
        """Refuse every token issued so far."""
        self.ends.clear()
        self.current = ""

    async def issue(self, call: Call[AppSecret]) -> AccessToken:
        """Return the current token; in its last minute a new one, and the old one stays valid until it expires."""
        if not call.http.header("content-type").lower().startswith("application/json"):
            raise Fault(faults.APPID_INVALID)
        if call.request.appId != self.state.app_id:
            raise Fault(faults.APPID_INVALID)
        if call.request.clientSecret != self.state.secret:
            raise Fault(faults.SECRET_WRONG)
        rules, now = self.state.rules, self.state.now()
        if self.ends.get(self.current, 0.0) - now <= rules.number("token.overlap_seconds"):
            self.ends = {token: end for token, end in self.ends.items() if end > now}
            self.current = secrets.token_urlsafe(48)
            self.ends[self.current] = now + rules.number("token.lifetime_seconds")
        return AccessToken(self.current, str(int(self.ends[self.current] - now)))

    def check(self, http: HttpRequest) -> None:
        """Raise the platform's fault unless the request has a valid token."""
        authorization = http.headers.get("Authorization") or http.header("authorization")
        if not authorization:
            raise Fault(faults.TOKEN_MISSING)
        if not authorization.startswith(TOKEN_PREFIX):
            raise Fault(faults.TOKEN_FIXED if authorization.startswith("Bot ") else faults.TOKEN_WRONG)
        if not self.is_valid(authorization.removeprefix(TOKEN_PREFIX)):
            raise Fault(faults.TOKEN_EXPIRED)

    def is_valid(self, token: str) -> bool:
        return self.ends.get(token, 0.0) > self.state.now()
