"""Web WeChat: a personal account through the HTTP API behind the browser edition.

wire/     every call, struct and Ret code, by the chapters of the page's own script; what stands inside of messages
convert/  message → parts and limits; what arrives → events; who is called what in a login
client/   `WebWx` (the raw calls) and `Adapter` (what the engine drives)
server/   the same wire over a world, for the sandbox
rules.toml  the limits, by date
"""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from yizhan.platforms.spec import MEDIA, KindCapabilities, Platform, Proxy

VENDOR = "https://wx.qq.com"


class Settings(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One account. It is logged in by scanning a code (`yizhan login`); there is no secret to enter."""

    base_url: str = VENDOR
    """Where logins begin. With the vendor's own hosts the login decides which of them serves the account; any other
    address serves every role itself."""
    proxy: Proxy = ""
    """An HTTP proxy that everything of this account goes through, such as `http://host:3128`."""
    lang: str = "zh_CN"
    """Language of the service's own texts."""
    desktop: bool = True
    """Log in as the packaged desktop edition, without which many accounts are refused (1203)."""
    rules_profile: str = ""
    """Which dated profile of limits to keep; empty: the usual one."""
    rules: dict[str, bool | int | float | str] = {}
    """Numbers of the profile to override, by dotted name."""

    @property
    def api_base(self) -> str:
        return (self.base_url or VENDOR).rstrip("/")


_SEGMENTS = frozenset({"text", "contact_card", "quote", "forward", "native"}) | MEDIA
_NOTE = (
    "Voice goes as a file; an animated picture as a sticker; a sticker is a gif; what is quoted stands above the text "
    "that answers it."
)

PLATFORM = Platform(
    name="webwechat",
    title="Web WeChat",
    network="wechat",
    settings=Settings,
    secrets=frozenset({"proxy"}),
    capabilities={
        "user": KindCapabilities(_SEGMENTS, note=_NOTE),
        "group": KindCapabilities(_SEGMENTS | {"mention"}, note=_NOTE),
    },
    adapter="yizhan.platforms.webwechat.client:Adapter",
    server="yizhan.platforms.webwechat.server:Server",
    folder=Path(__file__).parent,
    needs_login=True,
    calls="yizhan.platforms.webwechat.wire",
)
