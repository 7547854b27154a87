"""What a person would notice of a conversion: colors, turns, shapes, frames and their times. Before against after."""

from __future__ import annotations

import io
import math
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path

import pysilk
import pytest
import pytest_asyncio
from PIL import Image, ImageCms, PngImagePlugin

from tests.media.films import PATCHES, apart, corners, film, first_picture, light_film, quarters, with_matrix
from yizhan.errors import MediaFormat, MediaTooLarge
from yizhan.media.convert import ConversionPool
from yizhan.media.convert.protocol import Conversion
from yizhan.media.convert.tolerances import TOLERANCES
from yizhan.media.convert.traits import Traits, differences, gif_times

PngImagePlugin.MAX_TEXT_CHUNK = 64 << 20
COLORS_APART, GREY_APART = TOLERANCES.color_levels, TOLERANCES.gray_levels


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool() -> AsyncIterator[ConversionPool]:
    pool = ConversionPool(workers=1)
    yield pool
    await pool.close()


class Converted:
    """A conversion's result: its bytes, and what it says of itself."""

    def __init__(self, data: bytes, conversion: Conversion) -> None:
        self.data, self.conversion = data, conversion

    @property
    def picture(self) -> Image.Image:
        return Image.open(io.BytesIO(self.data))


async def convert(pool: ConversionPool, folder: Path, recipe: str, data: bytes) -> Converted:
    source, result = folder / "source", folder / "result"
    source.write_bytes(data)
    conversion = await pool.make(recipe, source, result, "the sample")
    return Converted(data if conversion.same else result.read_bytes(), conversion)


# --- films ------------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("form", "codec", "pixels"),
    [("mp4", "mpeg4", "yuv420p"), ("avi", "mjpeg", "yuvj420p"), ("mp4", "libx265", "yuv420p10le")],
)
async def test_a_film_encoded_anew_keeps_its_colors(
    pool: ConversionPool, tmp_path: Path, form: str, codec: str, pixels: str
) -> None:
    made = await convert(pool, tmp_path, "mp4", film(quarters(), form=form, codec=codec, pixels=pixels))

    stream, picture = first_picture(made.data)
    assert ("h264", "yuv420p") == (stream.codec_context.name, stream.codec_context.pix_fmt)
    assert apart(list(PATCHES), corners(picture)) <= COLORS_APART


ABOVE_LEFT, ABOVE_RIGHT, BELOW_LEFT, BELOW_RIGHT = PATCHES


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("matrix", "shown"),
    [
        ((1, 0, 0, 1), [ABOVE_LEFT, ABOVE_RIGHT, BELOW_LEFT, BELOW_RIGHT]),
        ((-1, 0, 0, 1), [ABOVE_RIGHT, ABOVE_LEFT, BELOW_RIGHT, BELOW_LEFT]),
        ((1, 0, 0, -1), [BELOW_LEFT, BELOW_RIGHT, ABOVE_LEFT, ABOVE_RIGHT]),
        ((-1, 0, 0, -1), [BELOW_RIGHT, BELOW_LEFT, ABOVE_RIGHT, ABOVE_LEFT]),
        ((0, 1, -1, 0), [BELOW_LEFT, ABOVE_LEFT, BELOW_RIGHT, ABOVE_RIGHT]),
        ((0, -1, 1, 0), [ABOVE_RIGHT, BELOW_RIGHT, ABOVE_LEFT, BELOW_LEFT]),
        ((0, 1, 1, 0), [ABOVE_LEFT, BELOW_LEFT, ABOVE_RIGHT, BELOW_RIGHT]),
        ((0, -1, -1, 0), [BELOW_RIGHT, ABOVE_RIGHT, BELOW_LEFT, ABOVE_LEFT]),
    ],
)
async def test_a_turned_or_mirrored_film_and_its_cover_are_shown_upright(
    pool: ConversionPool, tmp_path: Path, matrix: tuple[int, int, int, int], shown: list[tuple[int, int, int]]
) -> None:
    data = with_matrix(film(quarters()), *matrix)
    made = await convert(pool, tmp_path, "mp4", data)
    cover = await convert(pool, tmp_path, "cover;side=160", data)

    size = (96, 160) if matrix[0] == 0 else (160, 96)
    assert (size, size) == (first_picture(made.data)[1].size, cover.picture.size)
    assert apart(shown, corners(first_picture(made.data)[1])) <= COLORS_APART
    assert apart(shown, corners(cover.picture)) <= COLORS_APART


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(4, 3), (214, 96)), (Fraction(1, 2), (160, 192)), (Fraction(1, 1), (160, 96))]
)
async def test_a_film_of_oblong_pixels_keeps_its_shape(
    pool: ConversionPool, tmp_path: Path, aspect: Fraction, size: tuple[int, int]
) -> None:
    data = film(quarters(), aspect=aspect)
    made = await convert(pool, tmp_path, "mp4", data)
    cover = await convert(pool, tmp_path, "cover;side=400", data)

    stream, picture = first_picture(made.data)
    assert abs(picture.width - size[0]) <= 2
    assert size[1] == picture.height
    assert (stream.sample_aspect_ratio or 1) == 1
    assert abs(cover.picture.width - size[0]) <= 2
    assert abs(cover.picture.height - size[1]) <= 2


PQ, HLG = 16, 18


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("transfer", "signal", "grey"),
    [
        (PQ, 0.0, 0),
        (PQ, 0.5081, 190),  # 100 nits
        (PQ, 0.5807, 242),  # 203 nits, the white of standard pictures
        (PQ, 0.7518, 255),  # 1,000 nits
        (PQ, 1.0, 255),
        (HLG, 0.0, 0),
        (HLG, 0.5, 143),  # 51 nits
        (HLG, 0.75, 242),  # 203 nits
        (HLG, 1.0, 255),
    ],
)
async def test_hdr_light_becomes_the_grey_that_standard_screens_show(
    pool: ConversionPool, tmp_path: Path, transfer: int, signal: float, grey: int
) -> None:
    made = await convert(pool, tmp_path, "mp4", light_film(signal, transfer))

    stream, picture = first_picture(made.data)
    context = stream.codec_context
    assert (1, 1, 1, 1) == (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
    name = "PQ" if transfer == PQ else "HLG"
    assert (f"{name} tone-mapped to BT.709", "10 bits → 8 bits") == made.conversion.changes
    assert apart([(grey, grey, grey)], [picture.getpixel((32, 32))]) <= GREY_APART  # type: ignore[list-item]


# --- pictures ---------------------------------------------------------------------------------------------------------

TIMES = [40, 500, 100, 60, 1000, 40]


def animation(form: str, **options: object) -> bytes:
    frames = [Image.new("RGB", (80, 60), (i * 40, 0, 255 - i * 40)) for i in range(len(TIMES))]
    out = io.BytesIO()
    more = {"lossless": True} if form == "WEBP" else {}
    frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=TIMES, **more, **options)
    return out.getvalue()


def frame_times(picture: Image.Image) -> list[int]:
    times = []
    for index in range(picture.n_frames):  # type: ignore[attr-defined]
        picture.seek(index)
        picture.load()
        times.append(int(picture.info["duration"]))
    return times


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("form", ["WEBP", "AVIF", "PNG", "GIF"])
@pytest.mark.parametrize("recipe", ["image;formats=gif", "image;animated=gif;formats=jpeg+png"])
async def test_every_frame_of_an_animation_keeps_its_time(
    pool: ConversionPool, tmp_path: Path, form: str, recipe: str
) -> None:
    made = await convert(pool, tmp_path, recipe, animation(form, loop=0))

    assert ("GIF", TIMES) == (made.picture.format, frame_times(made.picture))
    names = {"PNG": "apng", "WEBP": "webp", "AVIF": "avif"}
    said = () if form == "GIF" else (f"format {names[form]} → gif", "colors reduced to 256")
    assert said == made.conversion.changes


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("form", "loop", "repeats"), [("PNG", 0, 0), ("PNG", 3, 2), ("WEBP", 3, 2), ("GIF", 3, 3)])
async def test_an_animation_repeats_as_often_as_before(
    pool: ConversionPool, tmp_path: Path, form: str, loop: int, repeats: int
) -> None:
    made = await convert(pool, tmp_path, "image;formats=gif;side=40", animation(form, loop=loop))

    assert repeats == made.picture.info["loop"]


@pytest.mark.asyncio(loop_scope="module")
async def test_an_animation_that_plays_once_does_not_repeat(pool: ConversionPool, tmp_path: Path) -> None:
    made = await convert(pool, tmp_path, "image;formats=gif", animation("PNG", loop=1))

    assert "loop" not in made.picture.info


@pytest.mark.asyncio(loop_scope="module")
async def test_a_note_tells_that_an_animation_became_a_still(pool: ConversionPool, tmp_path: Path) -> None:
    made = await convert(pool, tmp_path, "image;formats=jpeg+png", animation("WEBP", loop=0))

    assert ("format webp → jpeg", "frames 6 → 1 (a still picture)") == made.conversion.changes


@pytest.mark.asyncio(loop_scope="module")
async def test_a_note_tells_the_pages_of_a_tiff_that_were_left_out(pool: ConversionPool, tmp_path: Path) -> None:
    pages, out = [Image.new("RGB", (30, 20), (i * 90, 0, 0)) for i in range(3)], io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:])
    made = await convert(pool, tmp_path, "image;formats=jpeg+png", out.getvalue())

    assert ("format tiff → png", "pages 3 → 1 (send it as a file to keep all)") == made.conversion.changes


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("mode", "values", "greys"),
    [
        ("I;16", (0, 128, 65535), (0, 0, 255)),
        ("I;16", (0, 100, 200), (0, 0, 1)),
        ("I", (0, 32768, 65535), (0, 128, 255)),
        ("F", (0.0, 0.5, 1.0), (0, 128, 255)),
        ("F", (0.0, 127.5, 255.0), (0, 128, 255)),
    ],
)
async def test_deep_pictures_keep_their_shades(
    pool: ConversionPool, tmp_path: Path, mode: str, values: tuple[float, ...], greys: tuple[int, ...]
) -> None:
    deep, out = Image.new(mode, (len(values), 1)), io.BytesIO()
    for at, value in enumerate(values):
        deep.putpixel((at, 0), value)
    deep.save(out, "TIFF")
    made = await convert(pool, tmp_path, "image;formats=png", out.getvalue())

    seen = [made.picture.convert("L").getpixel((at, 0)) for at in range(len(values))]
    assert all(abs(one - other) <= 1 for one, other in zip(greys, seen, strict=True)), seen  # type: ignore[operator]
    assert ("format tiff → png", f"{32 if mode == 'F' else 16} bits → 8 bits") == made.conversion.changes


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("recipe", ["check", "image;formats=png;side=60", "thumb;side=60", "image;formats=jpeg"])
@pytest.mark.parametrize(
    ("orientation", "shown"),
    [
        (2, [ABOVE_RIGHT, ABOVE_LEFT, BELOW_RIGHT, BELOW_LEFT]),
        (6, [BELOW_LEFT, ABOVE_LEFT, BELOW_RIGHT, ABOVE_RIGHT]),
    ],
)
async def test_a_picture_on_its_side_is_set_upright_in_every_format(
    pool: ConversionPool, tmp_path: Path, form: str, recipe: str, orientation: int, shown: list[tuple[int, int, int]]
) -> None:
    picture, out = quarters(), io.BytesIO()
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(out, form, exif=exif, **({"quality": 95} if form in ("JPEG", "WEBP") else {}))
    made = await convert(pool, tmp_path, recipe, out.getvalue())

    assert apart(shown, corners(made.picture)) <= COLORS_APART
    assert 1 == made.picture.getexif().get(0x0112, 1)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("recipe", ["check", "image;formats=png;side=20", "image;formats=jpeg"])
async def test_a_png_with_large_text_and_profile_is_sound(pool: ConversionPool, tmp_path: Path, recipe: str) -> None:
    more, out = PngImagePlugin.PngInfo(), io.BytesIO()
    more.add_itxt("workflow", "x" * 1_500_000, zip=True)
    more.add_text("prompt", "y" * 1_200_000, zip=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().ljust(1_500_000, b"\0")
    Image.new("RGB", (30, 20), (1, 2, 200)).save(out, "PNG", pnginfo=more, icc_profile=profile)
    made = await convert(pool, tmp_path, recipe, out.getvalue())

    assert apart([(1, 2, 200)], [made.picture.convert("RGB").getpixel((5, 5))]) <= COLORS_APART  # type: ignore[list-item]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_profile_goes_along_with_its_colors(pool: ConversionPool, tmp_path: Path) -> None:
    profile, out = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), io.BytesIO()
    Image.new("RGB", (200, 100), (1, 2, 200)).save(out, "PNG", icc_profile=profile)

    for recipe in ("image;formats=png;side=60", "image;formats=jpeg", "thumb;side=60"):
        made = await convert(pool, tmp_path, recipe, out.getvalue())
        assert profile == made.picture.info.get("icc_profile"), recipe


@pytest.mark.asyncio(loop_scope="module")
async def test_a_note_tells_that_transparency_was_lost(pool: ConversionPool, tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.new("RGBA", (30, 20), (1, 2, 200, 0)).save(out, "PNG")
    made = await convert(pool, tmp_path, "image;formats=jpeg", out.getvalue())

    assert ("format png → jpeg", "transparency dropped, white behind it") == made.conversion.changes
    assert apart([(255, 255, 255)], [made.picture.getpixel((5, 5))]) <= COLORS_APART  # type: ignore[list-item]


# --- sounds -----------------------------------------------------------------------------------------------------------


def silk(*, tencent: bool = True, seconds: float = 1.0) -> bytes:
    out = io.BytesIO()
    samples = b"".join(int(12000 * math.sin(number / 9)).to_bytes(2, "little", signed=True) for number in range(24000))
    pysilk.encode(io.BytesIO(samples * int(seconds)), out, 24000, 24000, tencent=tencent)
    return out.getvalue()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("recipe", ["check", "voice;format=silk;rate=24000"])
async def test_silk_is_copied_and_marked_as_tencents(pool: ConversionPool, tmp_path: Path, recipe: str) -> None:
    tencent, plain = silk(), silk(tencent=False)

    assert (await convert(pool, tmp_path, recipe, tencent)).conversion.same
    assert tencent == (await convert(pool, tmp_path, recipe, plain)).data


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("recipe", ["check", "voice;format=silk;rate=24000"])
async def test_the_torn_end_of_silk_is_left_out_with_a_note(pool: ConversionPool, tmp_path: Path, recipe: str) -> None:
    whole = silk()
    made = await convert(pool, tmp_path, recipe, whole[:-5])

    assert ("torn end dropped",) == made.conversion.changes
    assert whole.startswith(made.data)
    assert len(made.data) > len(whole) / 2


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("recipe", "words"), [("voice;format=silk;seconds=2", "lasts more"), ("voice;bytes=900;format=silk", "over 900")]
)
async def test_silk_that_needs_no_conversion_keeps_the_same_limits(
    pool: ConversionPool, tmp_path: Path, recipe: str, words: str
) -> None:
    with pytest.raises(MediaTooLarge, match=words):
        await convert(pool, tmp_path, recipe, silk(tencent=False, seconds=4))


@pytest.mark.asyncio(loop_scope="module")
async def test_silk_without_a_frame_is_refused(pool: ConversionPool, tmp_path: Path) -> None:
    with pytest.raises(MediaFormat, match="no SILK frames"):
        await convert(pool, tmp_path, "voice;format=silk", b"#!SILK_V3\xff\xff")


# --- what is told -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (Traits(frames=12), Traits(frames=10), ["frames 12 → 10"]),
        (Traits(frames=12), Traits(frames=0), []),
        (Traits(frames=3), Traits(frames=1), ["frames 3 → 1 (a still picture)"]),
        (Traits(duration_ms=61_000), Traits(duration_ms=60_000), ["length 61.0 s → 60.0 s"]),
        (Traits(duration_ms=61_000), Traits(duration_ms=60_950), []),
        (Traits(times_ms=(40, 60)), Traits(times_ms=(40, 90)), ["frame times differ by up to 30 ms"]),
        (Traits(times_ms=(44, 60)), Traits(times_ms=(40, 60)), []),
        (Traits(colors="Display P3"), Traits(colors="sRGB"), ["color space Display P3 → sRGB"]),
        (Traits(colors="Display P3"), Traits(), []),
        (Traits(transfer="HLG", colors="BT.2020"), Traits(colors="BT.709"), ["HLG tone-mapped to BT.709"]),
        (Traits(width=1919, height=1081), Traits(width=1918, height=1080), []),
        (
            Traits(width=720, height=576),
            Traits(width=1024, height=576),
            ["720 x 576 → 1024 x 576 pixels", "shape 1.25 : 1 → 1.78 : 1"],
        ),
        (Traits(depth=16), Traits(depth=8), ["16 bits → 8 bits"]),
        (Traits(depth=8), Traits(depth=16), []),
        (Traits(clear=2), Traits(clear=1), ["graded transparency → on or off"]),
        (Traits(sounds=1), Traits(sounds=0), ["sound dropped"]),
        (Traits(channels=6), Traits(channels=2), ["sound channels 6 → 2"]),
        (Traits(rate=44100), Traits(rate=48000), []),
        (Traits(subtitles=1), Traits(), ["subtitles dropped"]),
    ],
)
def test_differences_beyond_the_tolerances_are_told(before: Traits, after: Traits, told: list[str]) -> None:
    assert told == list(differences(before, after))


@pytest.mark.parametrize("damage", [b"", b"GIF89a", b"PNG", None])
def test_the_frames_of_a_gif_are_counted_without_decoding(damage: bytes | None) -> None:
    data = animation("GIF", loop=0)
    if damage is not None:
        with pytest.raises(ValueError, match="GIF"):
            gif_times(damage + data[len(damage) : 40])
        return

    assert tuple(TIMES) == gif_times(data)
