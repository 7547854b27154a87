"""Cleans and shortens file names."""

from __future__ import annotations

import re
import unicodedata

MAX_NAME_BYTES = 255
"""UTF-8 bytes; the limit of common file systems, and more than any wire takes."""

# Marks that reverse the reading direction make `gpj.exe` look like `exe.jpg`. Joiners stay, as emoji need them.
_HARMFUL = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\ufeff\u2028\u2029\ufff9-\ufffb]")
_HANGING = re.compile("[\\s\u200d]+$")
_EXTENSION = re.compile(r"\.[^.\s]{1,16}$")


def clean_name(name: str, limit: int = MAX_NAME_BYTES) -> str:
    """Return the last component of `name` without control characters, in at most `limit` bytes of UTF-8.

    Letters of every script stay; a name that is cut keeps its extension. Returns the empty string if nothing is left.
    """
    base = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    base = _HARMFUL.sub("", "".join(c for c in base if unicodedata.category(c) not in ("Cc", "Cs")))
    base = base.strip()
    if not base.strip(". "):
        return ""
    return cut_name(base, limit)


def cut_name(name: str, limit: int) -> str:
    """Return `name` in at most `limit` UTF-8 bytes, cut before its extension and between characters."""
    if len(name.encode()) <= limit:
        return name
    found = _EXTENSION.search(name)
    extension = found[0] if found and len(found[0].encode()) < limit else ""
    stem = name[: len(name) - len(extension)]
    return cut_text(stem, limit - len(extension.encode())) + extension


def cut_text(text: str, limit: int) -> str:
    """Return the longest beginning of `text` in at most `limit` UTF-8 bytes, cut between characters."""
    kept = text.encode()[: max(limit, 0)].decode("utf-8", "ignore")
    # A combining mark belongs to the letter before it: never cut between them, or end with a joiner.
    if len(kept) < len(text) and _attached(text[len(kept)]):
        while kept and _attached(kept[-1]):
            kept = kept[:-1]
        kept = kept[:-1]
    return _HANGING.sub("", kept)


def _attached(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me")
