"""Converts sounds that FFmpeg or SILK decodes to formats that platforms play."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
from msgspec.structs import replace

from yizhan.media.convert.containers import frames_of, opened
from yizhan.media.convert.protocol import Conversion, ConversionLimits, Refusal
from yizhan.media.convert.traits import Traits, differences, sound_traits
from yizhan.media.probe import Findings, probe
from yizhan.platforms.kit.media_rules import Recipe

_SILK, _TENCENT, _SILK_END = b"#!SILK_V3", b"\x02", b"\xff\xff"
_SILK_FRAME_MS = 20
SILK_RATES = (8000, 12000, 16000, 24000, 32000, 44100, 48000)
SILK_BITS = 24_000
"""Bits a second, as in voices recorded by WeChat."""
# By our name of the format: container, codec, sample rates of the codec (the first is the default), bits a second.
_ENCODERS: dict[str, tuple[str, str, tuple[int, ...], int]] = {
    "mp3": ("mp3", "libmp3lame", (24000, 44100, 48000, 16000), 64_000),
    "ogg": ("ogg", "libopus", (48000,), 32_000),
    "m4a": ("ipod", "aac", (44100, 48000, 24000), 64_000),
    "amr": ("amr", "libopencore_amrnb", (8000,), 12_200),
}


def voice(recipe: Recipe, source: Path, result: Path, limits: ConversionLimits, step: Any) -> Conversion:
    """Convert a sound to the format of the recipe (`silk`, `wav`, `mp3`, `ogg`, `m4a` or `amr`), in one channel."""
    form = recipe.options.get("format", "silk")
    most = min(recipe.number("seconds") or limits.media_seconds, limits.media_seconds)
    limit = recipe.number("bytes")
    if form == "silk" and _is_silk(source):
        return _copied_silk(source, result, most, limit, step)
    rate = _rate(form, recipe.number("rate", 24000))
    sound = _Sound(source, rate, step)
    made = _WRITERS.get(form, _encode)(form, _limited(sound.samples(), rate, most), rate, result, step)
    if limit and result.stat().st_size > limit:
        raise Refusal(
            f"as {form} it has {result.stat().st_size} bytes, over {limit}. Cut it first.", too_large=True, as_file=True
        )
    return replace(made, changes=differences(sound.traits, _result_traits(form, result, rate)))


def _result_traits(form: str, result: Path, rate: int) -> Traits:
    length = _probed(result).duration_ms
    if form == "silk":
        return Traits(format=form, duration_ms=length, channels=1, rate=rate)
    with opened(result) as made:
        return replace(sound_traits(made), format=form, duration_ms=length)


def _probed(file: Path) -> Findings:
    with file.open("rb") as opened_file:
        return probe(opened_file, file.stat().st_size)


def check(recipe: Recipe, source: Path, result: Path, limits: ConversionLimits, step: Any) -> Conversion:
    """Decode a sound, within the seconds and bytes of the recipe. Plain SILK becomes Tencent's, which platforms play.

    Raises:
        Refusal: it contains no sound, or it is too long or too large.
    """
    most = min(recipe.number("seconds") or limits.media_seconds, limits.media_seconds)
    if _is_silk(source):
        return _copied_silk(source, result, most, recipe.number("bytes"), step)
    for _ in _limited(_Sound(source, 8000, step).samples(), 8000, most):
        pass
    return Conversion(same=True)


def _is_silk(source: Path) -> bool:
    with source.open("rb") as file:
        return _SILK in file.read(len(_SILK) + 1)


def _copied_silk(source: Path, result: Path, seconds: int, limit: int, step: Any) -> Conversion:
    """Keep the whole frames of SILK, marked as Tencent's, which is what the platforms play.

    As the encoder writes it, SILK differs from Tencent's in its first byte and its end mark only.

    Raises:
        Refusal: it has no frames, or it is too long or too large.
    """
    step("check SILK")
    data = source.read_bytes()
    start = data.index(_SILK) + len(_SILK)
    sound, frames = _whole_frames(data[start:])
    rest = data[start + len(sound) :]
    if not frames:
        raise Refusal("it has no SILK frames.")
    if frames * _SILK_FRAME_MS > seconds * 1000 + 500:
        raise Refusal(f"it lasts more than {seconds} s. Cut it, or send it as a file.", too_large=True, as_file=True)
    marked = _TENCENT + _SILK + sound
    if limit and len(marked) > limit:
        raise Refusal(f"as silk it has {len(marked)} bytes, over {limit}. Cut it first.", too_large=True, as_file=True)
    if data.startswith(_TENCENT) and rest in (b"", _SILK_END):
        return Conversion(same=True)
    result.write_bytes(marked)
    torn = ("torn end dropped",) if rest not in (b"", _SILK_END) else ()
    return Conversion(duration_ms=frames * _SILK_FRAME_MS, changes=torn)


def _rate(form: str, wanted: int) -> int:
    rates = _ENCODERS[form][2] if form in _ENCODERS else SILK_RATES
    if form not in ("silk", "wav", *_ENCODERS):
        raise Refusal(f"no sound can be made into '{form}'.")
    return wanted if wanted in rates else rates[0] if form in _ENCODERS else 24000


class _Sound:
    """A sound that is decoded to signed 16-bit samples of one channel. `traits` are known once it is open."""

    def __init__(self, source: Path, rate: int, step: Any) -> None:
        self._source, self._rate, self._step = source, rate, step
        found = _probed(source)
        self.traits = Traits(format=found.format, duration_ms=found.duration_ms, channels=1)

    def samples(self) -> Iterator[bytes]:
        if _is_silk(self._source):
            yield from _from_silk(self._source, self._rate, self._step)
            return
        self._step("open")
        with opened(self._source) as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None:
                raise Refusal("there is no sound in it. Give a sound, or send it as a file.", as_file=True)
            total = (container.duration or 0) / av.time_base
            length = self.traits.duration_ms or int(total * 1000)
            self.traits = replace(sound_traits(container), format=self.traits.format, duration_ms=length)
            yield from self._resampled(container, stream, total)

    def _resampled(self, container: Any, stream: Any, total: float) -> Iterator[bytes]:
        resampler = av.AudioResampler("s16", "mono", self._rate)
        done = 0
        for packet in container.demux(stream):
            for frame in frames_of(packet):
                for piece in resampler.resample(frame):
                    done += piece.samples
                    self._step("decode", done / self._rate / total * 0.9 if total else 0.0)
                    yield bytes(piece.planes[0])[: piece.samples * 2]
        for piece in resampler.resample(None):
            yield bytes(piece.planes[0])[: piece.samples * 2]


def _from_silk(source: Path, rate: int, step: Any) -> Iterator[bytes]:
    import pysilk

    step("check SILK")
    data = source.read_bytes()
    start = data.index(_SILK) + len(_SILK)
    sound, frames = _whole_frames(data[start:])
    if not frames:
        raise Refusal("it has no SILK frames.")
    step("decode SILK")
    out = io.BytesIO()
    pysilk.decode(io.BytesIO(_TENCENT + _SILK + sound), out, rate)
    yield out.getvalue()


def _whole_frames(data: bytes) -> tuple[bytes, int]:
    """Return the frames up to the end mark or the first broken one: the decoder trusts the lengths that it reads."""
    at, count = 0, 0
    while at + 2 <= len(data):
        length = int.from_bytes(data[at : at + 2], "little", signed=True)
        if not 0 < length <= 1250 or at + 2 + length > len(data):
            break
        at += 2 + length
        count += 1
    return data[:at], count


def _limited(samples: Iterator[bytes], rate: int, seconds: int) -> Iterator[bytes]:
    count = 0
    for piece in samples:
        count += len(piece) // 2
        # Encoders pad both ends; the padding does not make a sound too long.
        if count > (seconds + 0.5) * rate:
            raise Refusal(
                f"it lasts more than {seconds} s. Cut it, or send it as a file.", too_large=True, as_file=True
            )
        yield piece
    if not count:
        raise Refusal("no sound could be decoded. The file is broken; give another.")


def _to_silk(_form: str, samples: Iterator[bytes], rate: int, result: Path, step: Any) -> Conversion:
    import pysilk

    sound = b"".join(samples)
    frame = rate * _SILK_FRAME_MS // 1000 * 2
    # The encoder drops an incomplete last frame.
    sound += bytes(-len(sound) % frame)
    step("encode SILK", 0.9)
    with result.open("wb") as out:
        pysilk.encode(io.BytesIO(sound), out, rate, SILK_BITS, tencent=True)
    return Conversion(duration_ms=len(sound) * 500 // rate)


def _to_wav(_form: str, samples: Iterator[bytes], rate: int, result: Path, _step: Any) -> Conversion:
    count = 0
    with wave.open(str(result), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        for piece in samples:
            out.writeframes(piece)
            count += len(piece) // 2
    return Conversion(duration_ms=count * 1000 // rate)


def _encode(form: str, samples: Iterator[bytes], rate: int, result: Path, step: Any) -> Conversion:
    container_format, codec, _, bits = _ENCODERS[form]
    count = 0
    with av.open(str(result), "w", format=container_format) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout="mono")
        stream.bit_rate = bits
        stream.codec_context.open()
        resampler = av.AudioResampler(
            stream.codec_context.format, "mono", rate, stream.codec_context.frame_size or 1024
        )
        for piece in samples:
            frame = frame_of(piece, rate, count)
            count += len(piece) // 2
            for shaped in resampler.resample(frame):
                container.mux(stream.encode(shaped))
        for shaped in resampler.resample(None):
            container.mux(stream.encode(shaped))
        container.mux(stream.encode(None))
    step("encode", 1.0)
    return Conversion(duration_ms=count * 1000 // rate)


def frame_of(samples: bytes, rate: int, at: int) -> Any:
    """Wrap signed 16-bit samples of one channel."""
    frame = av.AudioFrame("s16", "mono", len(samples) // 2)
    frame.planes[0].update(samples.ljust(frame.planes[0].buffer_size, b"\0"))
    frame.sample_rate, frame.pts = rate, at
    return frame


_WRITERS = {"silk": _to_silk, "wav": _to_wav}
