"""The parts that calls share: source, headers, `base_info`."""

from __future__ import annotations

import base64

from msgspec import Struct

SOURCE = "@tencent-weixin/openclaw-weixin 2.4.9, src/api/api.ts"

CHANNEL_VERSION = "2.4.9"
"""The version of the official package whose protocol this is."""
APP_ID = "bot"


def client_version(version: str) -> int:
    """Return a version as `iLink-App-ClientVersion` has it: one byte each for major, minor and patch."""
    parts = [int(part) & 0xFF for part in (*version.split("."), "0", "0")[:3]]
    return parts[0] << 16 | parts[1] << 8 | parts[2]


def wechat_uin(number: int) -> str:
    """`X-WECHAT-UIN` for a random uint32: base64 of its decimal text, not of its four bytes."""
    return base64.b64encode(str(number).encode()).decode()


def app_headers(route_tag: str = "") -> dict[str, str]:
    """Headers of every request to the API host; the only ones of the login's status poll."""
    headers = {"iLink-App-Id": APP_ID, "iLink-App-ClientVersion": str(client_version(CHANNEL_VERSION))}
    return {**headers, "SKRouteTag": route_tag} if route_tag else headers


def post_headers(number: int, token: str = "", route_tag: str = "") -> dict[str, str]:
    """Headers of a POST. `number`: a random uint32, a new one for each request."""
    headers = {"AuthorizationType": "ilink_bot_token", "X-WECHAT-UIN": wechat_uin(number), **app_headers(route_tag)}
    return {**headers, "Authorization": f"Bearer {token}"} if token else headers


class BaseInfo(Struct, omit_defaults=True):
    """In every POST body but that of the QR start."""

    channel_version: str | None = None
    bot_agent: str | None = None
    """`name/version (comment) …`, at most 256 bytes; for statistics only. Since 2.3.1."""
