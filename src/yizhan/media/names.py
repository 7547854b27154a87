"""Reads, cleans and shortens file names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import unquote_to_bytes

from yizhan.model.split import head

MAX_NAME_BYTES = 255
"""UTF-8 bytes; the limit of common file systems, and more than any wire takes."""

# Marks that reverse the reading direction make `gpj.exe` look like `exe.jpg`. Joiners stay, as emoji need them.
_HARMFUL = re.compile("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\ufeff\u2028\u2029\ufff9-\ufffb]")
_HANGING = re.compile("[\\s\u200d]+$")
_EXTENSION = re.compile(r"\.[^.\s]{1,16}$")
_LETTERED = re.compile(r"\.([A-Za-z][A-Za-z0-9]{0,9})$")
_OF_PROGRAMS = ("php", "asp", "aspx", "ashx", "jsp", "jspx", "do", "action", "cgi", "pl", "py", "rb")
"""Extensions in addresses that name what makes the answer, and not the answer."""
_EXTENSIONS: Mapping[str, tuple[str, ...]] = {
    "jpeg": ("jpg", "jpeg", "jpe", "jfif"),
    "tiff": ("tif", "tiff"),
    "apng": ("png", "apng"),
    "silk3": ("silk",),
    "mp4": ("mp4", "m4v"),
    "html": ("html", "htm"),
    "odf": (),
    "ole": (),
}
"""By our name of the format, its extensions, the usual one first, where they are others than that name."""


def decoded_name(name: str) -> str:
    """Return a name from a file system or a header, whose bytes may be GBK, as people read it.

    Python keeps bytes that are no UTF-8 as lone surrogates. Windows packs names in GBK into archives, and servers in
    China write them into headers.
    """
    if name.isascii() or not any("\udc80" <= character <= "\udcff" for character in name):
        return name
    with suppress(UnicodeError):
        return name.encode("utf-8", "surrogateescape").decode("gb18030")
    return name


def unquoted_name(text: str) -> str:
    """Return a percent-encoded name, whose bytes are UTF-8 or GBK."""
    data = unquote_to_bytes(text)
    for encoding in ("utf-8", "gb18030"):
        with suppress(UnicodeDecodeError):
            return data.decode(encoding)
    return text


def named_as(name: str, form: str) -> str:
    """Return the name of a file that became one of format `form`; one with an extension of that format stays."""
    fitting = _EXTENSIONS.get(form, (form,) if form else ())
    stem, dot, last = name.rpartition(".")
    if not name or not fitting or (dot and last.lower() in fitting):
        return name
    return f"{stem if dot and stem and len(last) <= 5 else name}.{fitting[0]}"


def with_extension(name: str, form: str) -> str:
    """Return the name of a download with the extension of its format, where it has none or that of a program."""
    fitting = _EXTENSIONS.get(form, (form,) if form else ())
    found = _LETTERED.search(name)
    if not name or not fitting or (found and found[1].lower() not in _OF_PROGRAMS):
        return name
    return f"{name[: found.start()] if found else name}.{fitting[0]}"


def clean_name(name: str, limit: int = MAX_NAME_BYTES) -> str:
    """Return the last component of `name` without control characters, in at most `limit` bytes of UTF-8.

    Bytes in GBK are read. Letters of every script stay; a name that is cut keeps its extension. Returns the empty
    string if nothing is left.
    """
    base = decoded_name(name).replace("\\", "/").rstrip("/").rpartition("/")[2]
    base = _HARMFUL.sub("", "".join(c for c in base if unicodedata.category(c) not in ("Cc", "Cs")))
    base = base.strip()
    if not base.strip(". "):
        return ""
    return cut_name(base, limit)


def cut_name(name: str, limit: int) -> str:
    """Return `name` in at most `limit` UTF-8 bytes, cut before its extension and between graphemes."""
    if len(name.encode()) <= limit:
        return name
    found = _EXTENSION.search(name)
    extension = found[0] if found and len(found[0].encode()) < limit else ""
    stem = name[: len(name) - len(extension)]
    return _HANGING.sub("", head(stem, limit - len(extension.encode()))) + extension
