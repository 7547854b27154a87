"""Detects format, kind and measures of media from their headers, without decoding.

A wrong or truncated header leaves measures at 0, and never fails: the bytes can still be sent as a file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import IO

from yizhan.media.probe import audio, boxes, documents, images
from yizhan.media.probe.reading import FileReader, Findings

__all__ = ["Findings", "probe"]

Measure = Callable[[FileReader], Findings]

_SIGNATURES: tuple[tuple[int, bytes, Measure | Findings], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", images.png),
    (0, b"\xff\xd8\xff", images.jpeg),
    (0, b"GIF87a", images.gif),
    (0, b"GIF89a", images.gif),
    (8, b"WEBP", images.webp),
    (0, b"BM", images.bmp),
    (0, b"II*\x00", images.tiff),
    (0, b"MM\x00*", images.tiff),
    (8, b"WAVE", audio.wav),
    (8, b"AVI ", boxes.avi),
    (4, b"ftyp", boxes.mp4),
    (4, b"moov", boxes.mp4),
    (4, b"mdat", boxes.mp4),
    (4, b"wide", boxes.mp4),
    (0, b"\x1a\x45\xdf\xa3", boxes.matroska),
    (0, b"FLV\x01", boxes.flv),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Findings("video", "video/x-ms-wmv", "wmv")),
    (0, b"\x00\x00\x01\xba", Findings("video", "video/mpeg", "mpg")),
    (0, b"\x02#!SILK_V3", audio.silk),
    (0, b"#!SILK_V3", audio.silk),
    (0, b"#!AMR-WB\n", audio.amr),
    (0, b"#!AMR\n", audio.amr),
    (0, b"ID3", audio.mp3),
    (0, b"fLaC", audio.flac),
    (0, b"OggS", audio.ogg),
    (8, b"AIFF", Findings("voice", "audio/aiff", "aiff")),
    (0, b"caff", Findings("voice", "audio/x-caf", "caf")),
    (0, b"%PDF-", Findings("file", "application/pdf", "pdf")),
    (0, b"PK\x03\x04", documents.zip_archive),
    (0, b"PK\x05\x06", documents.zip_archive),
    (0, b"Rar!\x1a\x07", Findings("file", "application/vnd.rar", "rar")),
    (0, b"7z\xbc\xaf\x27\x1c", Findings("file", "application/x-7z-compressed", "7z")),
    (0, b"\x1f\x8b\x08", Findings("file", "application/gzip", "gz")),
    (0, b"BZh", Findings("file", "application/x-bzip2", "bz2")),
    (0, b"\xfd7zXZ\x00", Findings("file", "application/x-xz", "xz")),
    (0, b"\x28\xb5\x2f\xfd", Findings("file", "application/zstd", "zst")),
    (257, b"ustar", Findings("file", "application/x-tar", "tar")),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", documents.compound),
    (0, b"{\\rtf", Findings("file", "application/rtf", "rtf")),
    (0, b"8BPS", Findings("file", "image/vnd.adobe.photoshop", "psd")),
    (0, b"\x7fELF", Findings("file", "application/x-elf", "elf")),
    (0, b"MZ", Findings("file", "application/vnd.microsoft.portable-executable", "exe")),
)
# Formats without a signature, tried in turn if none of the above matches.
_GUESSES: tuple[Callable[[FileReader], Findings | None], ...] = (
    audio.bare_frames,
    boxes.transport_stream,
    documents.text,
)
UNKNOWN = Findings("file", "application/octet-stream", "")
_RIFF = (b"WEBP", b"WAVE", b"AVI ")


def probe(file: IO[bytes], size: int) -> Findings:
    """Return format and measures of the `size` bytes of `file`; unknown formats are `application/octet-stream`."""
    reader = FileReader(file, size)
    for offset, magic, measure in _SIGNATURES:
        if reader.head[offset : offset + len(magic)] == magic and _fits(reader, offset, magic):
            return measure if isinstance(measure, Findings) else _measured(measure, reader)
    for guess in _GUESSES:
        found = guess(reader)
        if found is not None:
            return found
    return UNKNOWN


def _fits(reader: FileReader, offset: int, magic: bytes) -> bool:
    """Whether a short or displaced signature is no coincidence."""
    if offset == 8:
        return reader.head[:4] == (b"RIFF" if magic in _RIFF else b"FORM")
    if magic == b"BM":
        return images.is_bmp(reader)
    if magic == b"BZh":
        return reader.head[3:4].isdigit() and reader.head[4:10] == b"1AY&SY"
    if magic == b"MZ":
        return reader.size > 64 and b"\x00" in reader.head
    return True


def _measured(measure: Measure, reader: FileReader) -> Findings:
    try:
        return measure(reader)
    except (struct.error, IndexError, ValueError, ArithmeticError):
        return UNKNOWN
