"""WeChatSDK: a local HTTP API inside a running Windows WeChat client, one path, calls distinguished by a number.

wire/     every call, struct and fault, by the vendor's chapters
convert/  messages to calls, pushes to events
client/   `Adapter` (for the engine; its `call` makes any call)
server/   the same wire over a world, for the sandbox
rules.toml  the limits, by date
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from yizhan.model.secret import Secret
from yizhan.platforms.spec import CARDS, MEDIA, AccountSettings, Address, KindCapabilities, Platform

VENDOR = "http://127.0.0.1:8888"
"""The default address of the API."""


class Settings(AccountSettings, frozen=True):
    """One WeChat client: one logged-in account, one port.

    Media goes by path on the machine of that client. Where it is another machine, or a sandbox with its own folders,
    name one folder twice: as this side sees it and as the client sees it.
    """

    base_url: str = VENDOR
    """Scheme, host and port of the API."""
    secret_key: Annotated[str, Secret()] = ""
    """The key set with interface 1006, if one was."""
    shared_folder: str = ""
    """A folder that both sides see, by its path here; empty: a temporary folder, good on one machine only."""
    client_folder: str = ""
    """The same folder by its path on the client's machine, such as `Z:\\share`; empty: the same path."""
    events: Literal["websocket", "http", "tcp", "off"] = "websocket"
    """How the client pushes events. It dials out to a listener here, in every case.

    Over a WebSocket and HTTP the listener's path is secret; over TCP any program that reaches the port is heard.
    """
    listen_host: str = "127.0.0.1"
    """The address of that listener; not loopback when the client runs on another machine."""
    listen_port: int = 0
    """0: any free port."""
    callback_url: Address = ""
    """The listener's address as the client reaches it, scheme to port; empty: listen_host and port."""
    login_seconds: int = 240
    """How long a login waits for the phone."""


_SEGMENTS = frozenset({"text", "quote", "forward", "card", "markdown", "buttons", "native"}) | MEDIA | CARDS

PLATFORM = Platform(
    name="wechatsdk",
    title="WeChatSDK (local type API)",
    network="wechat",
    settings=Settings,
    capabilities={
        "user": KindCapabilities(_SEGMENTS, note="A sticker from a file is sent by its path each time."),
        "group": KindCapabilities(_SEGMENTS | {"mention"}, note="A quote in a group needs its sender."),
    },
    adapter="yizhan.platforms.wechatsdk.client:Adapter",
    server="yizhan.platforms.wechatsdk.server:Server",
    folder=Path(__file__).parent,
    calls="yizhan.platforms.wechatsdk.wire",
)
