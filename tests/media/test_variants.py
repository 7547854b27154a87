"""Variants: whatever is handed over arrives playable, or is refused with size, type and step."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import struct
import zlib
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image as Pillow
from PIL import ImageChops, ImageStat

from tests.media import support as make
from tests.media.support import files_in, library_in
from yizhan.errors import MediaFormat, MediaTooLarge, Unsupported
from yizhan.media.convert import ConversionPool
from yizhan.media.variants import Variants
from yizhan.model import File, Image, Media, Message, Sticker, Text, Video, Voice, read_all
from yizhan.platforms.kit.media_rules import MediaRule

Data = Callable[[], bytes]


# One worker for the whole file: starting one takes longer than most of the tests.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool() -> AsyncIterator[ConversionPool]:
    made = ConversionPool(workers=1)
    yield made
    await made.close()


@pytest.fixture
def variants(tmp_path: Path, pool: ConversionPool) -> Variants:
    return Variants(library_in(tmp_path), pool)


async def convert(variants: Variants, data: bytes, recipe: str, name: str = "") -> tuple[Media, bytes]:
    made = await variants.variant(await variants.library.add(data, name=name), recipe)
    return made, await read_all(variants.library.open(made))


def difference(one: bytes, other: bytes) -> float:
    """How much two pictures differ once they have the same small size: 0 not at all, 255 black and white."""
    small = [Pillow.open(io.BytesIO(data)).convert("RGB").resize((24, 24)) for data in (one, other)]
    return max(ImageStat.Stat(ImageChops.difference(*small)).mean)


PICTURES: list[tuple[Data, str, str]] = [
    (lambda: make.picture("PNG"), "image;formats=jpeg", "jpeg"),
    (lambda: make.picture("PNG"), "image;formats=jpeg+png", "png"),
    (lambda: make.picture("JPEG"), "image;formats=png", "png"),
    (lambda: make.picture("GIF"), "image;formats=jpeg+png", "png"),
    (lambda: make.picture("GIF"), "image;formats=jpeg", "jpeg"),
    (lambda: make.picture("WEBP"), "image;formats=jpeg+png", "jpeg"),
    (lambda: make.picture("WEBP"), "image;formats=gif", "gif"),
    (lambda: make.picture("BMP"), "image;formats=jpeg+png", "png"),
    (lambda: make.picture("TIFF"), "image;formats=jpeg", "jpeg"),
    (lambda: make.picture("AVIF"), "image;formats=jpeg", "jpeg"),
    (lambda: make.animation("WEBP"), "image;formats=jpeg", "jpeg"),
    (lambda: make.picture("PNG", (1, 1)), "image;formats=jpeg", "jpeg"),
    (lambda: make.picture("PNG", (3000, 1)), "image;formats=jpeg", "jpeg"),
]


@pytest.mark.parametrize(("data", "recipe", "form"), PICTURES)
async def test_a_picture_looks_the_same_in_another_format(
    variants: Variants, data: Data, recipe: str, form: str
) -> None:
    before = data()
    made, after = await convert(variants, before, recipe)

    assert ("image", form) == (made.kind, made.format)
    assert Pillow.open(io.BytesIO(before)).size == (made.width, made.height)
    assert difference(before, after) < 12


MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"]


@pytest.mark.parametrize("mode", MODES)
async def test_every_mode_of_picture_becomes_a_plain_one(variants: Variants, mode: str) -> None:
    form = "TIFF" if mode in ("CMYK", "YCbCr", "F", "I", "PA", "LA") else "PNG"
    out = io.BytesIO()
    try:
        Pillow.linear_gradient("L").convert("RGB").convert(mode).save(out, form)
    except (ValueError, OSError):
        Pillow.linear_gradient("L").convert(mode).save(out, form)
    made, after = await convert(variants, out.getvalue(), "image;formats=jpeg")

    assert "RGB" == Pillow.open(io.BytesIO(after)).mode
    assert 256 == made.width


async def test_a_picture_with_more_than_eight_bits_keeps_its_greys(variants: Variants) -> None:
    deep = Pillow.new("I;16", (64, 64))
    deep.putdata([65535 * (i % 64) // 63 for i in range(64 * 64)])
    out = io.BytesIO()
    deep.save(out, "PNG")
    _, after = await convert(variants, out.getvalue(), "image;formats=jpeg")
    middle = Pillow.open(io.BytesIO(after)).convert("L").getpixel((32, 32))

    assert 130 == pytest.approx(middle, abs=6)


def lying(form: str = "JPEG", quality: int = 75) -> bytes:
    """Red above blue, as a phone that is held upright writes it: on its side, with a note."""
    picture = Pillow.new("RGB", (60, 40), (0, 0, 255))
    picture.paste((255, 0, 0), (0, 0, 20, 40))
    exif = Pillow.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    picture.save(out, form, exif=exif, quality=quality)
    return out.getvalue()


@pytest.mark.parametrize(
    ("form", "recipe"),
    [("JPEG", "image;formats=png"), ("JPEG", "check"), ("WEBP", "image;formats=jpeg"), ("TIFF", "image;formats=png")],
)
async def test_a_photograph_on_its_side_is_turned_upright(variants: Variants, form: str, recipe: str) -> None:
    made, after = await convert(variants, lying(form), recipe)
    upright = Pillow.open(io.BytesIO(after))

    assert (40, 60) == (made.width, made.height) == upright.size
    assert 0x0112 not in upright.getexif()
    assert upright.convert("RGB").getpixel((20, 5))[0] > 200
    assert upright.convert("RGB").getpixel((20, 55))[2] > 200


@pytest.mark.parametrize("quality", [30, 95])
async def test_a_photograph_grows_no_larger_by_being_turned(variants: Variants, quality: int) -> None:
    before = lying(quality=quality)
    made, _ = await convert(variants, before, "check")

    assert len(before) >= made.size


@pytest.mark.parametrize("recipe", ["check", "image;formats=png"])
async def test_a_broken_note_in_a_photograph_does_not_matter(variants: Variants, recipe: str) -> None:
    picture, exif, out = Pillow.new("RGB", (60, 40)), Pillow.Exif(), io.BytesIO()
    exif[0x0112], exif[0x0110] = 6, "a camera"
    picture.save(out, "JPEG", exif=exif)
    # The camera's name stands where a number belongs.
    broken = out.getvalue().replace(b"\x01\x10\x00\x02", b"\x01\x11\x00\x02")
    assert broken != out.getvalue()
    made, _ = await convert(variants, broken, recipe)

    assert (40, 60) == (made.width, made.height)


async def test_a_profile_of_inks_does_not_stay_with_colours(variants: Variants) -> None:
    out = io.BytesIO()
    Pillow.new("CMYK", (30, 20), (0, 200, 200, 0)).save(out, "JPEG", icc_profile=b"a profile for a printing press")
    for recipe in ("image;formats=jpeg;side=20", "image;formats=png", "thumb;side=10"):
        _, after = await convert(variants, out.getvalue(), recipe)

        assert "icc_profile" not in Pillow.open(io.BytesIO(after)).info


async def test_transparency_becomes_white_in_a_jpeg_and_stays_in_a_png(variants: Variants) -> None:
    clear = Pillow.new("RGBA", (50, 50), (255, 0, 0, 0))
    out = io.BytesIO()
    clear.save(out, "PNG")
    _, jpeg = await convert(variants, out.getvalue(), "image;formats=jpeg")
    out = io.BytesIO()
    clear.save(out, "WEBP", lossless=True)
    made, _ = await convert(variants, out.getvalue(), "image;formats=jpeg+png")

    assert min(Pillow.open(io.BytesIO(jpeg)).getpixel((25, 25))) > 250
    assert "png" == made.format


def noise(size: tuple[int, int]) -> bytes:
    out = io.BytesIO()
    Pillow.frombytes("RGB", size, os.urandom(size[0] * size[1] * 3)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("limit", [500_000, 60_000, 8_000])
async def test_a_picture_is_made_smaller_step_by_step_until_it_fits(variants: Variants, limit: int) -> None:
    made, _ = await convert(variants, noise((600, 500)), f"image;formats=jpeg;bytes={limit}")

    assert limit // 4 < made.size <= limit
    assert 600 / 500 == pytest.approx(made.width / made.height, rel=0.05)


async def test_a_side_is_kept_to(variants: Variants) -> None:
    made, _ = await convert(variants, make.picture("PNG", (900, 300)), "image;formats=jpeg;side=300")

    assert (300, 100) == (made.width, made.height)


async def test_a_limit_that_no_picture_keeps_is_refused_with_the_size_it_would_have(variants: Variants) -> None:
    with pytest.raises(MediaTooLarge, match=r"'encode at \d+ x \d+' failed: even at its smallest it has \d+ bytes"):
        await convert(variants, noise((300, 300)), "image;formats=jpeg;bytes=200")


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
async def test_an_animation_stays_one_where_gif_is_taken(variants: Variants, form: str) -> None:
    made, after = await convert(variants, make.animation(form, frames=5), "image;formats=gif+jpeg;side=20")
    picture = Pillow.open(io.BytesIO(after))

    assert ("gif", 5, 20) == (made.format, picture.n_frames, made.width)  # type: ignore[attr-defined]
    assert 100 == picture.info["duration"]


@pytest.mark.parametrize("data", [lambda: make.picture("PNG", (800, 600)), lambda: make.picture("JPEG", (800, 600))])
async def test_a_thumbnail_is_a_small_jpeg(variants: Variants, data: Data) -> None:
    before = data()
    made, after = await convert(variants, before, "thumb;side=120")

    assert ("jpeg", 120, 90) == (made.format, made.width, made.height)
    assert difference(before, after) < 12


def heard(data: bytes) -> tuple[float, float]:
    """Seconds and pitch in hertz of what a sound plays."""
    import av

    with av.open(io.BytesIO(data)) as container:
        resampler = av.AudioResampler("s16", "mono", 24000)
        samples = b""
        for frame in container.decode(audio=0):
            samples += b"".join(bytes(one.planes[0])[: one.samples * 2] for one in resampler.resample(frame))
    values = struct.unpack(f"<{len(samples) // 2}h", samples)
    middle = values[len(values) // 4 : len(values) * 3 // 4]
    crossings = sum(1 for a, b in pairwise(middle) if a < 0 <= b)
    return len(values) / 24000, crossings / (len(middle) / 24000)


def silk_as_wav(data: bytes) -> bytes:
    import pysilk

    out = io.BytesIO()
    pysilk.decode(io.BytesIO(data), out, 24000)
    return make.wav_of(out.getvalue())


SOUNDS: list[tuple[str, Data]] = [
    ("mp3", lambda: make.sound("mp3", "libmp3lame")),
    ("wav", lambda: make.wav(2.0)),
    ("stereo wav", lambda: make.wav(2.0, 44100, 2)),
    ("8 kHz wav", lambda: make.wav(2.0, 8000)),
    ("m4a", lambda: make.sound("ipod", "aac")),
    ("aac", lambda: make.sound("adts", "aac")),
    ("opus", lambda: make.sound("ogg", "libopus", rate=48000)),
    ("flac", lambda: make.sound("flac", "flac")),
    ("amr", lambda: make.sound("amr", "libopencore_amrnb", rate=8000)),
    ("weba", lambda: make.sound("webm", "libopus", rate=48000)),
    ("plain silk", lambda: make.silk(2.0, tencent=False)),
]


@pytest.mark.parametrize("data", [data for _, data in SOUNDS], ids=[name for name, _ in SOUNDS])
@pytest.mark.parametrize("rate", [24000, 16000])
async def test_any_sound_becomes_a_silk_of_the_same_length_and_pitch(variants: Variants, data: Data, rate: int) -> None:
    made, after = await convert(variants, data(), f"voice;format=silk;rate={rate}")
    seconds, pitch = heard(silk_as_wav(after))

    assert ("voice", "silk", b"\x02#!SILK_V3") == (made.kind, made.format, after[:10])
    assert 2000 == pytest.approx(made.duration_ms, rel=0.05)
    assert 2.0 == pytest.approx(seconds, rel=0.05)
    assert 440 == pytest.approx(pitch, rel=0.03)


@pytest.mark.parametrize("form", ["wav", "mp3", "ogg", "m4a", "amr"])
@pytest.mark.parametrize("data", [lambda: make.silk(2.0), lambda: make.silk(2.0, tencent=False)])
async def test_a_received_silk_can_be_heard_elsewhere(variants: Variants, data: Data, form: str) -> None:
    made, after = await convert(variants, data(), f"voice;format={form};rate=24000")
    seconds, pitch = heard(after)

    assert ("voice", form) == (made.kind, made.format)
    assert 2.0 == pytest.approx(seconds, rel=0.05)
    assert 440 == pytest.approx(pitch, rel=0.03)


async def test_a_sound_over_its_seconds_is_refused_although_its_header_says_less(variants: Variants) -> None:
    with pytest.raises(MediaTooLarge, match="lasts more than 1 s"):
        await convert(variants, make.wav(3.0), "voice;format=silk;seconds=1")


async def test_a_film_without_sound_is_no_voice(variants: Variants) -> None:
    with pytest.raises(MediaFormat, match="there is no sound in it"):
        await convert(variants, make.film(), "voice;format=silk")


HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAb5tZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAAADRpbG9j"
    "AAAAAERAAAIAAQAAAAAB4gABAAAAAAAAADcAAgAAAAACGQABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAAAAABAABodmMxAAAA"
    "ABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAAA/WlwcnAAAADdaXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNg"
    "AAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZE"
    "AcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGUAAAAAAAAAQAAAAEAAAAAoY2xhcAAAADwAAAABAAAAKAAAAAH////8AAAAAv///+gA"
    "AAACAAAAEHBpeGkAAAAAAwgICAAAABhpcG1hAAAAAAAAAAEAAQWBAgMFhAAAABppcmVmAAAAAAAAAA5jZHNjAAIAAQABAAAAY21kYXQAAAAz"
    "KAGvGYD3hEl/5yD+eRfwVJPO9NIPLUd9wIuIotqobuwvXpqphAWCPT4y0dNUssBOnRWAAAAABkV4aWYAAE1NACoAAAAIAAEBEgADAAAAAQAG"
    "AAAAAAAA"
)
"""60 x 40, red in its left third and blue beside it; stored as 64 x 64."""


async def test_a_heic_of_one_piece_is_shown_without_its_padding(variants: Variants) -> None:
    source = await variants.library.add(HEIC, name="IMG_0001.HEIC")
    made = await variants.variant(source, "image;formats=jpeg")
    picture = Pillow.open(io.BytesIO(await read_all(variants.library.open(made)))).convert("RGB")

    assert ("image", "heic", 60, 40) == (source.kind, source.format, source.width, source.height)
    assert ("IMG_0001.jpg", 60, 40) == (made.name, made.width, made.height)
    assert picture.getpixel((5, 20))[0] > 200
    assert picture.getpixel((55, 35))[2] > 200


FILMS: list[tuple[str, Data]] = [
    ("mov", lambda: make.film("mov", audio="aac")),
    ("mkv", lambda: make.film("matroska", audio="libopus")),
    ("webm", lambda: make.film("webm", "libvpx-vp9", audio="libopus")),
    ("avi", lambda: make.film("avi", "mpeg4")),
    ("flv", lambda: make.film("flv", "flv")),
    ("ts", lambda: make.film("mpegts")),
    ("3gp", lambda: make.film("3gp", "mpeg4")),
    ("mpeg4 in mp4", lambda: make.film("mp4", "mpeg4", audio="aac")),
    ("odd sides", lambda: make.film("avi", "mpeg4", size=(99, 67))),
]


@pytest.mark.parametrize("data", [data for _, data in FILMS], ids=[name for name, _ in FILMS])
async def test_any_film_becomes_an_mp4_that_plays_everywhere(variants: Variants, data: Data) -> None:
    import av

    before = data()
    made, after = await convert(variants, before, "mp4")
    with av.open(io.BytesIO(before)) as source:
        sounds = len(source.streams.audio)
    with av.open(io.BytesIO(after)) as film:
        frames = sum(1 for _ in film.decode(video=0))
        codecs = [stream.codec_context.name for stream in film.streams]

    assert ("video", "mp4") == (made.kind, made.format)
    assert 1000 == pytest.approx(made.duration_ms, abs=210)
    assert 10 == pytest.approx(frames, abs=1)
    assert ["h264", "aac"][: 1 + sounds] == codecs
    assert (96, 64) == pytest.approx((made.width, made.height), abs=4)
    assert after.index(b"moov") < after.index(b"mdat")


@pytest.mark.parametrize("audio", [None, "aac"])
async def test_a_film_that_fits_already_stays_as_it_is(variants: Variants, audio: str | None) -> None:
    before = make.film("mp4", audio=audio)
    source = await variants.library.add(before, name="a.mp4")

    assert source == await variants.variant(source, "mp4")
    assert source == await variants.variant(source, "mp4")


async def test_streams_that_fit_are_moved_over_not_encoded_again(variants: Variants) -> None:
    import av

    before = make.film("matroska", audio="aac")
    _, after = await convert(variants, before, "mp4")

    packets = []
    for data in (before, after):
        with av.open(io.BytesIO(data)) as film:
            packets.append([packet.size for packet in film.demux(video=0) if packet.size])
    assert packets[0] == pytest.approx(packets[1], abs=60)


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"], ids=["copied", "encoded"])
@pytest.mark.parametrize("begins_at", [0, 10_000])
async def test_a_recording_begins_at_once_with_any_clock_and_any_first_packet(
    variants: Variants, codec: str, begins_at: int
) -> None:
    import av

    source = await variants.library.add(make.recording(codec, begins_at), name="a.ts")
    made = await variants.variant(source, "mp4")
    cover = await variants.variant(source, "cover;side=96")
    with av.open(io.BytesIO(await read_all(variants.library.open(made)))) as film:
        begin = [float(stream.start_time * stream.time_base) for stream in film.streams]
        size = film.streams.video[0].width, film.streams.video[0].height
    picture = Pillow.open(io.BytesIO(await read_all(variants.library.open(cover)))).convert("L")

    assert 2000 == pytest.approx(made.duration_ms, rel=0.05)
    assert [0, 0] == pytest.approx(begin, abs=0.1)
    assert (96, 64) == size
    # The cover is from after the black beginning.
    assert picture.getpixel((48, 32)) > 40


async def test_a_film_with_an_unknown_codec_may_go_as_a_file(variants: Variants) -> None:
    strange = make.film("matroska").replace(b"V_MPEG4/ISO/AVC", b"V_NOBODY/KNOWS/")
    with pytest.raises(MediaFormat, match="no decoder for its pictures") as caught:
        await convert(variants, strange, "mp4")

    assert caught.value.as_file


async def test_a_film_over_its_bytes_is_made_smaller(variants: Variants) -> None:
    before = make.noisy_film(3.0, (320, 240))
    made, _ = await convert(variants, before, "mp4;bytes=150000")

    assert len(before) > 150_000 >= made.size
    assert 3000 == pytest.approx(made.duration_ms, rel=0.05)


async def test_a_film_that_cannot_be_shown_in_so_few_bytes_is_refused(variants: Variants) -> None:
    with pytest.raises(MediaTooLarge, match="cannot be shown in 1000 bytes"):
        await convert(variants, make.film("mp4", seconds=2.0), "mp4;bytes=1000")


@pytest.mark.parametrize("data", [data for _, data in FILMS], ids=[name for name, _ in FILMS])
async def test_a_cover_is_a_picture_of_the_film(variants: Variants, data: Data) -> None:
    import av

    before = data()
    made, after = await convert(variants, before, "cover;side=48", "clip.mov")
    with av.open(io.BytesIO(before)) as film:
        pictures = []
        for frame in film.decode(video=0):
            out = io.BytesIO()
            frame.to_image().save(out, "PNG")
            pictures.append(out.getvalue())

    assert ("jpeg", 48, "clip.jpg") == (made.format, made.width, made.name)
    assert min(difference(after, picture) for picture in pictures) < 12


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_bomb(width: int, height: int) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND", b"")


HOSTILE: list[tuple[str, Data, str, type[Exception], str]] = [
    ("pixels", lambda: png_bomb(60_000, 60_000), "image", MediaTooLarge, "'open' failed: it has 60000 x 60000 pixels"),
    ("missing rows", lambda: png_bomb(5_000, 5_000), "image", MediaFormat, "'decode' failed"),
    ("frames", lambda: make.animation("GIF", 1200, (8, 8)), "image;formats=gif", MediaTooLarge, "1200 frames"),
    ("cut png", lambda: make.picture("PNG")[:80], "image;formats=jpeg", MediaFormat, "'decode' failed"),
    ("only magic", lambda: b"\x89PNG\r\n\x1a\n", "image", MediaFormat, "cannot be read as a picture"),
    ("text as image", lambda: b"hello", "image", MediaFormat, "cannot be read as a picture"),
    (
        "postscript",
        lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "image",
        MediaFormat,
        "cannot be read",
    ),
    ("empty mp4", lambda: b"\0\0\0\x18ftypisom" + bytes(500), "mp4", MediaFormat, "'open' failed"),
    ("cut mp4", lambda: make.film("mp4")[:900], "mp4", MediaFormat, "'open' failed"),
    ("no picture", lambda: make.sound("mp4", "aac"), "mp4", MediaFormat, "no moving picture"),
    ("zip as mp4", lambda: make.zipped("a"), "mp4", MediaFormat, "no decoder for zip"),
    ("play list", lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "mp4", MediaFormat, "no decoder for txt"),
    ("concat list", lambda: b"ffconcat version 1.0\nfile /etc/hostname\n", "mp4", MediaFormat, "no decoder for txt"),
    ("silk magic", lambda: b"\x02#!SILK_V3", "voice;format=wav", MediaFormat, "no SILK frames"),
    ("silk lengths", lambda: b"\x02#!SILK_V3\xff\x7f" + bytes(99), "voice;format=wav", MediaFormat, "no SILK frames"),
    ("mp3 magic", lambda: b"ID3" + bytes(500), "voice;format=silk", MediaFormat, "failed"),
    ("heic magic", lambda: b"\0\0\0\x18ftypheic" + bytes(500), "image", MediaFormat, "no decoder here knows this HEIC"),
]


@pytest.mark.parametrize(("data", "recipe", "kind", "words"), [row[1:] for row in HOSTILE], ids=[r[0] for r in HOSTILE])
async def test_broken_and_hostile_bytes_are_refused_with_size_type_and_step(
    variants: Variants, tmp_path: Path, data: Data, recipe: str, kind: type[Exception], words: str
) -> None:
    before = data()
    with pytest.raises(kind) as caught:
        await convert(variants, before, recipe, "bad.bin")

    assert words in str(caught.value)
    assert f"{len(before)} bytes" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert 1 == len(files_in(tmp_path / "media"))


async def test_a_variant_is_made_once_however_many_ask(variants: Variants, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    plain = variants.pool.make

    async def counted(recipe: str, *rest: Any) -> Any:
        asked.append(recipe)
        return await plain(recipe, *rest)

    monkeypatch.setattr(variants.pool, "make", counted)
    source = await variants.library.add(make.wav(), name="你好.wav")
    made = await asyncio.gather(*(variants.variant(source, "voice;format=silk") for _ in range(20)))
    made.append(await variants.variant(source, "voice;format=silk"))
    made.append(await Variants(variants.library, variants.pool).variant(source, "voice;format=silk"))

    assert 1 == len({one.sha256 for one in made})
    assert ["voice;format=silk"] == asked
    assert {"你好.silk"} == {one.name for one in made}


async def test_a_refusal_is_not_tried_again(variants: Variants, monkeypatch: pytest.MonkeyPatch) -> None:
    source = await variants.library.add(b"\x89PNG\r\n\x1a\n", name="a.png")
    with pytest.raises(MediaFormat):
        await variants.variant(source, "image")
    monkeypatch.setattr(variants.pool, "make", None)

    with pytest.raises(MediaFormat, match="cannot be read as a picture"):
        await variants.variant(source, "image")


async def test_a_variant_that_was_dropped_is_made_again(variants: Variants) -> None:
    source = await variants.library.add(make.wav())
    made = await variants.variant(source, "voice;format=silk")
    await variants.library.blobs.delete(made.sha256)
    again = await variants.variant(source, "voice;format=silk")

    assert made == again
    assert made.size == len(await read_all(variants.library.open(again)))


async def test_no_recipe_means_the_media_themselves_and_an_unknown_one_is_refused(variants: Variants) -> None:
    source = await variants.library.add(make.wav())

    assert source is await variants.variant(source, "")
    with pytest.raises(Unsupported, match="no recipe"):
        await variants.variant(source, "voce")


async def test_progress_rises_to_the_end(variants: Variants) -> None:
    source = await variants.library.add(make.film("avi", "mpeg4", seconds=4.0))
    shares: list[float] = []
    await variants.variant(source, "mp4", shares.append)

    assert shares == sorted(shares)
    assert shares[-1] > 0.8


# --- whole messages ---

RULES: dict[type, MediaRule] = {
    Image: MediaRule("image", ("jpeg",), as_file=True),
    Sticker: MediaRule("image", ("gif",)),
    Voice: MediaRule("voice", ("silk",), max_seconds=2, as_file=True),
    Video: MediaRule("video", ("mp4",)),
}


def rule_of(segment: Any) -> MediaRule | None:
    return RULES.get(type(segment))


async def test_a_message_is_fitted_segment_by_segment(variants: Variants) -> None:
    add = variants.library.add
    image, voice = await add(make.picture("PNG"), name="图.png"), await add(make.wav(), name="声.wav")
    sticker, film = await add(make.animation("WEBP"), name="s.webp"), await add(make.film(), name="f.mp4")
    message = Message((Text("hi"), Image(image, "图.png"), Voice(voice), Sticker(sticker), Video(film), File(image)))
    fitted, notes = await variants.fitted(message, rule_of)
    text, one, two, three, four, five = fitted.segments

    assert Text("hi") == text
    assert ("图.jpg", "jpeg") == (one.name, one.media.format)  # type: ignore[union-attr]
    assert ("声.silk", "silk", 1000) == (two.name, two.media.format, two.media.duration_ms)  # type: ignore[union-attr]
    assert "gif" == three.media.format  # type: ignore[union-attr]
    assert film == four.media  # type: ignore[union-attr]
    assert File(image) == five
    assert (
        "converted 图.png: format png → jpeg, name 图.png → 图.jpg",
        "converted 声.wav: format wav → silk, name 声.wav → 声.silk",
        "converted s.webp: format webp → gif, colors reduced to 256",
    ) == notes


async def test_media_that_may_go_as_a_file_do_and_the_receipt_has_a_note(variants: Variants) -> None:
    long = await variants.library.add(make.wav(3.0), name="long.wav")
    foreign = await variants.library.add(b"\0\0\0\x18ftypheic" + bytes(500), name="foreign.heic")
    fitted, notes = await variants.fitted(Message((Voice(long), Image(foreign))), rule_of)

    assert [(File, "long.wav", "file"), (File, "foreign.heic", "file")] == [
        (type(one), one.name, one.media.kind)  # type: ignore[union-attr]
        for one in fitted.segments
    ]
    assert "lasts 3.0 s" in notes[0]
    assert "no decoder here knows this HEIC" in notes[1]


@pytest.mark.parametrize(
    ("segment", "data"),
    [
        (Image, lambda: b"\x89PNG\r\n\x1a\n"),
        (Image, lambda: make.picture("JPEG", (300, 200))[:900]),
        (Image, lambda: make.picture("PNG", (300, 200))[:-60]),
        (Voice, lambda: b"\x02#!SILK_V3\xff\x7f" + bytes(99)),
        (Voice, lambda: b"ID3\x04" + bytes(500)),
        (Video, lambda: make.film("mp4", seconds=3.0)[:-900]),
        (Video, lambda: make.faststart(make.noisy_film(3.0, (64, 48)))[:9000]),
        (Video, lambda: make.noisy_film(3.0, (64, 48), "matroska")[:9000]),
    ],
)
async def test_broken_media_are_refused_although_the_platform_takes_the_format(
    variants: Variants, segment: Any, data: Data
) -> None:
    broken = await variants.library.add(data(), name="broken.bin")

    with pytest.raises(
        (MediaFormat, MediaTooLarge), match=r"broken.bin \(\w+, \d+ bytes\) could not be converted: the step"
    ):
        await variants.fitted(Message((segment(broken),)), rule_of)


@pytest.mark.parametrize("silk", [True, False])
async def test_silk_goes_out_as_tencents(variants: Variants, silk: bool) -> None:
    source = await variants.library.add(make.silk(tencent=silk), name="a.silk")
    fitted, notes = await variants.fitted(Message((Voice(source),)), lambda _: MediaRule("voice", ("silk",)))
    (voice,) = fitted.segments

    assert isinstance(voice, Voice)
    data = await read_all(variants.library.open(voice.media))  # type: ignore[arg-type]
    assert b"\x02#!SILK_V3" == data[:10]
    assert () == notes


async def test_a_note_tells_that_a_picture_was_made_smaller(variants: Variants) -> None:
    large = await variants.library.add(noise((400, 300)), name="large.png")
    rule = MediaRule("image", ("jpeg",), soft_bytes=20_000, source="rules 2026")
    fitted, notes = await variants.fitted(Message((Image(large),)), lambda _: rule)
    (image,) = fitted.segments

    assert isinstance(image, Image)
    assert 20_000 >= image.media.size  # type: ignore[union-attr]
    assert f"made smaller for rules 2026: large.png (png, 400 x 300, {large.size} bytes) became" in notes[0]


async def test_a_variant_used_again_tells_the_same_changes(variants: Variants) -> None:
    source = await variants.library.add(make.animation("WEBP", 3), name="dance.webp")
    rule = MediaRule("image", ("jpeg", "png"), max_side=20)

    told = [
        (await one.fitted(Message((Image(source, "dance.webp"),)), lambda _: rule))[1]
        for one in (variants, variants, Variants(variants.library, variants.pool))
    ]

    assert 1 == len(set(told))
    assert (
        "format webp → jpeg, frames 3 → 1 (a still picture), 40 x 30 → 20 x 15 pixels, name dance.webp → dance.jpg"
    ) in told[0][0]


async def test_a_message_that_cannot_be_fitted_is_refused(variants: Variants) -> None:
    pdf = await variants.library.add(b"%PDF-1.7", name="a.pdf")
    with pytest.raises(MediaFormat, match="cannot go as video"):
        await variants.fitted(Message((Video(pdf),)), rule_of)


async def test_a_damaged_file_never_crashes_or_hangs_anything(variants: Variants) -> None:
    import random

    chance = random.Random(7)
    entrances = [
        (make.film("mp4", audio="aac"), "mp4"),
        (make.film("matroska", audio="libopus"), "mp4"),
        (make.film("avi", "mpeg4"), "cover;side=48"),
        (make.sound("mp3", "libmp3lame"), "voice;format=silk"),
        (make.sound("ogg", "libopus", rate=48000), "voice;format=silk"),
        (make.silk(), "voice;format=wav"),
        (make.animation("GIF"), "image;formats=gif"),
        (make.picture("WEBP"), "image;formats=jpeg"),
        (make.picture("TIFF"), "image;formats=jpeg"),
    ]
    ended = []
    for whole, recipe in entrances:
        for _ in range(12):
            data = bytearray(whole)
            for _ in range(chance.randint(1, 30)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            data = data[: chance.randrange(12, len(data))] if chance.random() < 0.3 else data
            try:
                await convert(variants, bytes(data), recipe)
            except (MediaFormat, MediaTooLarge) as error:
                ended += [str(error)] if "converter ended" in str(error) or "was not done" in str(error) else []

    assert [] == ended


@pytest.mark.parametrize("degrees", [90, 180, 270])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4"], ids=["copied", "encoded"])
async def test_a_film_on_its_side_is_shown_upright(variants: Variants, codec: str, degrees: int) -> None:
    before = make.turned(make.red_left_film("mov", codec), degrees)
    source = await variants.library.add(before)
    made = await variants.variant(source, "mp4")
    upright = (64, 96) if degrees in (90, 270) else (96, 64)
    red = {90: (32, 10), 180: (86, 32), 270: (32, 86)}[degrees]

    assert upright == (source.width, source.height) == (made.width, made.height)
    for film in (source, made):
        cover = await variants.variant(film, "cover;side=96")
        picture = Pillow.open(io.BytesIO(await read_all(variants.library.open(cover)))).convert("RGB")
        assert upright == picture.size
        assert picture.getpixel(red)[0] > 200
