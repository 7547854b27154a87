"""For tests of media: an index in memory, a library in a folder, and files of every format made on the spot."""

from __future__ import annotations

import io
import math
import struct
import tempfile
import wave
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from yizhan.media.blobs import open_blobs
from yizhan.media.library import Library
from yizhan.model import Media, Variant


@dataclass
class Row:
    media: Media
    added_at: float
    used_at: float
    needed: int = 0


class MemoryIndex:
    """The index without a store; `needed` is set by hand."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.variants: dict[tuple[str, str], Variant] = {}

    async def find(self, sha256: str) -> Media | None:
        return self.rows[sha256].media if sha256 in self.rows else None

    async def add(self, media: Media, at: float) -> None:
        if not await self.touch(media.sha256, at):
            self.rows[media.sha256] = Row(media, at, at)

    async def touch(self, sha256: str, at: float) -> bool:
        if sha256 in self.rows:
            self.rows[sha256].used_at = at
        return sha256 in self.rows

    async def all(self) -> list[Row]:
        return sorted(self.rows.values(), key=lambda row: (row.used_at, row.added_at))

    async def digests(self) -> set[str]:
        return set(self.rows)

    async def remove(self, sha256: str, unused_since: float) -> bool:
        row = self.rows.get(sha256)
        if row is None or row.needed or row.used_at > unused_since:
            return False
        del self.rows[sha256]
        self.variants = {k: v for k, v in self.variants.items() if sha256 not in (k[0], v.media.sha256)}
        return True

    async def variant(self, source: str, recipe: str) -> Variant | None:
        made = self.variants.get((source, recipe))
        return made if made and made.media.sha256 in self.rows else None

    async def add_variant(self, source: str, recipe: str, variant: Variant) -> None:
        self.variants[source, recipe] = variant


class HandClock:
    """A clock that tests turn."""

    def __init__(self, at: float = 1_000_000.0) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


def library_in(folder: Path, **more: Any) -> Library:
    return Library(open_blobs(folder / "media"), MemoryIndex(), more.pop("clock", HandClock()), **more)


def files_in(folder: Path) -> list[Path]:
    """Every file below a folder, finished or not."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


# --- files ------------------------------------------------------------------------------------------------------------


def picture(form: str, size: tuple[int, int] = (64, 48), **options: Any) -> bytes:
    """A picture with some structure in it, in a format that Pillow writes."""
    from PIL import Image

    image = Image.linear_gradient("L").resize(size).convert("RGB")
    image.paste((200, 30, 30), (0, 0, max(1, size[0] // 3), max(1, size[1] // 2)))
    if form.upper() == "GIF":
        image = image.convert("P")
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def animation(form: str = "GIF", frames: int = 3, size: tuple[int, int] = (40, 30)) -> bytes:
    from PIL import Image

    images = [Image.new("RGB", size, (80 * i % 256, 40, 255 - 60 * i % 256)) for i in range(frames)]
    out = io.BytesIO()
    images[0].save(out, form, save_all=True, append_images=images[1:], duration=100, loop=0)
    return out.getvalue()


def tone(seconds: float, rate: int = 24000, channels: int = 1) -> bytes:
    """Signed 16-bit samples of a 440 Hz tone."""
    samples = (int(9000 * math.sin(2 * math.pi * 440 * i / rate)) for i in range(int(seconds * rate)))
    return b"".join(struct.pack("<h", value) * channels for value in samples)


def wav(seconds: float = 1.0, rate: int = 24000, channels: int = 1) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(tone(seconds, rate, channels))
    return out.getvalue()


def silk(seconds: float = 1.0, tencent: bool = True) -> bytes:
    import pysilk

    out = io.BytesIO()
    pysilk.encode(io.BytesIO(tone(seconds)), out, 24000, 24000, tencent=tencent)
    return out.getvalue()


def sound(form: str, codec: str, seconds: float = 2.0, rate: int = 24000, **options: str) -> bytes:
    """A tone in a container and codec that PyAV writes."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=form, options=options) as container:
        stream = container.add_stream(codec, rate=rate, layout="mono")
        frame_size, samples = 960, tone(seconds, rate)
        fifo = av.AudioFifo()
        for at in range(0, len(samples), frame_size * 2):
            piece = samples[at : at + frame_size * 2]
            frame = av.AudioFrame("s16", "mono", len(piece) // 2)
            frame.planes[0].update(piece.ljust(frame.planes[0].buffer_size, b"\0"))
            frame.sample_rate, frame.pts = rate, at // 2
            fifo.write(frame)
        resampler = av.AudioResampler(
            stream.codec_context.format, "mono", rate, stream.codec_context.frame_size or frame_size
        )
        for frame in resampler.resample(fifo.read()):
            container.mux(stream.encode(frame))
        for frame in resampler.resample(None):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def film(
    form: str = "mp4", codec: str = "libx264", seconds: float = 1.0, size: tuple[int, int] = (96, 64), **options: Any
) -> bytes:
    """Moving colours, in a container and codec that PyAV writes; with `audio`, a tone beside them."""
    import av

    audio = options.pop("audio", None)
    out = io.BytesIO()
    with av.open(out, "w", format=form) as container:
        stream = container.add_stream(codec, rate=10, options=options.pop("options", {}))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        beside = container.add_stream(audio, rate=48000, layout="mono") if audio else None
        for i in range(int(seconds * 10)):
            frame = av.VideoFrame(*size, "yuv420p")
            for at, plane in enumerate(frame.planes):
                plane.update(bytes([(60 + 20 * at + 13 * i) % 256]) * plane.buffer_size)
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if beside is not None:
            resampler = av.AudioResampler(
                beside.codec_context.format, "mono", 48000, beside.codec_context.frame_size or 1024
            )
            samples = tone(seconds, 48000)
            frame = av.AudioFrame("s16", "mono", len(samples) // 2)
            frame.planes[0].update(samples.ljust(frame.planes[0].buffer_size, b"\0"))
            frame.sample_rate = 48000
            for piece in [*resampler.resample(frame), *resampler.resample(None)]:
                container.mux(beside.encode(piece))
            container.mux(beside.encode(None))
    return out.getvalue()


def zipped(*names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return out.getvalue()


def changed(media: Media, **fields: Any) -> Media:
    return msgspec.structs.replace(media, **fields)


def wav_of(samples: bytes, rate: int = 24000) -> bytes:
    """Wrap signed 16-bit samples of one channel."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return out.getvalue()


def noisy_film(seconds: float, size: tuple[int, int], form: str = "mp4") -> bytes:
    """A film that does not compress well."""
    import random

    import av

    chance, out = random.Random(1), io.BytesIO()
    with av.open(out, "w", format=form) as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "18", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for i in range(int(seconds * 10)):
            frame = av.VideoFrame(*size, "yuv420p")
            for plane in frame.planes:
                plane.update(chance.randbytes(plane.buffer_size))
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def recording(codec: str, begins_at: int = 0) -> bytes:
    """Two seconds of a transport stream as cameras and tuners write it: sound first, dated by a clock of its own."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="mpegts", options={"output_ts_offset": str(begins_at)}) as container:
        pictures, sounds = container.add_stream(codec, rate=25), container.add_stream("mp2", rate=48000, layout="mono")
        pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuv420p"
        fitted = av.AudioResampler(sounds.codec_context.format, "mono", 48000, 1152)
        samples = tone(2.0, 48000)
        heard = av.AudioFrame("s16", "mono", len(samples) // 2)
        heard.planes[0].update(samples.ljust(heard.planes[0].buffer_size, b"\0"))
        heard.sample_rate = 48000
        packets = [packet for piece in (*fitted.resample(heard), None) for packet in sounds.encode(piece)]
        for i in range(50):
            frame = av.VideoFrame(96, 64, "yuv420p")
            for plane in frame.planes:
                # The first half second is black.
                plane.update(bytes([0 if i < 13 else 60 + i]) * plane.buffer_size)
            frame.pts = i
            packets += pictures.encode(frame)
        for packet in (*packets, *pictures.encode(None)):
            container.mux(packet)
    return out.getvalue()


def faststart(film: bytes) -> bytes:
    """The same film with its index in front, as films stand on the web."""
    import av

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        with (
            av.open(io.BytesIO(film)) as source,
            av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as out,
        ):
            stream = out.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
        return path.read_bytes()


def turned(film: bytes, degrees: int) -> bytes:
    """The same MP4 or MOV with a display matrix, as phones write it: to be turned clockwise when shown."""
    at = film.index(b"tkhd") + 4 + 40
    one = 1 << 16
    a, b, c, d = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[degrees]
    return film[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + film[at + 36 :]


def red_left_film(form: str, codec: str) -> bytes:
    """A film whose left half is red and whose right half is blue."""
    import av
    from PIL import Image

    picture, out = Image.new("RGB", (96, 64), (0, 0, 255)), io.BytesIO()
    picture.paste((255, 0, 0), (0, 0, 48, 64))
    with av.open(out, "w", format=form) as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for i in range(10):
            frame = av.VideoFrame.from_image(picture).reformat(format="yuv420p")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()
