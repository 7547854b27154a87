"""ohwxapi ("OH WX API", MagicCgi): a gateway that holds WeChat accounts and takes numbered commands over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

from yizhan.platforms.base import KindCapabilities, Platform


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """One WeChat account behind one gateway; several accounts may name the same gateway."""

    wxid: str
    """The account to act as, such as `wxid_…`."""
    base_url: str = "http://127.0.0.1:8898"
    """Where the gateway listens: scheme, host and port."""
    socket_url: str = ""
    """The WebSocket's address when it is elsewhere; empty: `/ws` below `base_url`, or `/ws/<wxid>/<security_code>`."""
    security_code: str = ""
    """The code that hosted gateways want in the WebSocket's path."""
    commands: Literal["http", "socket"] = "http"
    """Over what commands travel: hosted gateways take them over the WebSocket only."""
    timeout: int = 10
    """Seconds that the gateway waits for WeChat (the `timeout` of every call)."""
    download_folder: str = ""
    """A folder that this machine shares with the gateway; read when a download answers with a path and no bytes."""
    login_seconds: int = 180
    """How long a login waits for the phone."""
    rules_profile: str = ""
    """Profile of `rules.toml`; empty: the newest."""
    rules: dict[str, bool | int | float | str] = {}
    """Single rules to change, by dotted name."""


_USER = frozenset(
    {
        "text",
        "image",
        "video",
        "voice",
        "file",
        "sticker",
        "link",
        "mini_program",
        "channel_video",
        "contact_card",
        "quote",
        "forward",
        "native",
    }
)

PLATFORM = Platform(
    name="ohwxapi",
    title="ohwxapi (MagicCgi)",
    network="wechat",
    settings=Settings,
    secrets=frozenset({"security_code"}),
    capabilities={
        "user": KindCapabilities(_USER, note="Voice travels with every send: the gateway has no place to keep it."),
        "group": KindCapabilities(_USER | {"mention"}, note="Voice travels with every send."),
    },
    adapter="yizhan.platforms.ohwxapi.client:Adapter",
    server="yizhan.platforms.ohwxapi.server:Server",
    folder=Path(__file__).parent,
    needs_login=True,
    calls="yizhan.platforms.ohwxapi.wire",
)
