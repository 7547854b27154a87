"""The WebSocket gateway: frames, operations, intents, close codes.

Source: "WebSocket 方式", "Opcode", "事件订阅 Intents" (API v2); habits of real clients as recorded.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

PATH = "/websocket"
TOKEN_PREFIX = "QQBot "


class Op(IntEnum):
    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    RESUME = 6
    RECONNECT = 7
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11
    CALLBACK_ACK = 12
    """Answer to a webhook."""
    VALIDATE = 13
    """Check of a webhook's address."""


class Frame(Struct, omit_defaults=True):
    """One frame, either way; also the body of a webhook."""

    op: int
    d: Any | UnsetType = UNSET
    s: int | None = None
    """Number of the event in its session, from 1; on every dispatch."""
    t: str | None = None
    id: str | None = None
    """`EVENT_NAME:uuid`, which `event_id` refers to; absent on READY and RESUMED."""


class Hello(Struct):
    heartbeat_interval: int
    """Milliseconds."""


class Identify(Struct, omit_defaults=True):
    token: str
    """`QQBot ` and the access token."""
    intents: int = 0
    shard: tuple[int, int] = (0, 1)
    properties: dict[str, Any] | None = None


class Resume(Struct):
    token: str
    session_id: str
    seq: int


class ReadyUser(Struct):
    id: str
    username: str = ""
    bot: bool = True
    status: int = 1


class Ready(Struct):
    version: int
    session_id: str
    user: ReadyUser
    shard: tuple[int, int] = (0, 1)


class Intents(IntFlag):
    GUILDS = 1 << 0
    GUILD_MEMBERS = 1 << 1
    GUILD_MESSAGES = 1 << 9
    GUILD_MESSAGE_REACTIONS = 1 << 10
    DIRECT_MESSAGE = 1 << 12
    OPEN_FORUM_EVENT = 1 << 18
    AUDIO_OR_LIVE_CHANNEL_MEMBER = 1 << 19
    GROUP_MEMBER_EVENT = 1 << 24
    GROUP_AND_C2C_EVENT = 1 << 25
    INTERACTION = 1 << 26
    MESSAGE_AUDIT = 1 << 27
    FORUMS_EVENT = 1 << 28
    AUDIO_ACTION = 1 << 29
    PUBLIC_GUILD_MESSAGES = 1 << 30


class CloseCode(Struct, frozen=True):
    """A close code, and the ways in which a client may continue."""

    code: int
    meaning: str
    resume: bool = False
    identify: bool = False


UNKNOWN_OP = CloseCode(4001, "bad opcode")
BAD_PAYLOAD = CloseCode(4002, "bad payload")
NOT_IDENTIFIED = CloseCode(4003, "not identified yet", identify=True)
TOKEN_REFUSED = CloseCode(4004, "token wrong", identify=True)
IDENTIFIED_TWICE = CloseCode(4005, "identified twice", identify=True)
SESSION_INVALID = CloseCode(4006, "session id invalid", identify=True)
SEQ_WRONG = CloseCode(4007, "seq wrong", identify=True)
TOO_FAST = CloseCode(4008, "sending too fast", resume=True, identify=True)
EXPIRED = CloseCode(4009, "connection expired", resume=True, identify=True)
SHARD_INVALID = CloseCode(4010, "shard invalid")
INTENTS_INVALID = CloseCode(4013, "intents invalid")
INTENTS_NOT_PERMITTED = CloseCode(4014, "intents not permitted")

CLOSE_CODES = {
    row.code: row
    for row in (
        CloseCode(4000, "unknown error", identify=True),
        UNKNOWN_OP,
        BAD_PAYLOAD,
        NOT_IDENTIFIED,
        TOKEN_REFUSED,
        IDENTIFIED_TWICE,
        SESSION_INVALID,
        SEQ_WRONG,
        TOO_FAST,
        EXPIRED,
        SHARD_INVALID,
        CloseCode(4011, "too many guilds for one shard"),
        CloseCode(4012, "version invalid"),
        INTENTS_INVALID,
        INTENTS_NOT_PERMITTED,
        *(CloseCode(code, "internal error", identify=True) for code in range(4900, 4914)),
        CloseCode(4914, "bot offline, only the sandbox may be used"),
        CloseCode(4915, "bot banned"),
    )
}
LINE_BROKE = CloseCode(1006, "the line broke", resume=True, identify=True)
"""Anything that is not in the table, an ordinary close (1000, 1001) included."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Frame, strict=False).decode


def encode_frame(frame: Frame) -> str:
    return _encode(frame).decode()


def decode_frame(text: str | bytes) -> Frame:
    """Read one frame, numbers as text included.

    Raises:
        ValueError: it is not a JSON object with an `op`.
    """
    try:
        return _decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def close_code(code: int) -> CloseCode:
    return CLOSE_CODES.get(code, LINE_BROKE)
