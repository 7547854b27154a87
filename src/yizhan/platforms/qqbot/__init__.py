"""The QQ bot open platform, API v2: one-to-one chats, groups, guild channels and guild direct messages.

wire/     every call, struct, fault and pushed event, by the chapters of the vendor's pages
convert/  messages → parts and limits; pushed payloads → events
client/   `Bot` (the raw calls) and `Adapter` (driven by the engine)
server/   the same wire over a world, for the sandbox
rules.toml  the limits, by date
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

from yizhan.model.secret import Secret
from yizhan.platforms.spec import Address, KindCapabilities, Platform, ProxiedSettings

VENDOR = "https://api.bot.qq.com"
"""Serves every role since 2026-08-10."""


class Settings(ProxiedSettings, frozen=True, kw_only=True):
    """Settings of an account."""

    app_id: str
    """AppID: digits, from the management console."""
    secret: Annotated[str, Secret()]
    """AppSecret."""
    base_url: str = VENDOR
    """Scheme and host; the older pair is https://api.sgroup.qq.com with https://bots.qq.com for the token."""
    token_url: Address = ""
    """Scheme and host of the access token, where it is another."""
    receive: Literal["socket", "webhook", "off"] = "socket"
    """How events arrive: over the gateway's socket, or pushed to this program's own address."""
    intents: int = 0
    """Bits of the events requested over the socket; 0 asks for messages, buttons, members, reactions and reviews, or
    for as many of them as the platform permits."""
    acknowledge_presses: bool = True
    """Answer every pressed button at once. False: the program answers within 3 s, by `ANSWER_INTERACTION`."""


_BOTH: frozenset[str] = frozenset(
    {"text", "image", "video", "voice", "file", "sticker", "quote", "forward", "card", "markdown", "buttons", "native"}
)
_GUILD: frozenset[str] = frozenset(
    {"text", "image", "sticker", "quote", "mention", "card", "markdown", "buttons", "native"}
)

PLATFORM = Platform(
    name="qqbot",
    title="QQ bot",
    network="qq",
    settings=Settings,
    capabilities={
        "user": KindCapabilities(_BOTH, caption=True, note="Stickers go as pictures, cards as their words."),
        "group": KindCapabilities(
            _BOTH | {"mention"}, caption=True, note="Stickers go as pictures, cards as their words."
        ),
        "channel": KindCapabilities(
            _GUILD, caption=True, note="Pictures travel inside the message; cards go as their words."
        ),
        "dm": KindCapabilities(
            _GUILD - {"mention"}, caption=True, note="Pictures travel inside the message; cards go as their words."
        ),
    },
    adapter="yizhan.platforms.qqbot.client:Adapter",
    server="yizhan.platforms.qqbot.server:Server",
    folder=Path(__file__).parent,
    calls="yizhan.platforms.qqbot.wire",
    sandbox_settings={"app_id": "102000001", "secret": "DG5g3B4j9X2KOErG"},
)


def __getattr__(name: str) -> Any:
    """Return `Bot`, which is imported when it is asked for: the declaration stays cheap."""
    if name == "Bot":
        return import_module("yizhan.platforms.qqbot.client").Bot
    raise AttributeError(name)
