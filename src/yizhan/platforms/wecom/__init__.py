"""WeCom group robots: one address per group, to which a program posts.

wire.py     the two calls, their structs and faults
convert.py  a message → parts
client.py   the adapter
server.py   the same two calls over a world, for the sandbox
rules.toml  the limits, by date
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from yizhan.model.secret import Secret
from yizhan.platforms.spec import KindCapabilities, Platform, ProxiedSettings

_SEGMENTS = frozenset(
    {"text", "mention", "image", "voice", "video", "file", "link", "markdown", "buttons", "card", "native"}
)


class Settings(ProxiedSettings, frozen=True, kw_only=True):
    """One robot, which is in one group. Its target is always `wecom.NAME/group/me`."""

    key: Annotated[str, Secret()]
    """The part of the robot's address behind `key=`. Anyone who has it can post to the group."""
    base_url: str = "https://qyapi.weixin.qq.com"
    """Scheme and host of the robot's address."""


PLATFORM = Platform(
    name="wecom",
    title="WeCom group robot",
    network="wecom",
    settings=Settings,
    capabilities={"group": KindCapabilities(_SEGMENTS, note="A robot only speaks: nothing comes in.", only="me")},
    adapter="yizhan.platforms.wecom.client:Adapter",
    server="yizhan.platforms.wecom.server:Server",
    folder=Path(__file__).parent,
    calls="yizhan.platforms.wecom.wire",
    sandbox_settings={"key": "00000000-0000-4000-8000-000000000001"},
)
