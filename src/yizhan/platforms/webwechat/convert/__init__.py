"""Messages to drafts of `Msg`, and received messages to events. Pure."""

from yizhan.platforms.webwechat.convert.compose import (
    CARD_NOTE,
    GIF_NOTE,
    QUOTE_NOTE,
    VOICE_NOTE,
    compose,
    mentions_of,
    upload_form,
)
from yizhan.platforms.webwechat.convert.draft import Draft, client_message_id
from yizhan.platforms.webwechat.convert.media import media_rule
from yizhan.platforms.webwechat.convert.parse import Reader, parse, recalled_id, target_of

__all__ = [
    "CARD_NOTE",
    "GIF_NOTE",
    "QUOTE_NOTE",
    "VOICE_NOTE",
    "Draft",
    "Reader",
    "client_message_id",
    "compose",
    "media_rule",
    "mentions_of",
    "parse",
    "recalled_id",
    "target_of",
    "upload_form",
]
