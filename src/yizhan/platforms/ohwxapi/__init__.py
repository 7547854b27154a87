"""ohwxapi ("OH WX API", MagicCgi): a gateway that holds WeChat accounts and takes numbered commands over HTTP.

wire/     every command, struct and fault, by the chapters of the vendor's table of contents
convert/  message → commands and limits; pushes → events
client/   `Adapter` (for the engine; its `run` gives any command)
server/   the same wire over a world, for the sandbox
rules.toml  the limits, by date
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from yizhan.model.secret import Secret
from yizhan.platforms.spec import CARDS, MEDIA, AccountSettings, Address, KindCapabilities, Platform

VENDOR = "http://127.0.0.1:8898"
"""The usual address of a gateway."""


class Settings(AccountSettings, frozen=True, kw_only=True):
    """One WeChat account behind one gateway; several accounts may name the same gateway."""

    wxid: str
    """The account to act as, such as `wxid_…`."""
    base_url: str = VENDOR
    """The gateway's address: scheme, host and port."""
    socket_url: Address = ""
    """The WebSocket's address when it is elsewhere; empty: `/ws` below `base_url`, or `/ws/<wxid>/<security_code>`."""
    security_code: Annotated[str, Secret()] = ""
    """The code that hosted gateways want in the WebSocket's path."""
    commands: Literal["http", "socket"] = "http"
    """Over what commands travel: hosted gateways take them over the WebSocket only."""
    timeout: int = 10
    """Seconds that the gateway waits for WeChat (the `timeout` of every call)."""
    download_folder: str = ""
    """A folder that this machine shares with the gateway; read when a download answers with a path and no bytes."""
    login_seconds: int = 180
    """How long a login waits for the phone."""


_SEGMENTS = frozenset({"text", "quote", "forward", "card", "markdown", "buttons", "native"}) | MEDIA | CARDS

PLATFORM = Platform(
    name="ohwxapi",
    title="ohwxapi (MagicCgi)",
    network="wechat",
    settings=Settings,
    capabilities={
        "user": KindCapabilities(_SEGMENTS, note="Voice travels with every send: the gateway has no place to keep it."),
        "group": KindCapabilities(_SEGMENTS | {"mention"}, note="Voice travels with every send."),
    },
    adapter="yizhan.platforms.ohwxapi.client:Adapter",
    server="yizhan.platforms.ohwxapi.server:Server",
    folder=Path(__file__).parent,
    needs_login=True,
    calls="yizhan.platforms.ohwxapi.wire",
    sandbox_settings={"wxid": "wxid_sandbox"},
)
