"""Logins by QR code: the states of a code, and the phone that scans it."""

from __future__ import annotations

from urllib.parse import quote

from yizhan.errors import did_you_mean
from yizhan.http.router import Call
from yizhan.platforms.ilink import wire
from yizhan.platforms.ilink.server.bots import Bots
from yizhan.platforms.ilink.server.messages import Messages
from yizhan.platforms.ilink.server.state import FINAL, QrState
from yizhan.platforms.kit.server import SandboxServer


class Logins:
    """The codes that were issued. Unless logins are manual, the person does one step at each poll."""

    def __init__(self, server: SandboxServer, bots: Bots, messages: Messages) -> None:
        self._server = server
        self._bots = bots
        self._messages = messages
        self.codes: dict[str, QrState] = {}

    def find(self, code: str) -> QrState:
        """Return a code's state.

        Raises:
            LookupError: it was never issued.
        """
        if code not in self.codes:
            raise LookupError(f"there is no login '{code}'.{did_you_mean(code, self.codes)}")
        return self.codes[code]

    async def start(self, call: Call[wire.QrStart]) -> wire.QrCode:
        world = self._server.world
        code = world.hex(32)
        ends_at = world.now() + self._server.rules["login.code_seconds"]
        self.codes[code] = QrState(code, ends_at, tuple(call.request.local_token_list or ())[:10])
        bot_type = quote(call.request.bot_type or wire.BOT_TYPE, safe="")
        return wire.QrCode(code, f"https://liteapp.weixin.qq.com/q/7GiQu1?qrcode={code}&bot_type={bot_type}", ret=0)

    async def status(self, call: Call[wire.QrPoll]) -> wire.QrStatus:
        world, state = self._server.world, self.codes.get(call.request.qrcode)
        if state is None:
            return wire.QrStatus("expired", ret=0)
        deadline = world.now() + self._server.rules["login.hold_seconds"]
        self._read_poll(state, call)
        while True:
            now = world.now()
            if now >= state.ends_at:
                state.status = "expired"
            elif not self._server.options.manual_logins and state.status == state.told:
                self._do_next_step(state)
            if state.status != state.told or state.status in FINAL or now >= deadline or self._bots.closing:
                return self._answer(state, call.base_url)
            await state.bell.wait(world.clock, min(deadline, state.ends_at))

    def _read_poll(self, state: QrState, call: Call[wire.QrPoll]) -> None:
        """Move `state` by what the poll itself says: the digits, or that the client is at its new host."""
        rules, digits = self._server.rules, call.request.verify_code
        if state.status == "need_verifycode" and digits is not None:
            if digits == rules["login.verify_code"]:
                state.status = "scaned"
            else:
                state.wrong_codes += 1
                blocked = state.wrong_codes >= rules["login.verify_tries"]
                state.status, state.told = ("verify_code_blocked" if blocked else "need_verifycode"), ""
        if state.status == "scaned_but_redirect" and call.base_url.endswith(f"//{rules['login.redirect_host']}"):
            state.status = "scaned"

    def _do_next_step(self, state: QrState) -> None:
        if state.status == "wait":
            self.scan(state)
        elif state.status == "scaned":
            self.confirm(state)

    def scan(self, state: QrState) -> None:
        if state.status not in FINAL:
            rules = self._server.rules
            redirect, digits = rules["login.redirect_host"], rules["login.verify_code"]
            state.become("scaned_but_redirect" if redirect else "need_verifycode" if digits else "scaned")

    def confirm(self, state: QrState) -> None:
        """Bind a bot: to the person whose earlier bot this installation names if that has ended, else to a new one."""
        if state.status in FINAL:
            return
        server, by_token = self._server, self._bots.by_token
        known = [bot for token in state.tokens if (bot := by_token.get(token)) is not None]
        if server.rules["login.already_bound"] and any(bot.alive for bot in known):
            state.become("binded_redirect")
            return
        returning = next((bot.user for bot in known if not bot.alive), None)
        state.bot = self._bots.bind(returning)
        state.ends_at = server.world.now() + server.rules["login.code_seconds"]
        state.become("confirmed")

    def _answer(self, state: QrState, base_url: str) -> wire.QrStatus:
        state.told = state.status
        if state.status == "scaned_but_redirect":
            return wire.QrStatus(state.status, ret=0, redirect_host=self._server.rules["login.redirect_host"])
        bot = state.bot
        if state.status != "confirmed" or bot is None:
            return wire.QrStatus(state.status, ret=0)
        if not bot.base_url:
            bot.base_url = base_url
            self._messages.say(bot, bot.user, "hi")
        return wire.QrStatus("confirmed", 0, None, bot.token, bot.id, bot.user, base_url)

    def end_all(self) -> None:
        """Let every code expire, and forget it."""
        for state in self.codes.values():
            state.become("expired")
        self.codes.clear()

    def wake_all(self) -> None:
        """Answer held status requests with the current state."""
        for state in self.codes.values():
            state.bell.ring()
