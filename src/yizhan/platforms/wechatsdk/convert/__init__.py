"""Messages to calls, and pushes to events."""

from yizhan.platforms.wechatsdk.convert.compose import (
    Draft,
    Placed,
    complete,
    compose,
    file_type_of,
    kept_of,
    limits_of,
    path_of,
)
from yizhan.platforms.wechatsdk.convert.media import media_rule
from yizhan.platforms.wechatsdk.convert.parse import download_of, parse

__all__ = [
    "Draft",
    "Placed",
    "complete",
    "compose",
    "download_of",
    "file_type_of",
    "kept_of",
    "limits_of",
    "media_rule",
    "parse",
    "path_of",
]
