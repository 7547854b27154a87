"""Messages to parts and their limits, and pushed payloads to events. Pure."""

from yizhan.platforms.qqbot.convert.bodies import FormattedBody, GuildBody, LinkMessage, NativeBody
from yizhan.platforms.qqbot.convert.compose import compose
from yizhan.platforms.qqbot.convert.limits import limits
from yizhan.platforms.qqbot.convert.media import media_rule
from yizhan.platforms.qqbot.convert.parse import Own, parse
from yizhan.platforms.qqbot.convert.stream import stream_message

__all__ = [
    "FormattedBody",
    "GuildBody",
    "LinkMessage",
    "NativeBody",
    "Own",
    "compose",
    "limits",
    "media_rule",
    "parse",
    "stream_message",
]
