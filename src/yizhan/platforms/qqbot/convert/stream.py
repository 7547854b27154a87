"""Texts that grow while people read them, as calls of the platform. Pure. Source: "流式消息" (API v2, 2026)."""

from __future__ import annotations

from typing import Any

from yizhan.model import Message, Native, Reply
from yizhan.platforms.adapter import StreamPiece

RUNNING, DONE = 1, 10


def stream_message(piece: StreamPiece, reply: Reply | None) -> Message:
    """Return the message of one piece. Each replaces the text by a longer one, so a lost piece does no harm."""
    body: dict[str, Any] = {
        "input_mode": "replace",
        "input_state": DONE if piece.last else RUNNING,
        "index": piece.index,
        "content_type": "text",
        "content_raw": piece.text,
    }
    if piece.stream_id:
        body["stream_msg_id"] = piece.stream_id
    return Message((Native("stream_messages", body),), reply)


def continues_stream(message: Message) -> bool:
    """Return whether `message` is a further piece of a text that has begun; it counts as no answer of its own."""
    return any(isinstance(segment, Native) and segment.body.get("stream_msg_id") for segment in message.segments)
