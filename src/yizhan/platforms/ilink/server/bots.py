"""The bots and the people who talk with them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from yizhan.errors import did_you_mean
from yizhan.http.router import Call
from yizhan.platforms.ilink import wire
from yizhan.platforms.ilink.server.state import Bot, Chat
from yizhan.platforms.kit.server import SandboxServer
from yizhan.wire import Fault

_OPENID = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


class Bots:
    """Every bot that a login made, ended ones too."""

    def __init__(self, server: SandboxServer) -> None:
        self._server = server
        self.closing = False
        """Whether the sandbox is ending: held requests are answered at once."""
        self.clear()

    def clear(self) -> None:
        """Forget all bots; message ids begin anew."""
        self.by_token: dict[str, Bot] = {}
        self._waiting: list[str] = []
        """People who scan the next codes."""
        self._ids = itertools.count(7_495_426_660_285_223_688 + 8 * self._server.world.random.getrandbits(24), 8)

    def next_id(self) -> int:
        """Return the id of a new message."""
        return next(self._ids)

    # --- bots and chats of requests ---

    def asking(self, call: Call[Any]) -> Bot:
        """Return the bot whose token a request carries.

        Raises:
            Fault: there is no token, or its session has ended.
        """
        scheme, _, token = call.http.header("authorization").strip().partition(" ")
        bot = self.by_token.get(token.strip()) if scheme.lower() == "bearer" else None
        if bot is None or not bot.alive:
            raise Fault(wire.STALE_TOKEN, data="no bearer token of a living bot")
        bot.base_url = call.base_url
        return bot

    def chat(self, bot: Bot, user: str | None) -> Chat:
        """Return the chat of `bot` with `user`.

        Raises:
            Fault: that person never wrote to it.
        """
        chat = bot.chats.get(user or "")
        if chat is None:
            raise Fault(wire.BAD_RECIPIENT, data=f"{bot.id} talks with {', '.join(list(bot.chats)[:3])} only")
        return chat

    def newest(self) -> Bot | None:
        """Return the newest bot that has not ended."""
        return next((bot for bot in reversed(self.by_token.values()) if bot.alive), None)

    def living_bot_of(self, user: str) -> Bot:
        """Return the newest bot that `user` can write to.

        Raises:
            LookupError: there is none; the text names people who have one.
        """
        for bot in reversed(self.by_token.values()):
            if bot.alive and user in bot.chats:
                return bot
        known = [user for bot in self.by_token.values() if bot.alive for user in bot.chats]
        raise LookupError(
            f"'{user}' has no iLink bot to write to.{did_you_mean(user, known)} "
            f"Only people who scanned a code have one: {', '.join(known[:5]) or 'no one so far'}."
        )

    # --- people and sessions ---

    def new_person(self) -> str:
        world, network = self._server.world, self._server.network
        tail = "".join(world.random.choice(_OPENID) for _ in range(22))
        id = f"o9cq80{tail}{wire.USER_SUFFIX}"
        network.add_person(id, f"bot user {len(network.people)}")
        return id

    def let_scan(self, users: Sequence[str]) -> None:
        """Let `users` scan the next codes, in this order."""
        self._waiting += users

    def bind(self, user: str | None) -> Bot:
        """Make a bot for `user`, or for the next person in line. A person has one bot: an earlier one ends."""
        world = self._server.world
        user = user or (self._waiting.pop(0) if self._waiting else self.new_person())
        for bot in self.by_token.values():
            if bot.user == user and bot.alive:
                self.end_session(bot.token)
        id = world.hex(12) + wire.BOT_SUFFIX
        bot = Bot(id, f"{id}:060000{world.hex(40)}", user, "", int(world.now() * 1000))
        bot.chats[user] = Chat(user)
        self.by_token[bot.token] = bot
        return bot

    def end_session(self, token: str) -> None:
        """End a bot, as when the person disconnects it; its token is worthless from now on."""
        self.by_token[token].alive = False
        self.by_token[token].bell.ring()

    def end_all(self) -> None:
        for token in self.by_token:
            self.end_session(token)

    def close(self) -> None:
        """Answer held polls as if their time were up: a server that goes away ends no session."""
        self.closing = True
        for bot in self.by_token.values():
            bot.bell.ring()
