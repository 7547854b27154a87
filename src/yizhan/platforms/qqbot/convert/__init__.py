"""A message to parts and their limits, and what the platform pushes back to events. Pure."""

from yizhan.platforms.qqbot.convert.compose import GuildBody, LinkMessage, NativeBody, compose
from yizhan.platforms.qqbot.convert.limits import limits
from yizhan.platforms.qqbot.convert.media import media_rule
from yizhan.platforms.qqbot.convert.parse import parse

__all__ = ["GuildBody", "LinkMessage", "NativeBody", "compose", "limits", "media_rule", "parse"]
