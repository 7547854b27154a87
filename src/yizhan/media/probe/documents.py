"""Archives, office documents and plain text."""

from __future__ import annotations

import codecs
import struct

from yizhan.media.probe.reading import FileReader, Findings

_OFFICE = "application/vnd.openxmlformats-officedocument."
_INSIDE: tuple[tuple[bytes, str, str], ...] = (
    (b"word/document", "docx", _OFFICE + "wordprocessingml.document"),
    (b"xl/workbook", "xlsx", _OFFICE + "spreadsheetml.sheet"),
    (b"ppt/presentation", "pptx", _OFFICE + "presentationml.presentation"),
    (b"AndroidManifest.xml", "apk", "application/vnd.android.package-archive"),
    (b"META-INF/MANIFEST.MF", "jar", "application/java-archive"),
)
_STREAMS: tuple[tuple[str, str, str], ...] = (
    ("WordDocument", "doc", "application/msword"),
    ("Workbook", "xls", "application/vnd.ms-excel"),
    ("PowerPoint Document", "ppt", "application/vnd.ms-powerpoint"),
    ("__properties_version1.0", "msg", "application/vnd.ms-outlook"),
)
MAX_DIRECTORY = 1 << 20
"""Bytes of an archive's directory that are searched."""


def zip_archive(reader: FileReader) -> Findings:
    names = _directory(reader) or reader.head
    for name, form, mime in _INSIDE:
        if name in names:
            return Findings("file", mime, form)
    # EPUB and OpenDocument have their type in the first entry, stored uncompressed.
    if reader.head[30:38] == b"mimetype":
        mime = reader.head[38:118].split(b"PK")[0].decode("ascii", "ignore")
        for start, form in (("application/epub+zip", "epub"), ("application/vnd.oasis.opendocument.", "odf")):
            if mime.startswith(start):
                return Findings("file", mime if mime.isprintable() else start, form)
    return Findings("file", "application/zip", "zip")


def _directory(reader: FileReader) -> bytes:
    tail_at = max(0, reader.size - (1 << 16) - 22)
    tail = reader.at(tail_at, (1 << 16) + 22)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 20:
        return b""
    size, offset = struct.unpack("<II", tail[end + 12 : end + 20])
    return reader.at(offset, min(size, MAX_DIRECTORY))


def compound(reader: FileReader) -> Findings:
    """Detect the older office formats: small file systems, distinguished by the names in their directory."""
    sector = 1 << min(int.from_bytes(reader.head[30:32], "little"), 16)
    first = int.from_bytes(reader.head[48:52], "little")
    directory = reader.at((first + 1) * sector, 4 * sector)
    for name, form, mime in _STREAMS:
        if name.encode("utf-16-le") in directory:
            return Findings("file", mime, form)
    return Findings("file", "application/x-ole-storage", "ole")


def text(reader: FileReader) -> Findings | None:
    head = reader.head
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and len(head) % 2 == 0:
        return Findings("file", "text/plain", "txt")
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return None
    for encoding in ("utf-8", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            words = decoder.decode(head)
        except UnicodeDecodeError:
            continue
        return _kind_of_text(words.lstrip("\ufeff \t\r\n")[:200].lower())
    return None


def _kind_of_text(start: str) -> Findings:
    if start.startswith(("<!doctype html", "<html")):
        return Findings("file", "text/html", "html")
    if start.startswith("<svg") or (start.startswith("<?xml") and "<svg" in start):
        return Findings("file", "image/svg+xml", "svg")
    if start.startswith("<?xml"):
        return Findings("file", "text/xml", "xml")
    return Findings("file", "text/plain", "txt")
