"""The signed webhook: Ed25519 over timestamp and body, with a key that both sides derive from the secret.

Source: "Webhook 方式" (API v2), with the vectors printed there; acknowledgements as real receivers send them. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from yizhan.platforms.qqbot.wire.gateway import Frame, Op, decode_frame

SIGNATURE_HEADER = "X-Signature-Ed25519"
TIMESTAMP_HEADER = "X-Signature-Timestamp"
APPID_HEADER = "X-Bot-Appid"
USER_AGENT = "QQBot-Callback"
SEED_BYTES = 32

HANDLED = b'{"op":12,"d":0}'
NOT_HANDLED = b'{"op":12,"d":1}'
"""The platform will push the event again."""

_CHECK = re.compile(r"[0-9]+[A-Za-z0-9_+./=-]+")
"""The form of the text that an address check may have signed; it can never be the body of an event."""

_encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=64)
def key_of(secret: str) -> Ed25519PrivateKey:
    """The seed is the secret, repeated and cut to 32 bytes."""
    if not secret:
        raise ValueError("an empty secret makes no key")
    data = secret.encode()
    return Ed25519PrivateKey.from_private_bytes((data * (SEED_BYTES // len(data) + 1))[:SEED_BYTES])


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """Return the signature as 128 lower-case hex digits."""
    return key_of(secret).sign(timestamp.encode() + body).hex()


def signed_headers(app_id: str, secret: str, timestamp: str, body: bytes) -> dict[str, str]:
    """Return the headers of a webhook request with `body`."""
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        APPID_HEADER: app_id,
        SIGNATURE_HEADER: sign(secret, timestamp, body),
        TIMESTAMP_HEADER: timestamp,
    }


def verify(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Return whether `body` was signed with `secret`. The case of header names does not matter."""
    given = {name.lower(): value for name, value in headers.items()}
    timestamp = given.get(TIMESTAMP_HEADER.lower(), "")
    try:
        signature = bytes.fromhex(given.get(SIGNATURE_HEADER.lower(), ""))
    except ValueError:
        return False
    # The vendor's sample asks for 64 bytes whose last has no bit among its top three.
    if len(signature) != 64 or signature[63] & 0xE0 or not timestamp:
        return False
    try:
        key_of(secret).public_key().verify(signature, timestamp.encode() + body)
    except InvalidSignature:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a webhook request, and the event in it, if there is one."""

    status: int
    body: bytes
    event: Frame | None = None


def answer(
    app_id: str, secret: str, headers: Mapping[str, str], body: bytes, *, now: float, tolerance_seconds: float = 300
) -> Answer:
    """Verify a webhook request. 401 for a wrong signature, 400 for a body that is not the platform's.

    The vendor's sample of an address check has no signature, so one without is answered; a wrong one is refused.
    """
    given = {name.lower(): value for name, value in headers.items()}
    if given.get(APPID_HEADER.lower(), app_id) != app_id:
        return Answer(403, b'{"message":"this is another bot"}')
    signed = SIGNATURE_HEADER.lower() in given
    if signed and not verify(secret, given, body):
        return Answer(401, b'{"message":"the signature is wrong"}')
    if signed and not _fresh(given.get(TIMESTAMP_HEADER.lower(), ""), now, tolerance_seconds):
        return Answer(401, b'{"message":"the timestamp is too old"}')
    try:
        frame = decode_frame(body)
    except ValueError:
        return Answer(400, b'{"message":"not a payload"}')
    if not signed and frame.op != Op.VALIDATE:
        return Answer(401, b'{"message":"there is no signature"}')
    match frame.op:
        case Op.VALIDATE:
            return _validated(secret, frame)
        case Op.DISPATCH:
            return Answer(200, HANDLED, frame)
        case Op.HEARTBEAT:
            return Answer(200, _encode(Frame(Op.HEARTBEAT_ACK, frame.d)))
    return Answer(200, HANDLED)


def validation(plain_token: str, event_ts: str) -> bytes:
    """Return the body with which the platform checks an address."""
    return _encode({"d": {"plain_token": plain_token, "event_ts": event_ts}, "op": int(Op.VALIDATE)})


def validation_answered(secret: str, plain_token: str, event_ts: str, body: bytes) -> bool:
    """Return whether an address answered its check as the bot's own would."""
    try:
        given = msgspec.json.decode(body, type=dict[str, str])
    except (ValueError, RecursionError):
        return False
    return given == {"plain_token": plain_token, "signature": sign(secret, event_ts, plain_token.encode())}


def acknowledged(status: int, body: bytes) -> bool:
    """Return whether an answer acknowledges an event: any 2xx whose body does not say that it was not handled."""
    if not 200 <= status < 300:
        return False
    try:
        return bool(msgspec.json.decode(body) != {"op": 12, "d": 1})
    except (ValueError, RecursionError):
        return True


def _validated(secret: str, frame: Frame) -> Answer:
    match frame.d:
        case {"plain_token": str(plain_token), "event_ts": str(event_ts)} if _CHECK.fullmatch(event_ts + plain_token):
            signature = sign(secret, event_ts, plain_token.encode())
            return Answer(200, _encode({"plain_token": plain_token, "signature": signature}))
    return Answer(400, b'{"message":"no plain_token and event_ts"}')


def _fresh(timestamp: str, now: float, tolerance_seconds: float) -> bool:
    return timestamp.isdigit() and len(timestamp) < 16 and abs(now - int(timestamp)) <= tolerance_seconds
