"""iLink: WeChat's official bot channel (ClawBot). A person scans a code and gets a bot of their own.

wire/     every call, struct and fault, by the chapters of the official package; how media are enciphered
convert/  message → items and limits; received messages → events
client/   `Calls` (the raw calls) and `Adapter` (for the engine)
server/   the same wire over a world, for the sandbox
rules.toml  the limits, by date
"""

from __future__ import annotations

from pathlib import Path

from yizhan.platforms.spec import Address, KindCapabilities, Platform, ProxiedSettings

VENDOR = "https://ilinkai.weixin.qq.com"
CDN = "https://novac2c.cdn.weixin.qq.com"


class Settings(ProxiedSettings, frozen=True, omit_defaults=True):
    """One bot. It is created by scanning a code (`yizhan login`); there is no secret to enter."""

    base_url: str = VENDOR
    """The address at which logins begin. The login returns the address of the other calls."""
    cdn_url: Address = ""
    """The address of media when the platform names no full one; empty: the vendor's CDN, or
    `base_url` when that is not the vendor's."""
    bot_agent: str = "yizhan/0.1"
    """The name of this program, like a User-Agent; for the vendor's statistics only. At most 256 bytes."""
    route_tag: str = ""
    """Sent as the header SKRouteTag when not empty."""
    announce: bool = True
    """Tell the platform when receiving starts and stops."""

    @property
    def cdn_base(self) -> str:
        """Scheme and host of the CDN."""
        if self.cdn_url:
            return self.cdn_url.rstrip("/").removesuffix("/c2c")
        return CDN if self.api_base == VENDOR else self.api_base


PLATFORM = Platform(
    name="ilink",
    title="WeChat bot (iLink)",
    network="wechat",
    settings=Settings,
    capabilities={
        "user": KindCapabilities(
            segments=frozenset(
                {"text", "image", "video", "voice", "file", "forward", "card", "markdown", "buttons", "native"}
            ),
            note="Voice arrives as a file; ten messages within 24 hours after the person last wrote.",
        )
    },
    adapter="yizhan.platforms.ilink.client:Adapter",
    server="yizhan.platforms.ilink.server:Server",
    folder=Path(__file__).parent,
    needs_login=True,
    people_are="known after login",
    listens=True,
    calls="yizhan.platforms.ilink.wire",
)
