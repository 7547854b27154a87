"""Web WeChat: a personal account through the HTTP API behind the browser edition.

wire/       every call, struct and Ret code, and the content of messages
convert/    messages to parts, received messages to events, names to UserNames; pure
client/     the adapter, and the calls and session that it uses
server/     the same wire over a world, for the sandbox
rules.toml  limits by date
"""

from __future__ import annotations

from pathlib import Path

from yizhan.platforms.spec import MEDIA, KindCapabilities, Platform, ProxiedSettings

VENDOR = "https://wx.qq.com"


class Settings(ProxiedSettings, frozen=True, omit_defaults=True):
    """One account. It is logged in by scanning a code (`yizhan login`); there is no secret to enter."""

    base_url: str = VENDOR
    """The address at which logins begin. At the vendor's, the login assigns the account to one of its hosts; any other
    address serves all roles."""
    lang: str = "zh_CN"
    """Language of the service's own texts."""
    desktop: bool = True
    """Log in as the packaged desktop edition, without which many accounts are refused (1203)."""


_SEGMENTS = frozenset({"text", "contact_card", "quote", "forward", "card", "markdown", "buttons", "native"}) | MEDIA
_NOTE = (
    "A voice message goes as a file, an animated picture as a sticker; a sticker is a gif; quoted text stands above "
    "its answer."
)

PLATFORM = Platform(
    name="webwechat",
    title="Web WeChat",
    network="wechat",
    settings=Settings,
    capabilities={
        "user": KindCapabilities(_SEGMENTS, note=_NOTE),
        "group": KindCapabilities(_SEGMENTS | {"mention"}, note=_NOTE),
    },
    adapter="yizhan.platforms.webwechat.client:Adapter",
    server="yizhan.platforms.webwechat.server:Server",
    folder=Path(__file__).parent,
    needs_login=True,
    people_are="names",
    calls="yizhan.platforms.webwechat.wire",
)
