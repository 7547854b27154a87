"""The properties of media that a conversion may change, and the differences of two media in words.

They are read from headers. A conversion adds to the traits of its source what only decoding tells (transparency, the
times of frames), since it decodes the source anyway; nothing is decoded for the sake of a note.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from yizhan.media.convert.tolerances import TOLERANCES

SRGB = "sRGB"
NOT_CLEAR, ON_OR_OFF, GRADED = 0, 1, 2
"""Transparency: none, each pixel wholly or not at all, or in degrees."""
_TRANSFERS = {16: "PQ", 18: "HLG"}
"""Transfer characteristics of HDR, by their numbers in ITU-T H.273, as are the primaries."""
_PRIMARIES = {1: "BT.709", 4: "BT.470M", 5: "BT.601", 6: "BT.601", 9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
_DEEP_MODES = {"I": 16, "F": 32}
_PCM = re.compile(r"pcm_[suf](\d+)")
_FORMATS = {"MPO": "jpeg", "DIB": "bmp", "HEIF": "heic"}
"""Our names of formats, where Pillow's are others."""
_INKS = {"CMYK": "CMYK", "LAB": "Lab"}


class Traits(Struct, frozen=True):
    """Properties of one medium. A zero or an empty text is unknown, and is not compared."""

    format: str = ""
    width: int = 0
    """Pixels as shown: upright, and with square pixels."""
    height: int = 0
    frames: int = 0
    """Pictures of a film or an animation; 1 for a still picture."""
    times_ms: tuple[int, ...] = ()
    """How long each frame of an animation is shown."""
    pages: int = 0
    duration_ms: int = 0
    colors: str = ""
    """The color space, such as `Display P3` or `BT.2020`."""
    transfer: str = ""
    """`PQ` or `HLG`; empty for films that are not HDR."""
    depth: int = 0
    """Bits of one channel, or of one sample of a sound without loss."""
    palette: bool = False
    """Whether there are at most 256 colors."""
    clear: int = NOT_CLEAR
    sounds: int = -1
    """Sound tracks of a film; -1 if not known."""
    channels: int = 0
    rate: int = 0
    """Samples a second."""
    subtitles: int = 0


def differences(before: Traits, after: Traits) -> tuple[str, ...]:
    """Return what a person may notice between a medium and its conversion, each difference in a few words."""
    return tuple(words for compare in _COMPARISONS for words in compare(before, after))


# --- reading traits ---------------------------------------------------------------------------------------------------


def picture_traits(picture: Any, animated: bool) -> Traits:
    """Return the traits of a picture that Pillow has opened. `animated`: its frames are shown one after another."""
    count = int(getattr(picture, "n_frames", 1))
    form = _FORMATS.get(picture.format or "", str(picture.format or "").lower())
    return Traits(
        format="apng" if form == "png" and animated and count > 1 else form,
        width=picture.width,
        height=picture.height,
        frames=count if animated else 1,
        pages=count if picture.format == "TIFF" else 0,
        colors=color_space(picture),
        depth=_depth(picture),
        palette=picture.mode == "P" and picture.format in ("GIF", "PNG"),
    )


def clearness(picture: Any) -> int:
    """Return the transparency of a decoded picture in RGB or RGBA."""
    if picture.mode != "RGBA":
        return NOT_CLEAR
    counts = picture.getchannel("A").histogram()
    if any(counts[1:255]):
        return GRADED
    return ON_OR_OFF if counts[0] else NOT_CLEAR


def result_traits(file: Path) -> Traits:
    """Return the traits of a picture that a conversion wrote, from its header."""
    from PIL import Image

    with Image.open(file) as picture:
        traits = picture_traits(picture, animated=picture.format == "GIF")
        clear = GRADED if picture.mode in ("RGBA", "LA") else ON_OR_OFF if "transparency" in picture.info else NOT_CLEAR
    if picture.format != "GIF":
        return replace(traits, clear=clear)
    times = gif_times(file.read_bytes())
    # The transparent color may be that of a later frame; which frames have one is not told apart.
    return replace(traits, frames=len(times), times_ms=times if len(times) > 1 else (), clear=ON_OR_OFF)


def film_traits(container: Any, video: Any, size: tuple[int, int], duration_ms: int) -> Traits:
    """Return the traits of an opened film whose stream `video` is shown at `size`; its frames are left out."""
    audio = next((one for one in container.streams.audio if one.codec_context is not None), None)
    context = video.codec_context
    return Traits(
        width=size[0],
        height=size[1],
        duration_ms=duration_ms,
        colors=_PRIMARIES.get(int(context.color_primaries), ""),
        transfer=_TRANSFERS.get(int(context.color_trc), ""),
        depth=max((component.bits for component in context.format.components), default=0) if context.format else 0,
        sounds=len(container.streams.audio),
        channels=audio.codec_context.channels if audio is not None else 0,
        rate=audio.codec_context.sample_rate if audio is not None else 0,
        subtitles=len(container.streams.subtitles),
    )


def sound_traits(container: Any) -> Traits:
    """Return the traits of an opened sound; its format and length are left out."""
    context = next(iter(container.streams.audio)).codec_context
    return Traits(channels=context.channels, rate=context.sample_rate, depth=_sample_bits(context))


def gif_times(data: bytes) -> tuple[int, ...]:
    """Return how long each frame of a GIF is shown, in milliseconds, from its blocks.

    Raises:
        ValueError: it is no GIF, or torn.
    """
    try:
        return tuple(_gif_times(data))
    except (IndexError, struct.error) as error:
        raise ValueError("torn GIF") from error


def _gif_times(data: bytes) -> Iterator[int]:
    if data[:3] != b"GIF":
        raise ValueError("no GIF")
    at, time = 13 + _table_bytes(data[10]), 0
    while data[at] != 0x3B:
        if data[at] == 0x21:
            if data[at + 1] == 0xF9:
                time = int(struct.unpack_from("<H", data, at + 4)[0]) * 10
            at = _behind_blocks(data, at + 2)
        elif data[at] == 0x2C:
            yield time
            time = 0
            at = _behind_blocks(data, at + 11 + _table_bytes(data[at + 9]))
        else:
            raise ValueError("no block of a GIF")


def _table_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _behind_blocks(data: bytes, at: int) -> int:
    while data[at]:
        at += 1 + data[at]
    return at + 1


def color_space(picture: Any) -> str:
    """Return the name of the color space of a picture; sRGB where it names none."""
    from PIL import ImageCms

    if profile := picture.info.get("icc_profile"):
        try:
            name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            name = ""
        return SRGB if name.lower().startswith("srgb") else name or "a profile of its own"
    return _INKS.get(picture.mode, SRGB)


def _depth(picture: Any) -> int:
    if picture.mode[0] in _DEEP_MODES:
        return _DEEP_MODES[picture.mode[0]]
    # Pillow opens a deep picture in colors as one of 8 bits.
    tiles = getattr(picture, "tile", ())
    layout = tiles[0][3] if tiles else ""
    raw = layout if isinstance(layout, str) else layout[0] if isinstance(layout, tuple) and layout else ""
    return 16 if isinstance(raw, str) and ";16" in raw else 8


def _sample_bits(context: Any) -> int:
    """Return the bits of a sample; 0 for codecs that keep no exact samples."""
    if context.name in ("flac", "alac"):
        return 16 if context.format.name.startswith("s16") else 24
    found = _PCM.match(context.name)
    return int(found[1]) if found else 0


# --- comparing --------------------------------------------------------------------------------------------------------


def _format(before: Traits, after: Traits) -> Iterator[str]:
    if before.format and after.format and before.format != after.format:
        yield f"format {before.format} → {after.format}"


def _frames(before: Traits, after: Traits) -> Iterator[str]:
    if before.pages > 1 and after.pages != before.pages:
        yield f"pages {before.pages} → {after.pages or 1} (send it as a file to keep all)"
    if not before.frames or not after.frames or before.frames == after.frames:
        return
    yield f"frames {before.frames} → {after.frames}{' (a still picture)' if after.frames == 1 else ''}"


def _times(before: Traits, after: Traits) -> Iterator[str]:
    one, other = before.times_ms, after.times_ms
    if one and len(one) == len(other):
        apart = max(abs(a - b) for a, b in zip(one, other, strict=True))
        if apart > TOLERANCES.frame_ms:
            yield f"frame times differ by up to {apart} ms"


def _length(before: Traits, after: Traits) -> Iterator[str]:
    one, other = before.duration_ms or sum(before.times_ms), after.duration_ms or sum(after.times_ms)
    allowed = max(TOLERANCES.length_ms, TOLERANCES.frame_ms * len(before.times_ms))
    if one and other and abs(one - other) > allowed:
        yield f"length {one / 1000:.1f} s → {other / 1000:.1f} s"


def _size(before: Traits, after: Traits) -> Iterator[str]:
    if not (before.width and before.height and after.width and after.height):
        return
    sides = (before.width - after.width, before.height - after.height)
    if max(map(abs, sides)) > TOLERANCES.side_pixels:
        yield f"{before.width} x {before.height} → {after.width} x {after.height} pixels"
    one, other = before.width / before.height, after.width / after.height
    # Of very small sides, rounding to whole pixels changes more than the shape.
    rounding = 2 / min(after.width, after.height)
    if abs(one / other - 1) > max(TOLERANCES.aspect, rounding):
        yield f"shape {one:.2f} : 1 → {other:.2f} : 1"


def _colors(before: Traits, after: Traits) -> Iterator[str]:
    if before.transfer and not after.transfer:
        yield f"{before.transfer} tone-mapped to {after.colors or 'standard range'}"
    elif before.colors and after.colors and before.colors != after.colors:
        yield f"color space {before.colors} → {after.colors}"
    if after.palette and not before.palette:
        yield "colors reduced to 256"


def _depths(before: Traits, after: Traits) -> Iterator[str]:
    if before.depth > after.depth > 0:
        yield f"{before.depth} bits → {after.depth} bits"


def _clear(before: Traits, after: Traits) -> Iterator[str]:
    if before.clear > after.clear:
        yield "transparency dropped, white behind it" if after.clear == NOT_CLEAR else "graded transparency → on or off"


def _sound(before: Traits, after: Traits) -> Iterator[str]:
    if before.sounds > 0 and after.sounds == 0:
        yield "sound dropped"
        return
    if before.sounds > after.sounds > 0:
        yield f"sound tracks {before.sounds} → {after.sounds}"
    if before.channels and after.channels and before.channels != after.channels:
        yield f"sound channels {before.channels} → {after.channels}"
    if before.rate > after.rate > 0:
        yield f"sound {before.rate} Hz → {after.rate} Hz"


def _subtitles(before: Traits, after: Traits) -> Iterator[str]:
    if before.subtitles > after.subtitles:
        yield "subtitles dropped"


_COMPARISONS: tuple[Callable[[Traits, Traits], Iterator[str]], ...] = (
    _format,
    _frames,
    _times,
    _length,
    _size,
    _colors,
    _depths,
    _clear,
    _sound,
    _subtitles,
)
