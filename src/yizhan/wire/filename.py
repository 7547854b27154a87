"""File names that are safe to show, to store and to send."""

from __future__ import annotations

import re

from yizhan.model.split import head

MAX_NAME_BYTES = 200

# Control characters, and marks that reverse the direction of text, so that `exe.gpj` reads as a picture.
_HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_DEVICE = re.compile(r"^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)


def safe_name(name: str, default: str = "file") -> str:
    """Return the last component of `name` without dangerous characters, or `default` if nothing is left.

    The result has at most 200 bytes of UTF-8; a cut name keeps its extension, and is cut between graphemes.
    """
    last = re.split(r"[/\\]", _HIDDEN.sub("", name))[-1]
    last = _FORBIDDEN.sub("_", last).strip().rstrip(". ")
    if last in ("", ".", ".."):
        return default
    if _DEVICE.match(last):
        last = f"_{last}"
    return _cut(last)


def _cut(name: str) -> str:
    if len(name.encode()) <= MAX_NAME_BYTES:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or len(extension.encode()) > 20:
        stem, dot, extension = name, "", ""
    room = MAX_NAME_BYTES - len((dot + extension).encode())
    return head(stem, room).rstrip(". ") + dot + extension


def changed_name_note(given: str, sent: str) -> str:
    """Return the note for a receipt of a file whose name was changed; empty if it was not."""
    return f"The name '{given[:80]}' was changed to '{sent[:80]}'." if given != sent else ""
