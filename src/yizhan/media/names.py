"""File names as people wrote them, without what could do harm."""

from __future__ import annotations

import re
import unicodedata

MAX_NAME_BYTES = 255
"""UTF-8 bytes; what the usual file systems take, and more than any of the wires."""

# Marks that turn the reading direction make `gpj.exe` look like `exe.jpg`; joiners stay, emoji and scripts need them.
_HARMFUL = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\ufeff\u2028\u2029\ufff9-\ufffb]")
_HANGING = re.compile("[\\s\u200d]+$")
_EXTENSION = re.compile(r"\.[^.\s]{1,16}$")


def clean_name(name: str, limit: int = MAX_NAME_BYTES) -> str:
    """Return the last component of `name`, with control characters removed and at most `limit` bytes in UTF-8.

    Letters of every script stay as they are; where the name must be cut, its extension is kept. A name with nothing
    left of it comes back as the empty string.
    """
    base = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    base = _HARMFUL.sub("", "".join(c for c in base if unicodedata.category(c) not in ("Cc", "Cs")))
    base = base.strip()
    if not base.strip(". "):
        return ""
    return cut_name(base, limit)


def cut_name(name: str, limit: int) -> str:
    """Return `name` in at most `limit` UTF-8 bytes, shortened before its extension and between characters."""
    if len(name.encode()) <= limit:
        return name
    found = _EXTENSION.search(name)
    extension = found[0] if found and len(found[0].encode()) < limit else ""
    stem = name[: len(name) - len(extension)]
    return cut_text(stem, limit - len(extension.encode())) + extension


def cut_text(text: str, limit: int) -> str:
    """Return the longest beginning of `text` that fits in `limit` UTF-8 bytes without tearing a character apart."""
    kept = text.encode()[: max(limit, 0)].decode("utf-8", "ignore")
    # A combining mark belongs to the letter before it; do not cut between the two, nor end in a joiner.
    if len(kept) < len(text) and _attached(text[len(kept)]):
        while kept and _attached(kept[-1]):
            kept = kept[:-1]
        kept = kept[:-1]
    return _HANGING.sub("", kept)


def _attached(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me")
