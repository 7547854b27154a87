"""Video containers: size, duration, and whether they contain a video track."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from yizhan.media.probe.reading import FileReader, Findings, measured

MAX_BOXES = 2_000
"""Boxes or elements read in one file."""
MAX_DEPTH = 8
MAX_FRAGMENTS = 50_000
MAX_SAMPLES = 20_000
"""Samples of one run whose times are read."""

_HEIF = {b"heic": "heic", b"heix": "heic", b"heim": "heic", b"heis": "heic", b"hevc": "heic", b"hevx": "heic"}
_HEIF |= {b"mif1": "heic", b"msf1": "heic", b"avif": "avif", b"avis": "avif"}


# --- ISO base media: MP4, MOV, M4A, 3GP, HEIC, AVIF -------------------------------------------------------------------


@dataclass(slots=True)
class _Movie:
    duration_ms: int = 0
    width: int = 0
    height: int = 0
    handlers: set[bytes] = field(default_factory=set)
    scales: list[int] = field(default_factory=list)
    """Units a second of each track, in the order of the tracks."""
    numbers: list[int] = field(default_factory=list)
    usual: dict[int, int] = field(default_factory=dict)
    """How long a sample of a track lasts where its fragment does not say, by the track's number."""
    ends: dict[int, int] = field(default_factory=dict)
    """The end of each track's fragments, in the track's units."""
    seen: int = 0

    def fragments_ms(self) -> int:
        """Return how long the fragments play; 0 where there are none."""
        scales = dict(zip(self.numbers, self.scales, strict=False))
        return max((end * 1000 // scales[number] for number, end in self.ends.items() if scales.get(number)), default=0)


def mp4(reader: FileReader) -> Findings:
    """Measure an MP4 or related file; without a video track it is a sound (`m4a`)."""
    brand = reader.head[8:12] if reader.head[4:8] == b"ftyp" else b"qt  "
    if brand in _HEIF:
        return _picture(reader, brand)
    movie = _Movie()
    measured(_NONE, lambda: _read_movie(reader, 0, reader.size, movie))
    if not movie.duration_ms:
        # Written while it was recorded: the head knows no length.
        measured(_NONE, lambda: _read_fragments(reader, movie))
        movie.duration_ms = movie.fragments_ms()
    if b"vide" not in movie.handlers and (b"soun" in movie.handlers or brand in (b"M4A ", b"M4B ")):
        return Findings("voice", "audio/mp4", "m4a", duration_ms=movie.duration_ms)
    form, mime = ("mov", "video/quicktime") if brand == b"qt  " else ("mp4", "video/mp4")
    if brand[:3] in (b"3gp", b"3g2"):
        form, mime = "3gp", "video/3gpp"
    return Findings("video", mime, form, movie.width, movie.height, movie.duration_ms)


_NONE = Findings("file", "", "")
_FOLDERS = (b"moov", b"trak", b"mdia", b"mvex")


def _read_movie(reader: FileReader, start: int, stop: int, movie: _Movie, depth: int = 0) -> dict[str, Any]:
    for name, at, end in _boxes(reader, start, stop):
        movie.seen += 1
        if movie.seen > MAX_BOXES or depth > MAX_DEPTH:
            break
        if name in _FOLDERS:
            _read_movie(reader, at, end, movie, depth + 1)
        elif name == b"mvhd":
            movie.duration_ms = _length(reader, at)
        elif name == b"tkhd":
            _track_size(reader, at, movie)
        elif name == b"hdlr":
            movie.handlers.add(reader.at(at + 8, 4))
        elif name == b"mdhd":
            movie.scales.append(reader.unpack(">I", at + (20 if reader.at(at, 1) == b"\x01" else 12))[0])
        elif name == b"trex":
            number, _, usual = reader.unpack(">III", at + 4)
            movie.usual[number] = usual
    return {}


def _read_fragments(reader: FileReader, movie: _Movie) -> dict[str, Any]:
    for count, (name, at, end) in enumerate(_boxes(reader, 0, reader.size)):
        if count > MAX_FRAGMENTS:
            break
        if name == b"moof":
            for inner, start, stop in _boxes(reader, at, end):
                if inner == b"traf":
                    _read_fragment(reader, start, stop, movie)
    return {}


def _read_fragment(reader: FileReader, at: int, end: int, movie: _Movie) -> None:
    """Add one track's fragment: its samples begin where it says, or where the one before it ended."""
    number = usual = 0
    for name, start, _ in _boxes(reader, at, end):
        if name == b"tfhd":
            flags, number = reader.unpack(">II", start)
            usual = movie.usual.get(number, 0)
            if flags & 0x8:
                (usual,) = reader.unpack(">I", start + 8 + 8 * bool(flags & 0x1) + 4 * bool(flags & 0x2))
        elif name == b"tfdt":
            long = reader.at(start, 1) == b"\x01"
            movie.ends[number] = reader.unpack(">Q" if long else ">I", start + 4)[0]
        elif name == b"trun":
            movie.ends[number] = movie.ends.get(number, 0) + _run_length(reader, start, usual)


def _run_length(reader: FileReader, at: int, usual: int) -> int:
    """Return how long the samples of a run last, in units of the track."""
    flags, count = reader.unpack(">II", at)
    flags &= 0xFFFFFF
    if not flags & 0x100:
        return int(count) * usual
    fields = sum(bool(flags & flag) for flag in (0x100, 0x200, 0x400, 0x800))
    first = at + 8 + 4 * bool(flags & 0x1) + 4 * bool(flags & 0x4)
    table = reader.at(first, min(count, MAX_SAMPLES) * fields * 4)
    return sum(int(value) for (value,) in struct.iter_unpack(f">I{(fields - 1) * 4}x", table))


def _boxes(reader: FileReader, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start of the content and end of every box from `start` to `stop`."""
    while start + 8 <= stop:
        size, name = reader.unpack(">I4s", start)
        head = 8
        if size == 1:
            (size,) = reader.unpack(">Q", start + 8)
            head = 16
        elif size == 0:
            size = stop - start
        if size < head:
            return
        yield name, start + head, min(start + size, stop)
        start += size


def _length(reader: FileReader, at: int) -> int:
    version = reader.at(at, 1)
    scale, units = reader.unpack(">IQ", at + 20) if version == b"\x01" else reader.unpack(">II", at + 12)
    return int(units * 1000 // scale) if units < 1 << 48 else 0


def _track_size(reader: FileReader, at: int, movie: _Movie) -> None:
    movie.numbers.append(reader.unpack(">I", at + (20 if reader.at(at, 1) == b"\x01" else 12))[0])
    matrix = at + (52 if reader.at(at, 1) == b"\x01" else 40)
    a, _b, _u, _c, d = reader.unpack(">5i", matrix)
    width, height = (value >> 16 for value in reader.unpack(">II", matrix + 36))
    if a == 0 and d == 0:  # turned by 90 degrees, as phones record
        width, height = height, width
    if width * height > movie.width * movie.height:
        movie.width, movie.height = width, height


def _picture(reader: FileReader, brand: bytes) -> Findings:
    form = _HEIF[brand]
    found = Findings("image", f"image/{form}", form)

    def size() -> dict[str, Any]:
        # Tiles, thumbnail and the whole picture each have an extent; the largest is the picture's. The shown part may
        # be smaller, since encoders fill up whole blocks.
        found = list(_extents(reader, 0, reader.size, 0))
        wide, high = max((pair for name, *pair in found if name == b"ispe"), key=lambda pair: pair[0] * pair[1])
        shown = next((pair for name, *pair in found if name == b"clap"), (wide, high))
        return {"width": min(wide, shown[0]), "height": min(high, shown[1])}

    return measured(found, size)


def _extents(reader: FileReader, start: int, stop: int, depth: int) -> Iterator[tuple[bytes, int, int]]:
    for count, (name, at, end) in enumerate(_boxes(reader, start, stop)):
        if count > MAX_BOXES or depth > MAX_DEPTH:
            return
        if name in (b"meta", b"iprp", b"ipco"):
            yield from _extents(reader, at + (4 if name == b"meta" else 0), end, depth + 1)
        elif name == b"ispe":
            wide, high = reader.unpack(">II", at + 4)
            yield name, wide, high
        elif name == b"clap":
            wide, wide_parts, high, high_parts = reader.unpack(">4I", at)
            yield name, wide // wide_parts, high // high_parts


# --- Matroska and WebM ------------------------------------------------------------------------------------------------

_SEGMENT, _INFO, _SCALE, _DURATION = 0x18538067, 0x1549A966, 0x2AD7B1, 0x4489
_TRACKS, _TRACK, _TYPE, _VIDEO, _WIDTH, _HEIGHT = 0x1654AE6B, 0xAE, 0x83, 0xE0, 0xB0, 0xBA
_CLUSTER = 0x1F43B675


def matroska(reader: FileReader) -> Findings:
    web = b"webm" in reader.head[:64]
    found = Findings("video", "video/webm" if web else "video/x-matroska", "webm" if web else "mkv")
    values: dict[int, Any] = {}
    measured(_NONE, lambda: _read_elements(reader, 0, reader.size, values, [0]))
    if values.get(_TYPE) and 1 not in values[_TYPE]:
        found = replace(found, kind="voice", mime="audio/webm" if web else "audio/x-matroska")
    scale = values.get(_SCALE, [1_000_000])[0]
    return measured(
        found,
        lambda: {
            "duration_ms": values.get(_DURATION, [0])[0] * scale / 1e6,
            "width": values.get(_WIDTH, [0])[0],
            "height": values.get(_HEIGHT, [0])[0],
        },
    )


def _read_elements(
    reader: FileReader, start: int, stop: int, values: dict[int, Any], seen: list[int], depth: int = 0
) -> dict[str, Any]:
    while start < stop and seen[0] < MAX_BOXES and depth <= MAX_DEPTH:
        seen[0] += 1
        name, at = _number(reader, start, keep_mark=True)
        size, at = _number(reader, at)
        end = stop if size < 0 else min(at + size, stop)
        if name in (_SEGMENT, _INFO, _TRACKS, _TRACK, _VIDEO):
            _read_elements(reader, at, end, values, seen, depth + 1)
        elif name == _CLUSTER:
            return {}
        elif name == _DURATION:
            values[name] = reader.unpack(">d" if end - at == 8 else ">f", at)
        elif name in (_SCALE, _TYPE, _WIDTH, _HEIGHT):
            values.setdefault(name, []).append(int.from_bytes(reader.at(at, min(end - at, 8)), "big"))
        start = end
    return {}


def _number(reader: FileReader, at: int, *, keep_mark: bool = False) -> tuple[int, int]:
    """Return a number of variable length (-1 for unknown) and the offset behind it."""
    data = reader.at(at, 8)
    length = 9 - data[0].bit_length()
    if length > 8 or len(data) < length:
        raise ValueError("no number")
    value = int.from_bytes(data[:length], "big")
    if keep_mark:
        return value, at + length
    mask = (1 << 7 * length) - 1
    return (-1 if value & mask == mask else value & mask), at + length


# --- AVI, FLV, MPEG transport streams ---------------------------------------------------------------------------------


def avi(reader: FileReader) -> Findings:
    def measures() -> dict[str, Any]:
        at = reader.head.index(b"avih") + 8
        microseconds, frames = reader.unpack("<I12xI", at)
        width, height = reader.unpack("<II", at + 32)
        return {"width": width, "height": height, "duration_ms": microseconds * frames // 1000}

    return measured(Findings("video", "video/x-msvideo", "avi"), measures)


def flv(reader: FileReader) -> Findings:
    def value(name: bytes) -> float:
        at = reader.head.find(name + b"\x00")
        return float(struct.unpack(">d", reader.head[at + len(name) + 1 :][:8])[0]) if at > 0 else 0.0

    def measures() -> dict[str, Any]:
        return {"width": value(b"width"), "height": value(b"height"), "duration_ms": value(b"duration") * 1000}

    return measured(Findings("video", "video/x-flv", "flv"), measures)


def transport_stream(reader: FileReader) -> Findings | None:
    marks = reader.head[0 : 188 * 4 : 188]
    return Findings("video", "video/mp2t", "ts") if marks == b"GGGG" else None
