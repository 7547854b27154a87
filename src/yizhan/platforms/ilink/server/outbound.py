"""Messages of bots: checked by the rules, and turned into the posts that the person sees."""

from __future__ import annotations

from typing import Any

from yizhan.platforms.ilink import wire
from yizhan.platforms.ilink.server.cdn import Cdn
from yizhan.platforms.ilink.server.state import Bot, Chat
from yizhan.platforms.ilink.wire.crypt import read_key
from yizhan.platforms.kit.server import SandboxServer
from yizhan.wire import Fault

_PAYLOADS = {
    wire.TEXT: ("text", "text_item"),
    wire.IMAGE: ("image", "image_item"),
    wire.VOICE: ("voice", "voice_item"),
    wire.FILE: ("file", "file_item"),
    wire.VIDEO: ("video", "video_item"),
    wire.TOOL_CALL_START: ("tool_call", "tool_call_start_item"),
    wire.TOOL_CALL_RESULT: ("tool_call", "tool_call_result_item"),
}
OFFICIAL_KEY_CHARS = 44


class OutboundChecks:
    """Checks messages by the rules and the CDN; changes nothing."""

    def __init__(self, server: SandboxServer, cdn: Cdn) -> None:
        self._server = server
        self._cdn = cdn

    def posts_of(self, message: wire.WeixinMessage, bot: Bot, chat: Chat) -> list[dict[str, Any]]:
        """Return the posts that `message` becomes, as fields of `Post`.

        `extra["shown"]` says how the phone shows it: `yes`, `no`, `grey` (a picture that cannot be opened) or
        `failed`; thread Lingtai-AI/lingtai#82 has the ladder.

        Raises:
            Fault: the platform refuses it.
        """
        rules = self._server.rules
        items = message.item_list or []
        if not items or (len(items) > 1 and rules["sendmessage.one_item"]):
            raise Fault(wire.INVALID_ARGUMENTS, data=f"item_list has {len(items)} items, expected one")
        posts = [self._post(item, bot, chat) for item in items]
        self._check_window(message, chat)
        return posts

    def _check_window(self, message: wire.WeixinMessage, chat: Chat) -> None:
        rules = self._server.rules
        if rules["sendmessage.strict_context"] and message.context_token != chat.context_token:
            raise Fault(wire.UNUSABLE_CONTEXT, data="context_token is not that of the person's last message")
        if not rules.limited:
            return
        seconds, count = rules["window.seconds"], rules["window.count"]
        if chat.wrote_at is None or self._server.world.now() - chat.wrote_at >= seconds:
            raise Fault(wire.PREPARE_FAILED, data=f"the person has not written within {seconds} seconds")
        if chat.sent >= count:
            raise Fault(wire.PREPARE_FAILED, data=f"{count} messages were sent since the person last wrote")

    def _post(self, item: wire.MessageItem, bot: Bot, chat: Chat) -> dict[str, Any]:
        kind, name = _PAYLOADS.get(item.type or 0, ("", ""))
        payload = getattr(item, name, None) if name else None
        if payload is None:
            raise Fault(wire.INVALID_ARGUMENTS, data=f"an item of the type {item.type} without its payload")
        if isinstance(payload, wire.TextItem):
            return self._text(payload)
        if isinstance(payload, wire.ToolCallItem):
            return {"kind": kind, "text": payload.tool_name or "", "extra": {"shown": "no"}}
        return self._media(kind, payload, bot, chat)

    def _text(self, payload: wire.TextItem) -> dict[str, Any]:
        text = payload.text or ""
        size, limit, limited = len(text.encode()), self._server.rules["text.max_bytes"], self._server.rules.limited
        if not text or (limited and size > limit):
            raise Fault(wire.INVALID_ARGUMENTS, data=f"text of {size} bytes, expected 1 to {limit}")
        return {"kind": "text", "text": text, "extra": {"shown": "yes"}}

    def _media(self, kind: str, payload: Any, bot: Bot, chat: Chat) -> dict[str, Any]:
        media: wire.CDNMedia = payload.media or wire.CDNMedia()
        stored = self._cdn.stored.get(media.encrypt_query_param or "")
        if stored is None:
            raise Fault(wire.PREPARE_FAILED, data="media.encrypt_query_param is not known to the CDN")
        rules = self._server.rules
        if rules["getuploadurl.strict_recipient"] and stored.user and (stored.bot, stored.user) != (bot.id, chat.user):
            raise Fault(wire.PREPARE_FAILED, data="the upload was made by another bot or for another person")
        unknown = not stored.usable or not (stored.user or rules["forward.by_reference"])
        if unknown or (kind == "voice" and not rules["sendmessage.show_voice"]):
            shown = "no"
        elif kind == "image" and payload.mid_size is None:
            shown = "failed"
        else:
            shown = "yes" if _opens(media.aes_key, stored.key) else "grey"
        name = getattr(payload, "file_name", None) or ""
        return {"kind": kind, "name": name, "blob": stored.plain, "extra": {"shown": shown}}


def _opens(text: str | None, key: bytes) -> bool:
    """Whether the phone can use the key: right, and in the 44-character form."""
    try:
        return len(text or "") == OFFICIAL_KEY_CHARS and read_key(text or "") == key
    except ValueError:
        return False
