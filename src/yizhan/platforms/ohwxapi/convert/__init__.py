"""Messages to commands, and pushes to events."""

from yizhan.platforms.ohwxapi.convert.compose import COMMANDS, Draft, complete, compose, renamed, upload_of
from yizhan.platforms.ohwxapi.convert.media import media_rule
from yizhan.platforms.ohwxapi.convert.parse import parse
from yizhan.platforms.ohwxapi.convert.reference import download_of

__all__ = [
    "COMMANDS",
    "Draft",
    "complete",
    "compose",
    "download_of",
    "media_rule",
    "parse",
    "renamed",
    "upload_of",
]
