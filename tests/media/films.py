"""Films as phones, webcams and recorders make them, each made on the spot; and looking at one."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import av
from PIL import Image, ImageDraw

Color = tuple[int, int, int]

PATCHES: tuple[Color, ...] = ((20, 20, 20), (200, 30, 30), (30, 160, 40), (120, 120, 120))
"""Colors in four quarters: above left, above right, below left, below right."""


def quarters(width: int = 160, height: int = 96) -> Image.Image:
    """Return a picture of four colors, so that a turn, a mirror and a shifted color show."""
    picture = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(picture)
    for number, color in enumerate(PATCHES):
        left, top = number % 2 * width // 2, number // 2 * height // 2
        draw.rectangle((left, top, left + width // 2, top + height // 2), fill=color)
    return picture


def film(
    picture: Image.Image,
    *,
    form: str = "mp4",
    codec: str = "mpeg4",
    pixels: str = "yuv420p",
    times: Sequence[int] = range(10),
    aspect: Fraction | None = None,
    options: dict[str, str] | None = None,
    sounds: Sequence[tuple[str, str]] = (),
    **tags: Any,
) -> bytes:
    """Encode one picture again and again.

    `times`: when each frame is shown, in steps of 40 ms. `sounds`: codec and layout of each sound track, a tone of
    440 Hz. `tags`: attributes of the codec context (color_trc …).
    """
    out = io.BytesIO()
    with av.open(out, "w", format=form, options=options or {}) as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *picture.size, pixels
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if codec == "libx265":
            stream.codec_context.options = {"x265-params": "log-level=none"}
        else:
            stream.bit_rate = 4_000_000
        for name, value in tags.items():
            setattr(stream.codec_context, name, value)
        tracks = [(container.add_stream(name, rate=48000, layout=layout), layout) for name, layout in sounds]
        packets = []
        for number in times:
            frame = av.VideoFrame.from_image(picture).reformat(format=pixels, dst_color_range=tags.get("color_range"))
            frame.pts = number
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for track, layout in tracks:
            packets += _tone(track, layout, seconds=(max(times) + 1) / 25)
        for packet in packets:
            container.mux(packet)
    return out.getvalue()


def _tone(track: Any, layout: str, seconds: float) -> list[Any]:
    """Return the packets of a tone in every channel."""
    samples = (int(9000 * math.sin(2 * math.pi * 440 * at / 48000)) for at in range(int(seconds * 48000)))
    channels = av.AudioLayout(layout).nb_channels
    data = b"".join(struct.pack("<h", value) * channels for value in samples)
    frame = av.AudioFrame("s16", layout, len(data) // 2 // channels)
    frame.planes[0].update(data.ljust(frame.planes[0].buffer_size, b"\0"))
    frame.sample_rate, frame.pts = 48000, 0
    context = track.codec_context
    context.open()
    fitted = av.AudioResampler(context.format, layout, 48000, context.frame_size or 1024)
    pieces = [*fitted.resample(frame), *fitted.resample(None), None]
    return [packet for piece in pieces for packet in track.encode(piece)]


def light_film(signal: float, transfer: int, *, codec: str = "libx265", size: int = 64) -> bytes:
    """Return a film of one grey, `signal` from 0 to 1 of the 10-bit range, tagged as BT.2020 with `transfer`."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream: Any = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p10le"
        context = stream.codec_context
        context.options = {"x265-params": "log-level=none"}
        context.color_primaries, context.color_trc, context.colorspace = 9, transfer, 9
        for number in range(3):
            frame = av.VideoFrame(size, size, "yuv420p10le")
            for plane, value in zip(frame.planes, (64 + round(signal * 876), 512, 512), strict=True):
                plane.update(struct.pack("<H", value) * (plane.buffer_size // 2))
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def with_matrix(data: bytes, a: int, b: int, c: int, d: int) -> bytes:
    """Return an MP4 whose picture track has another display matrix; phones write one instead of turning pixels."""
    changed = bytearray(data)
    at = changed.index(b"tkhd") + 44
    one = 1 << 16
    struct.pack_into(">9i", changed, at, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    return bytes(changed)


def first_picture(data: bytes) -> tuple[Any, Image.Image]:
    """Return the picture stream of a film and its first picture, as stored."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(video=0))
        return stream, frame.to_image()


def corners(picture: Image.Image) -> list[Color]:
    """Return the color in the middle of each quarter, in the order of PATCHES."""
    width, height = picture.size
    places = ((x, y) for y in (height // 4, height * 3 // 4) for x in (width // 4, width * 3 // 4))
    return [picture.convert("RGB").getpixel(place) for place in places]  # type: ignore[misc]


def apart(one: list[Color], other: list[Color]) -> int:
    """Return the largest difference of a channel."""
    return max(abs(a - b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))
