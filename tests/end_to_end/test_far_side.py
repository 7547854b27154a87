"""Each medium is looked at before it is sent and where it arrives: every difference is in the receipt, and no other.

The media are made here as phones, scanners, recorders and picture generators write them.
"""

from __future__ import annotations

import io
import re
import struct
import wave
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image as Pillow

from tests.end_to_end.accounts import ALL, add_accounts, person_of
from tests.end_to_end.conftest import QUICK
from tests.media import profiles
from tests.media import support as make
from tests.media.films import apart, film, light_film, quarters, with_matrix
from tests.media.looking import differences, look_at
from yizhan.engine import Engine
from yizhan.media.convert.tolerances import TOLERANCES
from yizhan.model import Image, State, Sticker, Video, Voice
from yizhan.testing import RunningSandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")

SAID = {
    "frames": r"frames \d+ → \d+",
    "times": r"frame times differ",
    "pages": r"pages \d+ → \d+",
    "size": r"\d+ x \d+ → \d+ x \d+ pixels",
    "shape": r"shape [\d.]+ : 1",
    "hdr": r"(PQ|HLG) tone-mapped",
    "tags": r"color space",
    "clear": r"transparency",
    "bits": r"\d+ bits → \d+ bits",
    "length": r"length [\d.]+ s → [\d.]+ s",
    "tracks": r"sound tracks \d|sound dropped",
    "channels": r"sound channels \d",
    "rate": r"sound \d+ Hz → \d+ Hz",
}
"""The words of a receipt for each difference. Colors and pitch have none: they may not differ."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with RunningSandbox() as running:
        running.rules("qqbot", limits=False)
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    engine = await Engine.open(tmp_path_factory.mktemp("far") / "store", clock=sandbox.clock, policy=QUICK)
    for platform in ALL:
        rules = {"limits": False} if platform == "qqbot" else {}
        await add_accounts(engine, sandbox, (platform,), rules=rules)
    yield engine
    await engine.close()


@dataclass(frozen=True)
class Sent:
    """`platforms`: the platforms that it is sent to; each has other formats."""

    name: str
    made: Callable[[], bytes]
    platforms: tuple[str, ...]
    segment: type[Image | Video | Voice | Sticker] = Image
    more: dict[str, Any] = field(default_factory=dict)
    """For looking at the source."""


# --- pictures ---------------------------------------------------------------------------------------------------------

TIMES = [40, 500, 100, 60, 1000, 40]


def encoded(picture: Pillow.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def moving(form: str, mode: str = "RGB", **options: Any) -> bytes:
    frames = []
    for number in range(len(TIMES)):
        frame = quarters(80, 60).convert(mode)
        frame.paste((40 * number, 0, 200), (40, 30, 80, 60))
        frames.append(frame)
    if mode == "RGBA":
        for frame in frames:
            frame.putalpha(Pillow.new("L", frame.size, 255))
            frame.paste((0, 0, 0, options.get("alpha", 0)), (0, 0, 40, 30))
    options.pop("alpha", None)
    lossless = {"lossless": True} if form == "WEBP" else {"quality": 95} if form == "AVIF" else {}
    return encoded(
        frames[0], form, save_all=True, append_images=frames[1:], duration=TIMES, loop=0, **lossless, **options
    )


def pages(count: int) -> bytes:
    first, *rest = [quarters(60 + 2 * number, 40) for number in range(count)]
    return encoded(first, "TIFF", save_all=True, append_images=rest)


def deep_colors() -> bytes:
    """Return a PNG with 16 bits for each of red, green and blue."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    picture = quarters(40, 30)
    rows = b"".join(
        b"\0" + b"".join(struct.pack(">3H", *(257 * value for value in picture.getpixel((x, y)))) for x in range(40))  # type: ignore[union-attr]
        for y in range(30)
    )
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 30, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_grays(mode: str) -> bytes:
    picture = Pillow.new(mode, (40, 30))
    values = [(x // 20 + 2 * (y // 15)) / 3 for y in range(30) for x in range(40)]
    picture.putdata(values if mode == "F" else [round(65535 * value) for value in values])
    return encoded(picture, "TIFF")


def on_its_side(form: str, orientation: int) -> bytes:
    picture = quarters(60, 40)
    exif = picture.getexif()
    exif[0x0112] = orientation
    return encoded(picture, form, exif=exif, **({"quality": 95} if form != "TIFF" else {}))


def half_clear(alpha: int) -> Pillow.Image:
    picture = quarters(60, 40).convert("RGBA")
    picture.paste((200, 30, 30, alpha), (30, 0, 60, 20))
    return picture


P3, GRAY = profiles.display_p3(), profiles.gray(1.4)
SHOWN = ("wechatsdk", "webwechat", "qqbot")
PICTURES = [
    *(Sent(f"animated {form}", lambda form=form: moving(form), SHOWN) for form in ("WEBP", "AVIF", "PNG", "GIF")),
    Sent("animated with holes", lambda: moving("WEBP", "RGBA"), SHOWN),
    Sent("animated with shadows", lambda: moving("PNG", "RGBA", alpha=200), ("wechatsdk", "webwechat")),
    Sent("animated in Display P3", lambda: moving("WEBP", icc_profile=P3), ("wechatsdk", "webwechat")),
    Sent("three pages", lambda: pages(3), SHOWN),
    Sent("one page", lambda: pages(1), SHOWN),
    Sent("16 bits a channel", deep_colors, ("wechatsdk",)),
    Sent("16 bits of gray", lambda: deep_grays("I;16"), SHOWN),
    Sent("floating point", lambda: deep_grays("F"), SHOWN, more={"top": 1.0}),
    Sent("CMYK JPEG", lambda: encoded(quarters().convert("CMYK"), "JPEG", quality=95), ("wechatsdk",)),
    Sent("CMYK TIFF", lambda: encoded(quarters().convert("CMYK"), "TIFF"), ("wechatsdk",)),
    Sent("P3 WebP", lambda: encoded(quarters(), "WEBP", lossless=True, icc_profile=P3), ("wechatsdk", "webwechat")),
    Sent("P3 palette TIFF", lambda: encoded(quarters().quantize(16), "TIFF", icc_profile=P3), ("wechatsdk",)),
    Sent("gray TIFF of its own gamma", lambda: encoded(quarters().convert("L"), "TIFF", icc_profile=GRAY), SHOWN),
    *(
        Sent(f"{form} lying as {number}", lambda form=form, number=number: on_its_side(form, number), SHOWN)
        for form in ("JPEG", "TIFF", "WEBP")
        for number in (3, 5, 8)
    ),
    Sent("half clear WebP", lambda: encoded(half_clear(128), "WEBP", lossless=True), ("wechatsdk",)),
    Sent("half clear AVIF", lambda: encoded(half_clear(128), "AVIF", quality=95), SHOWN),
]
STICKERS = [
    Sent("animated WebP sticker", lambda: moving("WEBP"), ("wechatsdk", "webwechat"), Sticker),
    Sent("clear PNG sticker", lambda: encoded(half_clear(0), "PNG"), ("wechatsdk", "webwechat"), Sticker),
    Sent("half clear PNG sticker", lambda: encoded(half_clear(200), "PNG"), ("wechatsdk",), Sticker),
    Sent("P3 JPEG sticker", lambda: encoded(quarters(), "JPEG", quality=95, icc_profile=P3), ("webwechat",), Sticker),
]

# --- films ------------------------------------------------------------------------------------------------------------

LEFT, MIRRORED, MIRRORED_AND_TURNED = (0, 1, -1, 0), (-1, 0, 0, 1), (0, 1, 1, 0)
BT2020, HLG, FULL = 9, 18, 2
FRAGMENTS = {"movflags": "frag_keyframe+empty_moov"}


def hlg(**more: Any) -> bytes:
    tags = {"color_primaries": BT2020, "color_trc": HLG, "colorspace": BT2020}
    return film(
        quarters(), form="mov", codec="libx265", pixels="yuv420p10le", sounds=[("aac", "stereo")], **tags, **more
    )


FILMED = ("wechatsdk", "qqbot")
H264 = {"codec": "libx264"}
FILMS = [
    Sent("phone, HEVC in HLG, upright", lambda: with_matrix(hlg(), *LEFT), FILMED, Video),
    Sent("PQ", lambda: light_film(0.5081, 16), ("qqbot",), Video),
    Sent("phone, HEVC in full range", lambda: film(quarters(), codec="libx265", color_range=FULL), FILMED, Video),
    Sent("webcam, MJPEG", lambda: film(quarters(), form="avi", codec="mjpeg", pixels="yuvj420p"), FILMED, Video),
    Sent(
        "selfie, mirrored, with plain sound",
        lambda: with_matrix(film(quarters(), form="mov", sounds=[("pcm_s16le", "mono")], **H264), *MIRRORED),
        FILMED,
        Video,
    ),
    Sent(
        "selfie, mirrored and turned, HEVC",
        lambda: with_matrix(film(quarters(), form="mov", codec="libx265"), *MIRRORED_AND_TURNED),
        FILMED,
        Video,
    ),
    Sent("turned MOV in H.264", lambda: with_matrix(film(quarters(), form="mov", **H264), *LEFT), FILMED, Video),
    Sent("camcorder, oblong pixels", lambda: film(quarters(), aspect=Fraction(4, 3)), FILMED, Video),
    Sent("oblong pixels in MKV", lambda: film(quarters(), form="matroska", aspect=Fraction(1, 2)), FILMED, Video),
    Sent("oblong pixels in H.264", lambda: film(quarters(), form="mov", aspect=Fraction(4, 3), **H264), FILMED, Video),
    Sent("uneven pace", lambda: film(quarters(), times=(0, 1, 2, 9, 10, 25, 26, 40)), FILMED, Video),
    Sent(
        "uneven pace in H.264 in MKV",
        lambda: film(quarters(), form="matroska", times=(0, 1, 2, 9, 10, 25, 26, 40), **H264),
        FILMED,
        Video,
    ),
    Sent("fragments", lambda: film(quarters(), options=FRAGMENTS, **H264), FILMED, Video),
    Sent("fragments of HEVC", lambda: film(quarters(), codec="libx265", options=FRAGMENTS), FILMED, Video),
    Sent("surround", lambda: film(quarters(), form="matroska", sounds=[("ac3", "5.1")], **H264), FILMED, Video),
    Sent(
        "two languages",
        lambda: film(quarters(), form="matroska", sounds=[("aac", "mono"), ("aac", "mono")], **H264),
        FILMED,
        Video,
    ),
    Sent("one channel", lambda: film(quarters(), form="matroska", sounds=[("libopus", "mono")]), FILMED, Video),
    Sent(
        "sides that are odd",
        lambda: film(quarters(161, 97), form="avi", codec="mjpeg", pixels="yuvj420p"),
        FILMED,
        Video,
    ),
]

# --- sounds -----------------------------------------------------------------------------------------------------------


def deep_wav() -> bytes:
    """Return a WAV of 24 bits in two channels."""
    out, samples = io.BytesIO(), make.tone(1.0, 48000)
    with wave.open(out, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(3)
        file.setframerate(48000)
        file.writeframes(b"".join((b"\0" + samples[at : at + 2]) * 2 for at in range(0, len(samples), 2)))
    return out.getvalue()


HEARD = ("wechatsdk", "ohwxapi", "webwechat", "qqbot")
SOUNDS = [
    Sent("SILK", lambda: make.silk(1.0), HEARD, Voice),
    Sent("SILK without its mark", lambda: make.silk(1.0, tencent=False), HEARD, Voice),
    Sent("two channels", lambda: make.wav(1.0, 44100, 2), HEARD, Voice),
    Sent("telephone", lambda: make.wav(1.0, 8000), HEARD, Voice),
    Sent("24 bits", deep_wav, HEARD, Voice),
    Sent("MP3", lambda: make.sound("mp3", "libmp3lame", 1.0), HEARD, Voice),
    Sent("M4A", lambda: make.sound("ipod", "aac", 1.0), HEARD, Voice),
    Sent("FLAC", lambda: make.sound("flac", "flac", 1.0), HEARD, Voice),
    Sent("AMR", lambda: make.sound("amr", "libopencore_amrnb", 1.0, rate=8000), HEARD, Voice),
]

CASES = [(sent, platform) for sent in (*PICTURES, *STICKERS, *FILMS, *SOUNDS) for platform in sent.platforms]
_KINDS: dict[type[Any], str] = {Image: "image", Sticker: "image", Video: "video", Voice: "voice"}


@pytest.mark.parametrize(("sent", "platform"), CASES, ids=[f"{sent.name}-{platform}" for sent, platform in CASES])
async def test_the_receipt_names_every_difference_of_the_arrived_message_and_no_other(
    sandbox: RunningSandbox, engine: Engine, sent: Sent, platform: str
) -> None:
    before, target = sent.made(), await person_of(engine, platform)
    posts = len(sandbox.posts(target))
    name = {} if sent.segment is Sticker else {"name": "一.bin"}
    receipt = await engine.send(target, sent.segment(before, **name))
    (post,) = sandbox.posts(target)[posts:]
    assert State.SENT is receipt.state
    assert post.blob is not None
    after, kind = post.blob.read(), _KINDS[sent.segment]
    one, other = look_at(kind, before, **sent.more), look_at(kind, after)

    told = {word for word, pattern in SAID.items() if re.search(pattern, receipt.detail)}
    assert differences(one, other) == told, receipt.detail
    assert (before == after) == ("converted" not in receipt.detail)


async def test_a_plan_tells_the_same_differences_as_the_receipt(engine: Engine) -> None:
    dance, target = Image(moving("WEBP"), "dance.webp"), await person_of(engine, "webwechat")

    (plan,) = await engine.plan(target, dance)
    receipt = await engine.send(target, dance)

    assert (
        "converted dance.webp: format webp → gif, colors reduced to 256, name dance.webp → dance.gif",
    ) == plan.notes
    assert receipt.detail.startswith(plan.notes[0])


async def test_a_gray_of_hdr_arrives_as_standard_screens_show_it(sandbox: RunningSandbox, engine: Engine) -> None:
    target = await person_of(engine, "qqbot")
    await engine.send(target, Video(light_film(0.5081, 16)))

    post = sandbox.posts(target)[-1]
    assert post.blob is not None
    seen = look_at("video", post.blob.read())
    assert apart([(190, 190, 190)] * 4, list(seen.frames[0])) <= TOLERANCES.gray_levels
