"""Messages to items with their limits, and received messages to events. Pure."""

from yizhan.platforms.ilink.convert.compose import AS_FILE, compose, limits
from yizhan.platforms.ilink.convert.media import media_rule
from yizhan.platforms.ilink.convert.parse import parse
from yizhan.platforms.ilink.convert.placed import Cover, Placed, filled

__all__ = ["AS_FILE", "Cover", "Placed", "compose", "filled", "limits", "media_rule", "parse"]
