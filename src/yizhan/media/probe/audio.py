"""Durations of sounds, from headers and frames.

Formats without a total (MP3 without an index, ADTS, AMR, SILK) are walked frame by frame; after `MAX_FRAMES` the rest
is estimated from the average.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from yizhan.media.probe.reading import FileReader, Findings, measured

MAX_FRAMES = 20_000
"""Frames that are walked: more than six minutes at 20 ms each."""

Frame = tuple[int, float]
"""Length in bytes and in milliseconds."""


def wav(reader: FileReader) -> Findings:
    return measured(Findings("voice", "audio/wav", "wav"), lambda: _wav(reader))


def _wav(reader: FileReader) -> dict[str, Any]:
    offset, rate = 12, 0
    for _ in range(100):
        name, size = reader.unpack("<4sI", offset)
        if name == b"fmt ":
            (rate,) = reader.unpack("<I", offset + 16)
        if name == b"data":
            # Writers that do not know the length in advance store 0 or the largest number.
            held = reader.size - offset - 8
            return {"duration_ms": min(size or held, held) * 1000 // rate}
        offset += 8 + size + size % 2
    raise ValueError("no data chunk")


def flac(reader: FileReader) -> Findings:
    def length() -> dict[str, Any]:
        bits = int.from_bytes(reader.head[18:26], "big")
        return {"duration_ms": (bits & (1 << 36) - 1) * 1000 // (bits >> 44)}

    return measured(Findings("voice", "audio/flac", "flac"), length)


def ogg(reader: FileReader) -> Findings:
    first = reader.head[28:36]
    if first[1:7] == b"theora":
        return Findings("video", "video/ogg", "ogv")
    rate = 48000 if first == b"OpusHead" else int.from_bytes(reader.head[40:44], "little")
    skip = int.from_bytes(reader.head[38:40], "little") if first == b"OpusHead" else 0
    if first[:5] == b"Speex":
        rate = int.from_bytes(reader.head[64:68], "little")

    def length() -> dict[str, Any]:
        tail = reader.at(max(0, reader.size - (1 << 16)), 1 << 16)
        last = tail.rindex(b"OggS")
        return {
            "duration_ms": (int.from_bytes(tail[last + 6 : last + 14], "little", signed=True) - skip) * 1000 // rate
        }

    return measured(Findings("voice", "audio/ogg", "ogg"), length)


def silk(reader: FileReader) -> Findings:
    """Tencent's SILK (`silk`: a byte 0x02 before the mark), or plain SILK (`silk3`); 20 ms a frame.

    Platforms play the first and refuse the second.
    """
    start = reader.head.index(b"#!SILK_V3") + 9
    form = "silk" if start == 10 else "silk3"

    def frame(head: bytes) -> Frame | None:
        length = int.from_bytes(head[:2], "little", signed=True)
        return (2 + length, 20.0) if length >= 0 else None

    return measured(Findings("voice", "audio/silk", form), lambda: _walk(reader, start, frame, 2))


_AMR = (12, 13, 15, 17, 19, 20, 26, 31, 5, 0, 0, 0, 0, 0, 0, 0)
_AMR_WB = (17, 23, 32, 36, 40, 46, 50, 58, 60, 5, 0, 0, 0, 0, 0, 0)


def amr(reader: FileReader) -> Findings:
    wide = reader.head.startswith(b"#!AMR-WB\n")
    sizes = _AMR_WB if wide else _AMR

    def frame(head: bytes) -> Frame:
        return 1 + sizes[head[0] >> 3 & 15], 20.0

    found = Findings("voice", "audio/amr-wb" if wide else "audio/amr", "amr")
    return measured(found, lambda: _walk(reader, 9 if wide else 6, frame, 1))


def mp3(reader: FileReader) -> Findings:
    start = 0
    if reader.head[:3] == b"ID3":
        a, b, c, d = (byte & 127 for byte in reader.head[6:10].ljust(4, b"\0"))
        start = 10 + (a << 21 | b << 14 | c << 7 | d)
    return measured(Findings("voice", "audio/mpeg", "mp3"), lambda: _mp3(reader, start))


def bare_frames(reader: FileReader) -> Findings | None:
    """Detect MP3 and ADTS files without a header, by three frames in a row."""
    for frame, found in ((_mp3_frame, mp3), (_adts_frame, adts)):
        offset, seen = 0, 0
        while seen < 3 and (step := frame(reader.at(offset, 8))) is not None:
            offset += step[0]
            seen += 1
            if offset == reader.size:
                seen = 3
        if seen == 3:
            return found(reader)
    return None


def adts(reader: FileReader) -> Findings:
    return measured(Findings("voice", "audio/aac", "aac"), lambda: _walk(reader, 0, _adts_frame, 8))


_BITRATES = {
    (3, 3): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (3, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (3, 1): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 3): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 1): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""kbit/s by version (MPEG 1 is 3, others 2) and layer (I is 3, II 2, III 1)."""
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mp3_frame(head: bytes) -> Frame | None:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    rate_index, speed = head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or layer == 0 or rate_index == 3 or speed in (0, 15):
        return None
    rate = _RATES[version][rate_index]
    bits = _BITRATES[3 if version == 3 else 2, layer][speed] * 1000
    samples = 384 if layer == 3 else 576 if layer == 1 and version != 3 else 1152
    padding = (head[2] >> 1 & 1) * (4 if layer == 3 else 1)
    length = (12 * bits // rate) * 4 if layer == 3 else samples // 8 * bits // rate
    return length + padding, samples * 1000 / rate


def _mp3(reader: FileReader, start: int) -> dict[str, Any]:
    first = reader.at(start, 200)
    skipped = next((at for at in range(len(first) - 4) if _mp3_frame(first[at : at + 4])), 0)
    start += skipped
    step = _mp3_frame(reader.at(start, 4))
    if step is None:
        raise ValueError("no frame")
    frame = reader.at(start, min(step[0], 400))
    for mark in (b"Xing", b"Info"):
        at = frame.find(mark)
        if at > 0 and frame[at + 7] & 1:
            return {"duration_ms": int.from_bytes(frame[at + 8 : at + 12], "big") * step[1]}
    if frame[36:40] == b"VBRI":
        return {"duration_ms": int.from_bytes(frame[50:54], "big") * step[1]}
    return _walk(reader, start, _mp3_frame, 4)


_ADTS_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


def _adts_frame(head: bytes) -> Frame | None:
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return None
    rate_index = head[2] >> 2 & 15
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    if rate_index >= len(_ADTS_RATES) or length < 7:
        return None
    return length, 1024 * ((head[6] & 3) + 1) * 1000 / _ADTS_RATES[rate_index]


def _walk(reader: FileReader, start: int, frame: Callable[[bytes], Frame | None], head: int) -> dict[str, Any]:
    """Add up the frames from `start`; `frame` parses `head` bytes, and returns None where the frames end."""
    offset, total, count = start, 0.0, 0
    page_at, page = start, b""
    while offset < reader.size and count < MAX_FRAMES:
        if not page_at <= offset <= page_at + len(page) - head:
            page_at, page = offset, reader.at(offset, 1 << 16)
        step = (
            frame(page[offset - page_at : offset - page_at + head]) if len(page) - (offset - page_at) >= head else None
        )
        if step is None:
            return {"duration_ms": round(total)}
        offset += step[0]
        total += step[1]
        count += 1
    if offset < reader.size:
        total *= (reader.size - start) / (offset - start)
    return {"duration_ms": round(total)}
