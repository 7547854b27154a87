"""Web WeChat: a personal account through the HTTP API behind the browser edition.

Beside what every platform has: `calls` are the raw calls, going out over a `connection` under one login; `login` gets
that login from the phone, `saved` is how it is kept; `book` knows who is called what in it; `receive` is the sync loop.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from yizhan.platforms.base import KindCapabilities, Platform, Proxy

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
    """Which dated profile of limits to keep; empty: the newest."""
    rules: dict[str, bool | int | float | str] = msgspec.field(default_factory=dict)
    """Numbers of the profile to override, by dotted name."""

    @property
    def api_base(self) -> str:
        return (self.base_url or VENDOR).rstrip("/")


_ALL = frozenset({"text", "image", "video", "voice", "file", "sticker", "contact_card", "quote", "forward", "native"})
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
        "user": KindCapabilities(_ALL, note=_NOTE),
        "group": KindCapabilities(_ALL | {"mention"}, note=_NOTE),
    },
    adapter="yizhan.platforms.webwechat.client:Adapter",
    server="yizhan.platforms.webwechat.server:Server",
    folder=Path(__file__).parent,
    needs_login=True,
    calls="yizhan.platforms.webwechat.wire",
)

__all__ = ["PLATFORM", "VENDOR", "Settings"]
