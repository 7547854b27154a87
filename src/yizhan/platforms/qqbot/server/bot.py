"""The calls in which a bot asks about itself and for the address of its event socket."""

from __future__ import annotations

from yizhan.http.router import Call
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.server.access import Access
from yizhan.platforms.qqbot.server.state import ServerState
from yizhan.platforms.qqbot.wire.foreign import GatewayForBot
from yizhan.platforms.qqbot.wire.gateway import PATH
from yizhan.platforms.qqbot.wire.token import GatewayAddress, Me, Nothing


class BotCalls:
    def __init__(self, state: ServerState, access: Access) -> None:
        self.state = state
        access.serve(wire.GET_ME, self.me)
        access.serve(wire.GET_GATEWAY, self.gateway)
        access.serve(wire.GET_GATEWAY_BOT, self.gateway_bot)

    async def me(self, _call: Call[Nothing]) -> Me:
        return Me(self.state.bot_id, self.state.bot_name)

    async def gateway(self, call: Call[Nothing]) -> GatewayAddress:
        return GatewayAddress(_socket_address(call.base_url))

    async def gateway_bot(self, call: Call[Nothing]) -> GatewayForBot:
        return GatewayForBot(_socket_address(call.base_url))


def _socket_address(base_url: str) -> str:
    # Built from the address that the client called: behind another name or port it must return there.
    return base_url.replace("http", "ws", 1) + PATH
