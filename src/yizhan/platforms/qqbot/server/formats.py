"""Formats of files by their first bytes, under the names that the rules use."""

from __future__ import annotations

_MAGIC = (
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"GIF8", "gif"),
    (0, b"BM", "bmp"),
    (8, b"WEBP", "webp"),
    (8, b"WAVE", "wav"),
    (4, b"ftyp", "mp4"),
    # Tencent's variant has a byte before the mark; the service refuses the plain one.
    (1, b"#!SILK_V3", "silk"),
    (0, b"#!AMR", "amr"),
    (0, b"OggS", "ogg"),
    (0, b"ID3", "mp3"),
    (0, b"\xff\xfb", "mp3"),
    (0, b"\xff\xf3", "mp3"),
    (0, b"\xff\xf2", "mp3"),
    (0, b"%PDF", "pdf"),
)


def format_of(head: bytes) -> str:
    """Return the format of a file that begins with `head`; empty if it is none of the known ones."""
    return next((name for offset, magic, name in _MAGIC if head[offset : offset + len(magic)] == magic), "")
