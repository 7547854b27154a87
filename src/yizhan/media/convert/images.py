"""Converts pictures with Pillow: upright, in an accepted format, reduced step by step until they fit."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from PIL import Image, ImageCms, PngImagePlugin, UnidentifiedImageError

from yizhan.media.convert.containers import opened
from yizhan.media.convert.protocol import Conversion, ConversionLimits, Refusal
from yizhan.media.convert.shaping import Look, Shaper
from yizhan.media.convert.traits import (
    NOT_CLEAR,
    SRGB,
    Traits,
    clearness,
    color_space,
    differences,
    picture_traits,
    result_traits,
)
from yizhan.media.probe import Findings, probe
from yizhan.platforms.kit.media_rules import Recipe

# Decoders that are asked at all; others (PostScript, for one) would start programs or are seldom looked after.
_READ = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "AVIF", "MPO")
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")
_LOSSLESS = ("PNG", "GIF", "BMP", "DIB", "TIFF")
_QUALITIES = (92, 85, 75, 60)
_ORIENTATION = 0x0112
"""The EXIF tag of the orientation."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_QUARTERS = tuple(_TURNS[orientation] for orientation in (5, 6, 7, 8))
"""Turns that exchange width and height."""
_SHRINK = 0.75
_SMALLEST = 48
"""Pixels of the longer side; pictures are not made smaller than that."""
PNG_BYTES = 4 << 20
"""A larger PNG becomes a JPEG where both are accepted: it is probably a photograph."""
MAX_FRAMES = 1000
MAX_CHUNK = 64 << 20
"""Bytes of one unpacked text or color profile in a PNG; scanners and picture generators write several megabytes."""
_MANAGED = ("CMYK", "LAB", "YCbCr", "HSV", "L")
"""Modes that are read by their profile, where they have one."""


def image(recipe: Recipe, source: Path, result: Path, limits: ConversionLimits, step: Any) -> Conversion:
    """Convert a picture to one of the formats of the recipe, within its side and bytes."""
    formats = recipe.words("formats", "jpeg+png")
    side, most = recipe.number("side"), recipe.number("bytes")
    step("open")
    with _opened(source, limits) as picture:
        step("decode")
        before = _traits(picture)
        if before.frames > 1 and "gif" in (recipe.words("animated") or formats):
            animation = _Animation(picture, limits, step)
            _save(result, animation.gifs(side, recipe.number("animated_bytes") or most))
            return _compared(replace(before, times_ms=tuple(animation.times), clear=animation.clear), result)
        lossless = picture.format in _LOSSLESS
        upright = _upright(picture, side, step)
    _save(result, _stills(upright, formats, lossless, side, most, step))
    return _compared(replace(before, clear=clearness(upright)), result)


def _traits(picture: Image.Image) -> Traits:
    """Return the traits of an opened picture, with its size as it is shown; read before the picture is decoded."""
    turn = _turn(picture)
    traits = picture_traits(picture, picture.format in _ANIMATED)
    # Of a TIFF, Pillow names the size that it will have.
    swapped = turn in _QUARTERS and picture.format != "TIFF"
    return replace(traits, width=traits.height, height=traits.width) if swapped else traits


def _compared(before: Traits, result: Path) -> Conversion:
    after = result_traits(result)
    return Conversion(width=after.width, height=after.height, changes=differences(before, after))


def check(recipe: Recipe, source: Path, result: Path, limits: ConversionLimits, step: Any) -> Conversion:
    """Decode all frames of a picture. One that lies on its side is turned upright, within the bytes of the recipe.

    Raises:
        Refusal: it is more than is decoded here. Pillow raises what it pleases where it is broken.
    """
    step("open")
    with _opened(source, limits) as picture:
        frames, form = getattr(picture, "n_frames", 1), picture.format
        step("decode")
        # Read before the frames: Pillow turns a TIFF by itself when it decodes. On a PNG this reads the whole file.
        before, lies = _traits(picture), _turn(picture) is not None
        _check_frames(picture, frames, limits)
        for index in range(frames):
            step("decode", index / frames)
            picture.seek(index)
            picture.load()
        picture.seek(0)
        if not lies or (frames > 1 and form != "MPO"):
            return Conversion(same=True)
        upright = _upright(picture, 0, step)
    _save(result, _turned_pictures(upright, str(form), source.stat().st_size, recipe.number("bytes"), step))
    return _compared(replace(before, clear=clearness(upright)), result)


def _turned_pictures(
    upright: Image.Image, form: str, size: int, most: int, step: Any
) -> Iterator[tuple[bytes, int, int] | int]:
    """Yield the first encoding that fits into `most` bytes (0: any); a JPEG grows no larger than `size`, as it was."""
    if form in ("JPEG", "MPO"):
        yield from _jpegs(_on_white(upright), (95, *_QUALITIES, 40), min(size, most or size))
    elif form in ("WEBP", "AVIF"):
        for quality in _QUALITIES:
            data = _encoded(upright, form, quality=quality)
            yield (data, *upright.size) if not most or len(data) <= most else len(data)
    else:
        yield from _stills(upright, ("png",), True, 0, most, step)


def thumb(recipe: Recipe, source: Path, result: Path, limits: ConversionLimits, step: Any) -> Conversion:
    """Make a JPEG thumbnail."""
    step("open")
    with _opened(source, limits) as picture:
        upright = _upright(picture, recipe.number("side", 240), step)
    return save_jpeg(upright, result, recipe.number("side", 240), recipe.number("bytes"), step)


def save_jpeg(picture: Image.Image, result: Path, side: int, most: int, step: Any) -> Conversion:
    return _save(result, _stills(picture, ("jpeg",), False, side, most, step))


def _opened(source: Path, limits: ConversionLimits) -> Image.Image:
    # Our own limit is asked below, before anything is decoded; Pillow's would only warn at first.
    Image.MAX_IMAGE_PIXELS = None
    PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = MAX_CHUNK, MAX_CHUNK
    _register_heif()
    try:
        picture: Image.Image = Image.open(source, formats=_readable())
    except UnidentifiedImageError:
        with source.open("rb") as file:
            found = probe(file, source.stat().st_size)
        if found.format != "heic":
            raise Refusal("it cannot be read as a picture. The file is broken; give a PNG or JPEG instead.") from None
        picture = _first_frame(source, found)
    if picture.width * picture.height > limits.pixels:
        raise Refusal(
            f"it has {picture.width} x {picture.height} pixels; at most {limits.pixels} are decoded. "
            "Make it smaller first.",
            too_large=True,
        )
    return picture


def _readable() -> list[str]:
    Image.init()
    return [name for name in (*_READ, "HEIF") if name in Image.OPEN]


def _register_heif() -> None:
    try:
        import pillow_heif  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return
    pillow_heif.register_heif_opener()


def _first_frame(source: Path, found: Findings) -> Image.Image:
    """Decode a HEIC without tiles by FFmpeg; Pillow alone cannot."""
    import av

    try:
        with opened(source) as container:
            tiles = len(container.streams.video)
            if tiles > 1:
                raise Refusal(
                    "it consists of tiles, for which there is no decoder here. Give a JPEG instead.", as_file=True
                )
            video = container.streams.video[0]
            frame: Any = next(container.decode(video))
            look = Look.of(video, frame)
            # Encoders fill up whole blocks on the right and at the bottom.
            wide, high = min(frame.width, found.width or frame.width), min(frame.height, found.height or frame.height)
            filters = [("crop", f"{wide}:{high}:0:0:exact=1"), *look.filters((wide, high), "rgb24")]
            shown: Image.Image = next(Shaper(video, frame, filters).shaped(frame)).to_image()
            shown.format = "HEIF"
            return shown
    except (av.FFmpegError, StopIteration, IndexError):
        raise Refusal("no decoder here knows this HEIC. Give a PNG or JPEG instead.", as_file=True) from None


def _upright(picture: Image.Image, side: int, step: Any) -> Image.Image:
    step("decode")
    if picture.format in ("JPEG", "MPO") and side:
        # A JPEG can be decoded at a fraction of its size, which costs as little.
        picture.draft(None, (side * 2, side * 2))
    picture.load()
    turn = _turn(picture)
    return _plain(picture if turn is None else picture.transpose(turn))


def _turn(picture: Image.Image) -> Image.Transpose | None:
    """Return the transposition that turns a picture upright. The rest of its EXIF may be broken, and is not kept."""
    return _TURNS.get(picture.getexif().get(_ORIENTATION, 1))


def _plain(picture: Image.Image) -> Image.Image:
    """Convert any mode to RGB or RGBA; channels deeper than 8 bits are scaled, not clipped."""
    if picture.mode in ("RGB", "RGBA"):
        return picture
    if picture.mode.startswith(("I", "F")):
        top = _brightest(picture)
        return picture.convert("F").point(lambda value: value * (255 / top)).convert("L").convert("RGB")
    if picture.mode in _MANAGED and (managed := _managed(picture)) is not None:
        return managed
    alpha = "A" in picture.mode or "transparency" in picture.info
    plain = picture.convert("RGBA" if alpha else "RGB")
    if picture.mode not in ("P", "PA"):
        # A profile for inks or grays says nothing about the colors that they were turned into.
        plain.info.pop("icc_profile", None)
    return plain


def _brightest(picture: Image.Image) -> float:
    """Return the value of white: by the mode, else by the brightest pixel."""
    if picture.mode.startswith("I;16"):
        return 65535.0
    _, high = picture.getextrema()
    brightest = float(high) if isinstance(high, (int, float)) else 0.0
    steps = (1.0, 255.0, 65535.0) if picture.mode == "F" else (255.0, 65535.0)
    return next((step for step in steps if brightest <= step), brightest)


def _managed(picture: Image.Image) -> Image.Image | None:
    """Convert a picture to sRGB by its own profile; None if it has no readable one for its mode."""
    profile = picture.info.get("icc_profile")
    if not profile:
        return None
    try:
        source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        managed = ImageCms.profileToProfile(picture, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    if managed is not None:
        managed.info.pop("icc_profile", None)
    return managed


def _in_srgb(picture: Image.Image) -> Image.Image:
    """Convert a picture in RGB or RGBA for a format that keeps no profile."""
    if color_space(picture) == SRGB or (managed := _managed(picture.convert("RGB"))) is None:
        return picture
    if picture.mode == "RGBA":
        managed.putalpha(picture.getchannel("A"))
    return managed


def _stills(
    picture: Image.Image, formats: tuple[str, ...], lossless: bool, side: int, most: int, step: Any
) -> Iterator[tuple[bytes, int, int] | int]:
    """Yield the first encoding that fits, and before it the size of each that does not."""
    clear = clearness(picture) != NOT_CLEAR
    for size in _sizes(picture.size, side):
        step(f"encode at {size[0]} x {size[1]}")
        scaled = picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)
        as_png = "png" in formats and (clear or lossless or "jpeg" not in formats)
        if as_png:
            data = _encoded(scaled, "PNG", optimize=False)
            limit = most if clear or "jpeg" not in formats else min(most or PNG_BYTES, PNG_BYTES)
            yield (data, *size) if not limit or len(data) <= limit else len(data)
        if "jpeg" in formats:
            yield from _jpegs(_on_white(scaled), _QUALITIES, most)
        elif not as_png:
            data = _encoded(_paletted(scaled), "GIF")
            yield (data, *size) if not most or len(data) <= most else len(data)


def _jpegs(picture: Image.Image, qualities: tuple[int, ...], most: int) -> Iterator[tuple[bytes, int, int] | int]:
    profile = picture.info.get("icc_profile")
    for quality in qualities:
        data = _encoded(picture, "JPEG", quality=quality, optimize=True, icc_profile=profile)
        yield (data, *picture.size) if not most or len(data) <= most else len(data)


class _Animation:
    """The frames of an animation, and GIFs of them. `times` and `clear` are known once the first GIF is made."""

    def __init__(self, picture: Image.Image, limits: ConversionLimits, step: Any) -> None:
        self._picture, self._step = picture, step
        self._count = int(getattr(picture, "n_frames", 1))
        self.times: list[int] = []
        """Milliseconds."""
        self.clear = NOT_CLEAR
        _check_frames(picture, self._count, limits)

    def gifs(self, side: int, most: int) -> Iterator[tuple[bytes, int, int] | int]:
        """Yield the first GIF of at most `most` bytes, and before it the size of each that is larger."""
        for size in _sizes(self._picture.size, side):
            first, *others = self._frames(size)
            out = io.BytesIO()
            # As little as a browser takes at its word; shorter ones are shown for a tenth of a second.
            times = [max(20, time) for time in self.times]
            first.save(
                out,
                "GIF",
                save_all=True,
                append_images=others,
                duration=times,
                disposal=2,
                optimize=False,
                **_repeats(self._picture),
            )
            yield (out.getvalue(), *size) if not most or out.tell() <= most else out.tell()

    def _frames(self, size: tuple[int, int]) -> list[Image.Image]:
        frames = []
        self.times.clear()
        for index in range(self._count):
            self._step(f"decode frames for {size[0]} x {size[1]}", index / self._count)
            self._picture.seek(index)
            # WebP and AVIF know the time of a frame only once it is decoded.
            self._picture.load()
            self.times.append(int(self._picture.info.get("duration", 100) or 100))
            frame = _plain(self._picture.copy())
            self.clear = max(self.clear, clearness(frame))
            shown = frame if size == frame.size else frame.resize(size, Image.Resampling.BILINEAR)
            frames.append(_paletted(shown))
        return frames


def _paletted(picture: Image.Image) -> Image.Image:
    """Return a picture in RGB or RGBA as a GIF holds it: in sRGB, with 256 colors, one of which may be transparent."""
    plain = _in_srgb(picture)
    clear = clearness(plain) != NOT_CLEAR
    colors = plain.convert("RGB").quantize(255 if clear else 256)
    # The rest of what the source says of itself (its loop, its background) would be written, too.
    colors.info = {"transparency": 255} if clear else {}
    if clear:
        colors.paste(255, mask=plain.getchannel("A").point(lambda alpha: 255 if alpha < 128 else 0))
    return colors


def _repeats(picture: Image.Image) -> dict[str, int]:
    """Return the loop count of the GIF. A GIF counts repetitions, APNG and WebP all rounds."""
    rounds = picture.info.get("loop")
    if picture.format == "GIF":
        return {} if rounds is None else {"loop": int(rounds)}
    return {"loop": 0} if not rounds else {"loop": int(rounds) - 1} if rounds > 1 else {}


def _check_frames(picture: Image.Image, frames: int, limits: ConversionLimits) -> None:
    if frames > MAX_FRAMES or frames * picture.width * picture.height > limits.all_pixels:
        raise Refusal(
            f"it has {frames} frames of {picture.width} x {picture.height}; that is more than is decoded here "
            f"({MAX_FRAMES} frames, {limits.all_pixels} pixels). Make it smaller or shorter first.",
            too_large=True,
        )


def _sizes(size: tuple[int, int], side: int) -> Iterator[tuple[int, int]]:
    scale = min(1.0, side / max(size)) if side else 1.0
    while True:
        width, height = (max(1, round(edge * scale)) for edge in size)
        yield width, height
        if max(width, height) * _SHRINK < _SMALLEST:
            return
        scale *= _SHRINK


def _encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **{name: value for name, value in options.items() if value is not None})
    return out.getvalue()


def _on_white(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    white = Image.new("RGB", picture.size, (255, 255, 255))
    white.paste(picture, mask=picture.getchannel("A"))
    white.info.update(picture.info)
    return white


def _save(result: Path, tries: Iterator[tuple[bytes, int, int] | int]) -> Conversion:
    """Write the first encoding among `tries`; sizes among them are of those that did not fit."""
    smallest = 0
    for made in tries:
        if not isinstance(made, int):
            data, width, height = made
            result.write_bytes(data)
            return Conversion(width=width, height=height)
        smallest = min(smallest or made, made)
    raise Refusal(
        f"even at its smallest it has {smallest} bytes. Choose another picture.", too_large=True, as_file=True
    )
