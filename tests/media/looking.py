"""Looks at media as a person would, by decoding them whole, and names the differences of two of them.

It shares no code with the conversions: turns, shapes and colors are carried out here once more, by other means.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import av
import pysilk
from PIL import Image, ImageCms, ImageOps

from tests.media.films import Color
from yizhan.media.convert.tolerances import TOLERANCES

Transpose = Image.Transpose
_TURNS: dict[tuple[int, int, int, int], tuple[Transpose, ...]] = {
    (1, 0, 0, 1): (),
    (-1, 0, 0, 1): (Transpose.FLIP_LEFT_RIGHT,),
    (1, 0, 0, -1): (Transpose.FLIP_TOP_BOTTOM,),
    (-1, 0, 0, -1): (Transpose.ROTATE_180,),
    (0, 1, -1, 0): (Transpose.ROTATE_270,),
    (0, -1, 1, 0): (Transpose.ROTATE_90,),
    (0, 1, 1, 0): (Transpose.TRANSPOSE,),
    (0, -1, -1, 0): (Transpose.TRANSVERSE,),
}
_HDR = (16, 18)
RATE = 24000
"""Samples a second in which sounds are compared."""


@dataclass(frozen=True)
class Seen:
    """What a person sees and hears. Empty and zero: there is none."""

    frames: tuple[tuple[Color, ...], ...] = ()
    """The colors in the middle of the quarters of each frame, on white."""
    starts_ms: tuple[float, ...] = ()
    """When each frame of an animation or a film begins."""
    pages: int = 1
    size: tuple[int, int] = (0, 0)
    clear: int = 0
    """0: nothing is transparent; 1: wholly or not at all; 2: in degrees."""
    bits: int = 0
    space: str = ""
    """The color space that it names."""
    hdr: bool = False
    length_ms: float = 0
    tracks: int = 0
    channels: int = 0
    rate: int = 0
    pitch: float = 0


def differences(one: Seen, other: Seen) -> set[str]:
    """Return the names of what a person may notice between the two, and of what a program may."""
    found = {
        "frames": len(one.frames) != len(other.frames),
        "times": len(one.starts_ms) == len(other.starts_ms) and _apart(one.starts_ms, other.starts_ms),
        "pages": one.pages != other.pages,
        "size": any(abs(a - b) > TOLERANCES.side_pixels for a, b in zip(one.size, other.size, strict=True)),
        "shape": _shape_differs(one.size, other.size),
        "hdr": one.hdr != other.hdr,
        "tags": not one.hdr and bool(one.space and other.space) and one.space != other.space,
        # Of what is half clear, only the notion of it can be kept.
        "colors": not one.hdr and one.clear == other.clear and any(map(_colors_differ, one.frames, other.frames)),
        "clear": one.clear != other.clear,
        "bits": one.bits > other.bits > 0,
        "length": abs(one.length_ms - other.length_ms) > TOLERANCES.length_ms and len(other.frames) != 1,
        "tracks": one.tracks != other.tracks,
        "channels": one.channels != other.channels and bool(other.tracks),
        "rate": one.rate > other.rate > 0,
        "pitch": abs(one.pitch - other.pitch) > TOLERANCES.pitch * one.pitch,
    }
    return {name for name, differs in found.items() if differs}


def _apart(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return any(abs(a - b) > TOLERANCES.frame_ms for a, b in zip(one, other, strict=True))


def _shape_differs(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return bool(one[1] and other[1]) and abs(one[0] / one[1] / (other[0] / other[1]) - 1) > TOLERANCES.aspect


def _colors_differ(one: tuple[Color, ...], other: tuple[Color, ...]) -> bool:
    apart = (abs(a - b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))
    return max(apart) > TOLERANCES.color_levels


# --- pictures ---------------------------------------------------------------------------------------------------------


def look_at_picture(data: bytes, top: float = 0.0) -> Seen:
    """Decode every frame or page. `top`: the value of white in a picture of floating-point numbers."""
    picture = Image.open(io.BytesIO(data))
    count, moves = int(getattr(picture, "n_frames", 1)), picture.format != "TIFF"
    frames, starts, at, clear, size = [], [], 0.0, 0, (0, 0)
    bits = _bits(data, picture)
    for index in range(count):
        picture.seek(index)
        picture.load()
        if index == 0 or moves:
            shown, clear = _on_white(picture, top), max(clear, _clearness(picture))
            frames.append(_corners(shown))
            size = size if index else shown.size
            starts.append(at)
            at += picture.info.get("duration", 0)
    still = len(frames) == 1
    return Seen(
        frames=tuple(frames),
        starts_ms=() if still else tuple(starts),
        pages=1 if moves else count,
        size=size,
        clear=clear,
        bits=bits,
        space=_space(picture),
        length_ms=0 if still else at,
    )


def _space(picture: Image.Image) -> str:
    profile = picture.info.get("icc_profile")
    if not profile:
        return "CMYK" if picture.mode == "CMYK" else "sRGB"
    name = ImageCms.getProfileName(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    return "sRGB" if name.startswith("sRGB") else name


def _on_white(picture: Image.Image, top: float) -> Image.Image:
    if picture.mode == "F":
        flat = picture.point(lambda value: value * (255 / top)).convert("L")
    elif picture.mode.startswith("I"):
        flat = picture.convert("F").point(lambda value: value / 257).convert("L")
    else:
        flat = ImageOps.exif_transpose(picture)
    profile = picture.info.get("icc_profile")
    flat = flat.convert("RGB") if flat.mode == "P" and profile else flat
    if profile and flat.mode in ("RGB", "RGBA", "CMYK", "L"):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        alpha = flat.getchannel("A") if flat.mode == "RGBA" else None
        base = flat.convert("RGB") if alpha else flat
        managed = ImageCms.profileToProfile(base, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        assert managed is not None
        flat = managed
        if alpha:
            flat.putalpha(alpha)
    seen = flat.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, (255, 255, 255, 255)), seen).convert("RGB")


def _clearness(picture: Image.Image) -> int:
    if "A" not in picture.mode and "transparency" not in picture.info:
        return 0
    low, high = picture.convert("RGBA").getchannel("A").getextrema()
    values = set(picture.convert("RGBA").getchannel("A").tobytes())
    return 0 if low == high == 255 else 1 if values <= {0, 255} else 2


def _bits(data: bytes, picture: Image.Image) -> int:
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return max(data[24], 8)
    return {"F": 32, "I": 16}.get(picture.mode[0], 8)


def _corners(picture: Image.Image) -> tuple[Color, ...]:
    width, height = picture.size
    places = ((x, y) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4))
    return tuple(picture.getpixel(place) for place in places)  # type: ignore[misc]


# --- films ------------------------------------------------------------------------------------------------------------


def look_at_film(data: bytes) -> Seen:
    """Decode every frame and sound, and show it as a player does: turned by its matrix, with square pixels."""
    with av.open(io.BytesIO(data)) as film:
        video = film.streams.video[0]
        turns, aspect = _TURNS[_matrix(data)], float(video.sample_aspect_ratio or 1)
        frames, starts = [], []
        size = (0, 0)
        for frame in film.decode(video=0):
            picture = frame.to_image()
            wide, high = picture.size
            picture = picture.resize((round(wide * max(1, aspect)), round(high / min(1, aspect))))
            for turn in turns:
                picture = picture.transpose(turn)
            size = picture.size
            frames.append(_corners(picture))
            starts.append(float(frame.time or 0) * 1000)
            last = float((frame.duration or 0) * (frame.time_base or 0)) * 1000
        context = video.codec_context
        depth = max(component.bits for component in context.format.components)
        space = {1: "BT.709", 9: "BT.2020"}.get(int(context.color_primaries), "")
        hdr, tracks = int(context.color_trc) in _HDR, len(film.streams.audio)
        audio = film.streams.audio[0].codec_context if tracks else None
        channels, rate = (audio.channels, audio.sample_rate) if audio else (0, 0)
    first = starts[0]
    return Seen(
        frames=tuple(frames),
        starts_ms=tuple(start - first for start in starts),
        size=size,
        bits=depth,
        space=space,
        hdr=hdr,
        length_ms=starts[-1] - first + last,
        tracks=tracks,
        channels=channels,
        rate=rate,
        pitch=_pitch(_samples(data)) if tracks else 0,
    )


def _matrix(data: bytes) -> tuple[int, int, int, int]:
    at = data.find(b"tkhd")
    if at < 0 or data[4:8] not in (b"ftyp", b"moov", b"wide"):
        return 1, 0, 0, 1
    a, b, _, c, d = struct.unpack_from(">5i", data, at + 44)
    return a >> 16, b >> 16, c >> 16, d >> 16


# --- sounds -----------------------------------------------------------------------------------------------------------


def look_at_sound(data: bytes) -> Seen:
    """Decode a sound whole."""
    samples = _samples(data)
    length = len(samples) * 1000 / RATE
    if data[1:10] == b"#!SILK_V3" or data[:9] == b"#!SILK_V3":
        return Seen(length_ms=length, tracks=1, channels=1, rate=RATE, pitch=_pitch(samples))
    with av.open(io.BytesIO(data)) as sound:
        context = sound.streams.audio[0].codec_context
        bits = {"pcm_s24le": 24, "pcm_s16le": 16}.get(context.name, 0)
        return Seen(
            length_ms=length,
            tracks=1,
            channels=context.channels,
            rate=context.sample_rate,
            pitch=_pitch(samples),
            bits=bits,
        )


def _samples(data: bytes) -> tuple[int, ...]:
    mark = data[:10].find(b"#!SILK_V3")
    if mark >= 0:
        out = io.BytesIO()
        pysilk.decode(io.BytesIO(b"\x02" + data[mark:]), out, RATE)
        pieces = out.getvalue()
    else:
        with av.open(io.BytesIO(data)) as container:
            resampler = av.AudioResampler("s16", "mono", RATE)
            heard = [piece for frame in container.decode(audio=0) for piece in resampler.resample(frame)]
            heard += resampler.resample(None)
        pieces = b"".join(bytes(piece.planes[0])[: piece.samples * 2] for piece in heard)
    return struct.unpack(f"<{len(pieces) // 2}h", pieces)


def _pitch(samples: tuple[int, ...]) -> float:
    middle = samples[len(samples) // 4 : len(samples) * 3 // 4]
    crossings = sum(1 for a, b in pairwise(middle) if a < 0 <= b)
    return crossings / max(1e-9, len(middle) / RATE)


def look_at(kind: str, data: bytes, **more: Any) -> Seen:
    """Return what a person notices of an `image`, a `video` or a `voice`."""
    return {"image": look_at_picture, "video": look_at_film, "voice": look_at_sound}[kind](data, **more)
