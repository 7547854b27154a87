"""The state that every chapter of the server needs: the world, the rules, the bot, and where its clients find it."""

from __future__ import annotations

from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.qqbot import PLATFORM
from yizhan.platforms.qqbot.wire import ENVELOPE
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import ServerOptions
from yizhan.world import World

APP_ID = "102000001"
SECRET = "DG5g3B4j9X2KOErG"
BOT_ID = "5777414462219517083"
BOT_NAME = "yizhan-bot"
ORIGIN = "http://origin.invalid"
"""The origin of pushed links until it is known under which address the receiver reaches this server."""


class ServerState(SandboxServer):
    """The platform as one bot sees it. `options.extra` may name another `app_id` and `secret`."""

    platform = PLATFORM
    envelope = ENVELOPE

    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        super().__init__(world, rules, options)
        self.app_id = str(options.extra.get("app_id", APP_ID))
        self.secret = str(options.extra.get("secret", SECRET))
        self.bot_id = BOT_ID
        self.bot_name = BOT_NAME
        self.base_url = ""
        """The address under which clients reached this server last; links in pushed events begin with it."""
