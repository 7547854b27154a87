"""Messages to calls, and pushes to events."""

from yizhan.platforms.wechatsdk.convert.compose import compose
from yizhan.platforms.wechatsdk.convert.parse import parse
from yizhan.platforms.wechatsdk.convert.placed import Draft, Placed, complete, file_type_of, kept_of, path_of
from yizhan.platforms.wechatsdk.convert.reference import download_of

__all__ = [
    "Draft",
    "Placed",
    "complete",
    "compose",
    "download_of",
    "file_type_of",
    "kept_of",
    "parse",
    "path_of",
]
