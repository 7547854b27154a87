"""Converts videos to MP4 with H.264 and AAC, which every phone plays; fitting streams are copied."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from msgspec.structs import replace

from yizhan.media.convert.containers import frames_of, opened
from yizhan.media.convert.protocol import THREADS, Conversion, ConversionLimits, Refusal
from yizhan.media.convert.shaping import BT709, LIMITED_RANGE, Look, Shaper
from yizhan.media.convert.traits import Traits, differences, film_traits
from yizhan.media.probe import probe
from yizhan.platforms.kit.media_rules import Recipe

MAX_SIDE = 1920
"""Pixels of the longer side of a re-encoded video."""
LEAST_BITS = 120_000
"""Bits a second; a video with less is not worth watching."""
AUDIO_BITS = 96_000
_PLAIN_PICTURES = ("yuv420p", "yuvj420p")
_PLAIN_SOUNDS = ("aac", "mp3")
_COVER_AT = 1.0
"""Seconds; many videos begin with black frames."""
_COVER_TRIES = 60
_LEAST_SHARE = 0.8
"""The share of the stated duration that must exist; some writers state a little too much."""
_TRIES = 4
"""Encodings of one video until it is small enough."""


def mp4(recipe: Recipe, source: Path, result: Path, limits: ConversionLimits, step: Any) -> Conversion:
    """Make an MP4 that plays everywhere. A small enough one that already does is unchanged."""
    step("open")
    with opened(source) as film:
        about = _SourceInfo(film, source, limits, recipe.number("seconds"))
        most, side = recipe.number("bytes"), recipe.number("side")
        small = (not most or about.size <= most) and (not side or max(about.width, about.height) <= side)
        if small and about.in_mp4 and about.picture_fits and about.sound_fits:
            _check_decodes(film, about, step)
            return Conversion(same=True, width=about.width, height=about.height, duration_ms=about.duration_ms)
        bits = _bits(most, about)
    copy = small and about.picture_fits
    for _ in range(_TRIES):
        changes = _write(source, result, limits, step, copy, side or MAX_SIDE, bits)
        made = result.stat().st_size
        if not most or made <= most:
            return Conversion(changes=changes)
        # What was asked for is only roughly kept, least of all by pictures full of noise.
        asked = bits or made * 8000 // max(1, about.duration_ms)
        copy, bits = False, max(LEAST_BITS // 4, asked * most * 4 // made // 5)
    raise Refusal(
        f"even made smaller it has {made} bytes, over {most}. Cut it, or send it as a file.",
        too_large=True,
        as_file=True,
    )


def _write(
    source: Path, result: Path, limits: ConversionLimits, step: Any, copy: bool, side: int, bits: int
) -> tuple[str, ...]:
    """Write the video and return the noticeable changes."""
    with opened(source) as film:
        with av.open(str(result), "w", format="mp4", options={"movflags": "faststart"}) as out:
            maker = _Transcoder(film, out, _SourceInfo(film, source, limits, 0), copy, side, bits, step)
            maker.run()
        before = maker.traits()
    return differences(before, _result_traits(result, shown=bool(before.width)))


def _result_traits(result: Path, *, shown: bool) -> Traits:
    """Return the traits of a video that was written. `shown`: its pictures were encoded, upright and square."""
    with av.open(str(result), format="mp4") as made:
        video = made.streams.video[0]
        size = (video.width, video.height) if shown else (0, 0)
        traits = film_traits(made, video, size, int((made.duration or 0) * 1000 // av.time_base))
        return replace(traits, format="mp4", frames=video.frames)


def cover(recipe: Recipe, source: Path, result: Path, limits: ConversionLimits, step: Any) -> Conversion:
    """Make a JPEG of a frame near the beginning."""
    from yizhan.media.convert import images

    step("open")
    with opened(source) as film:
        about = _SourceInfo(film, source, limits, 0)
        step("decode a picture")
        frame = _cover_frame(film, about)
        look = Look.of(about.video, frame)
        shaper = Shaper(about.video, frame, look.filters(look.shown_size, "yuv420p"))
        picture = next(shaper.shaped(frame)).to_image()
    return images.save_jpeg(picture, result, recipe.number("side", 480), recipe.number("bytes"), step)


class _SourceInfo:
    """The streams of a container and their measures."""

    def __init__(self, film: Any, source: Path, limits: ConversionLimits, most_seconds: int) -> None:
        self.video = next((one for one in film.streams.video if not _is_attached(one)), None)
        if self.video is None:
            raise Refusal("there is no moving picture in it. Send it as a voice or a file.", as_file=True)
        if self.video.codec_context is None:
            raise Refusal("there is no decoder for its pictures here. Convert it yourself first.", as_file=True)
        self.audio = next((one for one in film.streams.audio if one.codec_context is not None), None)
        self.size = source.stat().st_size
        self.width, self.height = self.video.width, self.video.height
        with source.open("rb") as file:
            found = probe(file, self.size)
        self.format = found.format
        # The head of a film that was written while it was recorded knows no length.
        self.duration_ms = int((film.duration or 0) * 1000 // av.time_base) or found.duration_ms
        self.start = Fraction(max(film.start_time or 0, 0), av.time_base)
        """Seconds of its own clock at its beginning; hours for some recordings."""
        self.in_mp4 = "mov" in film.format.name and _brand(source) != b"qt  "
        if self.width * self.height > limits.pixels or not self.width:
            raise Refusal(f"it has pictures of {self.width} x {self.height} pixels.", too_large=bool(self.width))
        most = min(most_seconds or limits.media_seconds, limits.media_seconds)
        if self.duration_ms > most * 1000 + 500:
            raise Refusal(
                f"it lasts {self.duration_ms // 1000} s, over {most} s. Cut it first.", too_large=True, as_file=True
            )

    @property
    def picture_fits(self) -> bool:
        assert self.video is not None
        context = self.video.codec_context
        return context.name == "h264" and context.pix_fmt in _PLAIN_PICTURES

    @property
    def sound_fits(self) -> bool:
        return self.audio is None or self.audio.codec_context.name in _PLAIN_SOUNDS


def _is_attached(stream: Any) -> bool:
    """Whether the stream is the cover of a music file: a video stream of one picture."""
    return bool(stream.disposition & stream.disposition.__class__.attached_pic)


def _brand(source: Path) -> bytes:
    with source.open("rb") as file:
        head = file.read(12)
    return head[8:12] if head[4:8] == b"ftyp" else b"qt  "


def _bits(most: int, about: _SourceInfo) -> int:
    """Return bits a second for the video stream so that the file stays below `most` bytes; 0 for constant quality."""
    if not most or about.size <= most or not about.duration_ms:
        return 0
    bits = most * 8 * 1000 * 9 // 10 // about.duration_ms - (AUDIO_BITS if about.audio else 0)
    if bits < LEAST_BITS:
        raise Refusal(
            f"{about.duration_ms // 1000} s of it cannot be shown in {most} bytes. Cut it, or send it as a file.",
            too_large=True,
            as_file=True,
        )
    return bits


def _check_decodes(film: Any, about: _SourceInfo, step: Any) -> None:
    step("decode a picture")
    if next(film.decode(about.video), None) is None:
        raise Refusal("no picture of it can be decoded. The file is broken; give another.")
    if about.duration_ms:
        step("look at its end")
        film.seek(about.duration_ms * 9 // 10 * 1000)
        _check_end(max((_milliseconds(packet) for packet in film.demux()), default=0), about)


def _check_end(reached_ms: int, about: _SourceInfo) -> None:
    """Refuse a video that states a longer duration than it has."""
    if reached_ms < about.duration_ms * _LEAST_SHARE:
        raise Refusal(
            f"it breaks off at {reached_ms / 1000:.1f} s of {about.duration_ms / 1000:.1f} s. The file is not whole; "
            "copy or download it again."
        )


def _milliseconds(packet: Any) -> int:
    """Return the end of a packet; 0 for the empty one at the end of a stream, and for one without a time."""
    if packet.pts is None or not packet.size:
        return 0
    return int((packet.pts + (packet.duration or 0)) * packet.time_base * 1000)


def _packets(film: Any, about: _SourceInfo, *streams: Any) -> Iterator[Any]:
    """Yield the packets of `streams`, with times from the beginning of the video."""
    for packet in film.demux([one for one in streams if one is not None]):
        if packet.size and about.start:
            early = int(about.start / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - early
            packet.dts = None if packet.dts is None else packet.dts - early
        yield packet


class _Transcoder:
    """Copies or encodes the streams of one video into another."""

    def __init__(
        self, film: Any, out: Any, about: _SourceInfo, copy_picture: bool, side: int, bits: int, step: Any
    ) -> None:
        self._film, self._out, self._about, self._step = film, out, about, step
        self._copy_picture = copy_picture
        self._copy_sound = about.audio is not None and about.sound_fits
        self._side, self._bits = side, bits
        self._shaper: Shaper | None = None
        self._look: Look | None = None
        self._pictures = self._picture_stream()
        self._sounds = self._sound_stream()
        self._resampler: Any = None
        self._count = 0
        self._seen = 0
        """Pictures of the source, without those that its edit list leaves out."""
        self._held: Any = None
        self._first = (0, 0)
        """When the first picture is shown and decoded, in units of its stream."""
        self._end = 0
        self._undated: list[Any] = []
        self._early: list[Any] = []
        """Audio packets before the first frame; the header of the container needs the size of that."""

    def run(self) -> None:
        about, reached = self._about, 0
        for packet in _packets(self._film, about, about.video, about.audio):
            if packet.pts is not None and about.duration_ms:
                done = float(packet.pts * packet.time_base) * 1000 / about.duration_ms
                self._step("copy" if self._copy_picture else "encode", min(done, 1.0))
                reached = max(reached, _milliseconds(packet))
            if packet.stream is about.video:
                self._picture(packet)
            else:
                self._sound(packet)
        if not self._count:
            raise Refusal("no picture of it can be decoded. The file is broken; give another.")
        _check_end(reached, about)
        self._flush()

    def _picture_stream(self) -> Any:
        about = self._about
        assert about.video is not None
        if self._copy_picture:
            return self._out.add_stream_from_template(about.video)
        rate = about.video.average_rate or about.video.guessed_rate or Fraction(25)
        rate = Fraction(rate) if 1 <= rate <= 60 else Fraction(30)
        options = {"preset": "veryfast", "crf": "23"}
        if self._bits:
            options = {"preset": "veryfast", "maxrate": str(self._bits), "bufsize": str(self._bits * 2)}
        stream = self._out.add_stream("libx264", rate=rate, options=options)
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = about.video.time_base
        stream.codec_context.thread_count = THREADS
        if self._bits:
            stream.bit_rate = self._bits
        return stream

    def _sound_stream(self) -> Any:
        if self._about.audio is None:
            return None
        if self._copy_sound:
            return self._out.add_stream_from_template(self._about.audio)
        mono = self._about.audio.codec_context.channels == 1
        stream = self._out.add_stream("aac", rate=48000, layout="mono" if mono else "stereo")
        stream.bit_rate = AUDIO_BITS
        # Opened at once: the container's head is written with the first packet, and wants to know every stream.
        stream.codec_context.open()
        return stream

    def _picture(self, packet: Any) -> None:
        self._seen += bool(packet.size and not packet.is_discard)
        if self._copy_picture:
            self._count += bool(packet.size)
            self._copied(packet, self._pictures)
            return
        for frame in frames_of(packet):
            for shaped in self._shaped(frame):
                self._count += 1
                self._mux(self._pictures.encode(shaped))

    def _sound(self, packet: Any) -> None:
        if self._copy_sound:
            self._copied(packet, self._sounds)
            return
        for frame in frames_of(packet):
            self._heard(frame)

    def _heard(self, frame: Any) -> None:
        context = self._sounds.codec_context
        if self._resampler is None:
            self._resampler = av.AudioResampler(context.format, context.layout, context.sample_rate, context.frame_size)
        for shaped in self._resampler.resample(frame):
            self._mux(self._sounds.encode(shaped))

    def _mux(self, packets: list[Any]) -> None:
        if self._shaper is None and not self._copy_picture:
            self._early += packets
            return
        for packet in (*self._early, *packets):
            self._put(packet)
        self._early.clear()

    def _put(self, packet: Any) -> None:
        """Write a packet. The last one of the pictures is held back, since it takes what is left of their length."""
        if packet.stream is not self._pictures or packet.pts is None:
            self._out.mux(packet)
            return
        if self._held is None:
            self._first = packet.pts, packet.dts
        else:
            self._out.mux(self._held)
        self._held = packet
        self._end = max(self._end, packet.pts + (packet.duration or 0))

    def _put_last(self) -> None:
        # The container adds up steps from packet to packet in the order of decoding, in which the picture that is shown
        # last may come early: at an uneven pace, the film would end too soon.
        if (last := self._held) is None:
            return
        pts, dts = self._first
        last.duration = max(last.duration or 0, self._end - pts - (last.dts - dts))
        self._out.mux(last)

    def _copied(self, packet: Any, stream: Any) -> None:
        if not packet.size:  # the end of a stream
            return
        packet.stream = stream
        if packet.dts is None:
            self._undated.append(packet)
            return
        # Some containers date the first packets only by when they are shown; they are read just before this one.
        for back, early in enumerate(reversed(self._undated), 1):
            early.dts = packet.dts - back * (packet.duration or 1)
        self._mux([*self._undated, packet])
        self._undated.clear()

    def traits(self) -> Traits:
        """Return the traits of the source; its size only if its pictures were decoded."""
        size = (0, 0)
        if self._look is not None:
            wide, high = self._look.shown_size
            size = (high, wide) if self._look.quarter else (wide, high)
        traits = film_traits(self._film, self._about.video, size, self._about.duration_ms)
        return replace(traits, format=self._about.format, frames=self._seen)

    def _shaped(self, frame: Any) -> Iterator[Any]:
        """Scale to even sides within the limit, turn upright, and convert to standard colors."""
        if self._shaper is None:
            self._shaper = self._make_shaper(frame)
        for shaped in self._shaper.shaped(frame):
            shaped.pict_type = 0
            yield shaped

    def _make_shaper(self, frame: Any) -> Shaper:
        self._look = look = Look.of(self._about.video, frame)
        width, height = self._fitting(*look.shown_size)
        self._pictures.width, self._pictures.height = (height, width) if look.quarter else (width, height)
        self._tag_colors(look)
        return Shaper(self._about.video, frame, look.filters((width, height), "yuv420p"))

    def _tag_colors(self, look: Look) -> None:
        """Tag the video with its color properties, original or converted."""
        made, source = self._pictures.codec_context, self._about.video.codec_context  # type: ignore[union-attr]
        made.color_range = LIMITED_RANGE
        if look.is_hdr:
            made.color_primaries = made.color_trc = made.colorspace = BT709
        else:
            made.color_primaries, made.color_trc = source.color_primaries, source.color_trc
            made.colorspace = source.colorspace

    def _fitting(self, width: int, height: int) -> tuple[int, int]:
        scale = min(1.0, self._side / max(width, height))
        if self._bits:
            # Few bits look better on fewer pixels: about a bit for ten of them, thirty times a second.
            scale = min(scale, max(0.2, (self._bits / 3 / (width * height)) ** 0.5))
        return tuple(max(2, round(edge * scale / 2) * 2) for edge in (width, height))  # type: ignore[return-value]

    def _flush(self) -> None:
        if not self._copy_picture:
            self._mux(self._pictures.encode(None))
        if self._sounds is not None and not self._copy_sound and self._resampler is not None:
            for shaped in self._resampler.resample(None):
                self._mux(self._sounds.encode(shaped))
            self._mux(self._sounds.encode(None))
        self._put_last()


def _cover_frame(film: Any, about: _SourceInfo) -> Any:
    """Return the first frame after a second, or the last of a shorter video."""
    found = None
    for tries, frame in enumerate(_decoded(film, about)):
        found = frame
        if tries >= _COVER_TRIES or (frame.time or 0) >= min(_COVER_AT, about.duration_ms / 2000):
            break
    if found is None:
        raise Refusal("no picture of it can be decoded. The file is broken; give another.")
    return found


def _decoded(film: Any, about: _SourceInfo) -> Iterator[Any]:
    for packet in _packets(film, about, about.video):
        yield from frames_of(packet)
