"""Any media arrives playable on every platform, or is refused with the right class and nothing leaves.

The far side is looked at with decoders of its own: pictures are compared, sounds measured by length and pitch, films by
length and streams. Files and names arrive as they were given.
"""

from __future__ import annotations

import asyncio
import io
import os
import struct
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image as Pillow
from PIL import ImageChops, ImageStat

from tests.end_to_end.accounts import ALL, add_accounts, person_of
from tests.end_to_end.conftest import QUICK
from tests.media import support as make
from yizhan.engine import Engine
from yizhan.errors import MediaFormat, MediaTooLarge, Unsupported
from yizhan.model import Event, EventKind, File, Forward, Image, Receipt, State, Sticker, Target, Video, Voice
from yizhan.testing import RunningSandbox
from yizhan.world import Post

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLATFORMS = tuple(ALL)
UNLIMITED = ("qqbot", "ilink")
"""Where messages are counted, and this corpus would be over."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with RunningSandbox() as running:
        for platform in UNLIMITED:
            running.rules(platform, limits=False)
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def engine(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    engine = await Engine.open(tmp_path_factory.mktemp("corpus") / "store", clock=sandbox.clock, policy=QUICK)
    for platform in PLATFORMS:
        rules = {"limits": False} if platform in UNLIMITED else {}
        await add_accounts(engine, sandbox, (platform,), rules=rules)
    yield engine
    await engine.close()


# --- the receiver's view ----------------------------------------------------------------------------------------------


def plain(data: bytes) -> Pillow.Image:
    """A picture as people see it: upright, on white."""
    from PIL import ImageOps

    picture = Pillow.open(io.BytesIO(data))
    if picture.mode.startswith("I"):
        return picture.convert("F").point(lambda value: value / 257).convert("L").convert("RGB")
    picture = ImageOps.exif_transpose(picture).convert("RGBA")
    white = Pillow.new("RGBA", picture.size, (255, 255, 255, 255))
    return Pillow.alpha_composite(white, picture).convert("RGB")


def unlike(one: bytes, other: bytes) -> float:
    """How much two pictures differ at the same small size: 0 not at all, 255 black and white."""
    small = [plain(data).resize((24, 24)) for data in (one, other)]
    return max(ImageStat.Stat(ImageChops.difference(*small)).mean)


def heard(data: bytes) -> tuple[float, float]:
    """Seconds and pitch of a sound."""
    import av
    import pysilk

    if b"#!SILK_V3" in data[:10]:
        assert b"\x02#!SILK_V3" == data[:10], "this SILK is not as WeChat and QQ write it"
        out = io.BytesIO()
        pysilk.decode(io.BytesIO(data), out, 24000)
        samples = out.getvalue()
    else:
        with av.open(io.BytesIO(data)) as container:
            resampler = av.AudioResampler("s16", "mono", 24000)
            frames = [one for frame in container.decode(audio=0) for one in resampler.resample(frame)]
        samples = b"".join(bytes(one.planes[0])[: one.samples * 2] for one in frames)
    values = struct.unpack(f"<{len(samples) // 2}h", samples)
    middle = values[len(values) // 4 : len(values) * 3 // 4]
    crossings = sum(1 for a, b in pairwise(middle) if a < 0 <= b)
    return len(values) / 24000, crossings / max(1e-9, len(middle) / 24000)


@dataclass
class Film:
    seconds: float
    size: tuple[int, int]
    streams: list[str]
    pictures: int


def seen(data: bytes) -> Film:
    import av

    with av.open(io.BytesIO(data)) as film:
        streams = [stream.codec_context.name for stream in film.streams]
        frames = list(film.decode(video=0))
    times = [float(frame.time or 0) for frame in frames]
    step = (times[-1] - times[0]) / max(1, len(times) - 1)
    return Film(times[-1] - times[0] + step, (frames[0].width, frames[0].height), streams, len(frames))


# --- the corpus -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """`made`: the bytes. `name`: their file name. `seconds`: their duration."""

    made: Callable[[], bytes]
    name: str
    seconds: float = 0.0


def turned_photo(form: str) -> bytes:
    lying = Pillow.new("RGB", (60, 40), (0, 0, 255))
    lying.paste((255, 0, 0), (0, 0, 20, 40))
    exif = Pillow.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    lying.save(out, form, exif=exif)
    return out.getvalue()


def deep_png() -> bytes:
    deep = Pillow.new("I;16", (64, 64))
    deep.putdata([65535 * (i % 64) // 63 for i in range(64 * 64)])
    out = io.BytesIO()
    deep.save(out, "PNG")
    return out.getvalue()


def clear_webp() -> bytes:
    picture = Pillow.new("RGBA", (50, 50), (255, 0, 0, 0))
    picture.paste((0, 90, 200, 255), (10, 10, 40, 40))
    out = io.BytesIO()
    picture.save(out, "WEBP", lossless=True)
    return out.getvalue()


PICTURES = [
    Case(lambda: make.picture("PNG"), "a.png"),
    Case(lambda: make.picture("JPEG"), "照片 (1).jpeg"),
    Case(lambda: make.picture("GIF"), "a.gif"),
    Case(lambda: make.picture("WEBP"), "a.webp"),
    Case(lambda: make.picture("BMP"), "a.bmp"),
    Case(lambda: make.picture("TIFF"), "a.tif"),
    Case(lambda: make.picture("AVIF"), "a.avif"),
    Case(lambda: make.animation("GIF", 5), "move.gif"),
    Case(lambda: make.animation("WEBP", 5), "move.webp"),
    Case(lambda: make.picture("PNG", (1, 1)), "one pixel.png"),
    Case(lambda: make.picture("PNG", (3000, 1)), "line.png"),
    Case(lambda: make.picture("JPEG"), "mislabelled.png"),
    Case(lambda: make.picture("PNG"), "no extension"),
    Case(lambda: make.picture("PNG"), "../../etc/passwd"),
    Case(lambda: make.picture("PNG"), "x\u202egnp.exe"),
    Case(lambda: turned_photo("TIFF"), "on its side.tif"),
    Case(lambda: turned_photo("JPEG"), "on its side.jpg"),
    Case(deep_png, "deep.png"),
    Case(clear_webp, "clear.webp"),
]
SOUNDS = [
    Case(lambda: make.sound("mp3", "libmp3lame"), "a.mp3", 2),
    Case(lambda: make.wav(2.0, 44100, 2), "a.wav", 2),
    Case(lambda: make.wav(2.0, 8000), "telephone.wav", 2),
    Case(lambda: make.sound("ipod", "aac"), "语音.m4a", 2),
    Case(lambda: make.sound("adts", "aac"), "a.aac", 2),
    Case(lambda: make.sound("ogg", "libopus", rate=48000), "a.ogg", 2),
    Case(lambda: make.sound("flac", "flac"), "a.flac", 2),
    Case(lambda: make.sound("amr", "libopencore_amrnb", rate=8000), "a.amr", 2),
    Case(lambda: make.silk(2.0), "tencent.silk", 2),
    Case(lambda: make.silk(2.0, tencent=False), "plain.silk", 2),
    Case(lambda: make.wav(0.3), "short.wav", 0.3),
    Case(lambda: make.wav(61.0, 8000), "over a minute.wav", 61),
]
FILMS = [
    Case(lambda: make.film("mp4", audio="aac"), "a.mp4", 1),
    Case(lambda: make.film("mp4"), "silent.mp4", 1),
    Case(lambda: make.film("mov", audio="aac"), "a.mov", 1),
    Case(lambda: make.film("matroska", audio="libopus"), "电影.mkv", 1),
    Case(lambda: make.film("webm", "libvpx-vp9", audio="libopus"), "a.webm", 1),
    Case(lambda: make.film("avi", "mpeg4"), "a.avi", 1),
    Case(lambda: make.film("mp4", "mpeg4", audio="aac"), "old codec.mp4", 1),
    Case(lambda: make.film("mpegts"), "a.ts", 1),
    Case(lambda: make.recording("mpeg2video", 10_000), "from television.ts", 2),
    Case(lambda: make.turned(make.red_left_film("mov", "libx264"), 90), "on its side.mov", 1),
]
FILES = [
    Case(lambda: make.zipped("a.txt"), "a.zip"),
    Case(lambda: b"%PDF-1.7\n" + os.urandom(5000), "季度 报告（终）📎.pdf"),
    Case(lambda: b"x", "one byte"),
    Case(lambda: b"MZ" + bytes(200), "setup.exe"),
    Case(lambda: make.picture("PNG"), "as a file.png"),
    Case(lambda: b"\x89PNG\r\n\x1a\n", "broken.png"),
    Case(lambda: bytes(1000), "a" * 300 + ".bin"),
    Case(lambda: b"\xef\xbb\xbf<a>&amp;</a>", "a<b>&\"c'.xml"),
]


def each(cases: list[Case]) -> Any:
    rows = [(platform, case) for case in cases for platform in PLATFORMS]
    return pytest.mark.parametrize(
        ("platform", "case"), rows, ids=[f"{platform}-{case.name[:40]}" for platform, case in rows]
    )


async def arrived(sandbox: RunningSandbox, engine: Engine, platform: str, segment: Any) -> tuple[Post, Receipt]:
    """Send one segment to a person on `platform`, and return the post and the receipt."""
    target = await person_of(engine, platform)
    before = len(sandbox.posts(target))
    receipt = await engine.send(target, segment)
    posts = sandbox.posts(target)[before:]
    (post,) = [post for post in posts if post.blob]
    assert State.SENT is receipt.state
    return post, receipt


def bytes_of(post: Post) -> bytes:
    assert post.blob is not None
    return post.blob.read()


TAKEN_TOO = {"qqbot": ["WEBP", "BMP"], "webwechat": ["BMP"]}


@each(PICTURES)
async def test_a_picture_is_seen_on_the_other_side(
    sandbox: RunningSandbox, engine: Engine, platform: str, case: Case
) -> None:
    before = case.made()
    post, _ = await arrived(sandbox, engine, platform, Image(before, case.name))
    after = bytes_of(post)

    assert post.kind in ("image", "sticker")
    assert Pillow.open(io.BytesIO(after)).format in (
        "PNG",
        "JPEG",
        "GIF",
        *TAKEN_TOO.get(platform, []),
    )
    assert unlike(before, after) < 12
    assert 1 == Pillow.open(io.BytesIO(after)).getexif().get(0x0112, 1), "it lies on its side for who reads no EXIF"
    assert "/" not in post.name
    assert "\u202e" not in post.name


@each([case for case in PICTURES if case.name.startswith("move")])
async def test_a_sticker_moves_where_stickers_are(
    sandbox: RunningSandbox, engine: Engine, platform: str, case: Case
) -> None:
    before = case.made()
    if platform == "ilink":
        with pytest.raises(Unsupported, match="as an image"):
            await engine.send(await person_of(engine, platform), Sticker(before))
        return
    if platform == "ohwxapi":
        receipt = await engine.send(await person_of(engine, platform), Sticker(before))
        assert "by its md5" in receipt.detail
        return
    post, _ = await arrived(sandbox, engine, platform, Sticker(before))

    assert 5 == Pillow.open(io.BytesIO(bytes_of(post))).n_frames  # type: ignore[attr-defined]


@each(SOUNDS)
async def test_a_sound_is_heard_on_the_other_side(
    sandbox: RunningSandbox, engine: Engine, platform: str, case: Case
) -> None:
    post, receipt = await arrived(sandbox, engine, platform, Voice(case.made(), case.name))
    seconds, pitch = heard(bytes_of(post))

    assert case.seconds == pytest.approx(seconds, rel=0.05, abs=0.08)
    assert 440 == pytest.approx(pitch, rel=0.03)
    too_long = case.seconds > 60 and platform in ("wechatsdk", "ohwxapi")
    assert ("file" if too_long or platform in ("webwechat", "ilink") else "voice") == post.kind
    assert (post.kind == "voice") or "file" in receipt.detail, "the receipt does not say that it went as a file"


@each(FILMS)
async def test_a_film_plays_on_the_other_side(
    sandbox: RunningSandbox, engine: Engine, platform: str, case: Case
) -> None:
    before = case.made()
    post, _ = await arrived(sandbox, engine, platform, Video(before, case.name))
    after, source = seen(bytes_of(post)), seen(before)

    assert "video" == post.kind
    assert case.seconds == pytest.approx(after.seconds, rel=0.05, abs=0.11)
    assert source.pictures == pytest.approx(after.pictures, abs=1)
    assert ["h264", "aac"][: len(source.streams)] == after.streams
    assert sorted(source.size) == sorted(after.size)


@each(FILES)
async def test_a_file_arrives_byte_for_byte_under_its_name(
    sandbox: RunningSandbox, engine: Engine, platform: str, case: Case
) -> None:
    before = case.made()
    post, _ = await arrived(sandbox, engine, platform, File(before, case.name))

    assert "file" == post.kind
    assert before == bytes_of(post)
    if len(case.name) < 100 and not set(case.name) & set('<>"'):
        assert case.name == post.name
    assert case.name[-4:] == post.name[-4:] or "<" in case.name


# --- refusals ---------------------------------------------------------------------------------------------------------


def png_bomb(width: int, height: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND", b"")


REFUSED: list[tuple[str, Any, Callable[[], bytes], type[Exception], str]] = [
    ("no bytes", Image, lambda: b"", MediaFormat, "empty"),
    ("no bytes as a file", File, lambda: b"", MediaFormat, "empty"),
    ("text as a picture", Image, lambda: b"hello", MediaFormat, "wanted as image"),
    ("a sound as a film", Video, make.wav, MediaFormat, "wanted as video"),
    ("a picture as a sound", Voice, lambda: make.picture("PNG"), MediaFormat, "wanted as voice"),
    ("cut png", Image, lambda: make.picture("PNG", (300, 200))[:-60], MediaFormat, "'decode' failed"),
    ("cut jpeg", Image, lambda: make.picture("JPEG", (300, 200))[:900], MediaFormat, "'decode' failed"),
    ("only a head", Image, lambda: b"\x89PNG\r\n\x1a\n", MediaFormat, "cannot be read as a picture"),
    ("a bomb of pixels", Image, lambda: png_bomb(60_000, 60_000), MediaTooLarge, "60000 x 60000 pixels"),
    ("missing rows", Image, lambda: png_bomb(5_000, 5_000), MediaFormat, "'decode' failed"),
    ("a bomb of frames", Image, lambda: make.animation("GIF", 1200, (8, 8)), MediaTooLarge, "1200 frames"),
    ("silk without end", Voice, lambda: b"\x02#!SILK_V3\xff\x7f" + bytes(99), MediaFormat, "no SILK frames"),
    ("mp3 without sound", Voice, lambda: b"ID3\x04" + bytes(500), MediaFormat, "failed"),
    ("cut mp4", Video, lambda: make.film("mp4")[:900], MediaFormat, "'open' failed"),
    ("half an mp4", Video, lambda: make.faststart(make.noisy_film(3.0, (64, 48)))[:9000], MediaFormat, "breaks off"),
    ("play list", Video, lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", MediaFormat, "wanted as video"),
]


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(("segment", "data", "error", "words"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
async def test_a_picture_that_cannot_be_shown_is_refused_before_anything_is_stored(
    sandbox: RunningSandbox,
    engine: Engine,
    platform: str,
    segment: Any,
    data: Callable[[], bytes],
    error: type[Exception],
    words: str,
) -> None:
    target = await person_of(engine, platform)
    before = len(sandbox.posts(target)), await engine.supervisor.outbox.newest()

    with pytest.raises(error) as caught:
        await engine.send(target, segment(data(), "坏 bad.bin"))

    assert words in str(caught.value)
    assert before == (len(sandbox.posts(target)), await engine.supervisor.outbox.newest())


LIMITS = {
    "qqbot": "file.max_bytes",
    "webwechat": "file.max_bytes",
    "wechatsdk": "file.max_bytes",
    "ohwxapi": "file.max_bytes",
    "ilink": "file.max_bytes",
}


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_file_over_the_platforms_limit_is_refused_with_the_rule(
    sandbox: RunningSandbox, engine: Engine, platform: str
) -> None:
    more = {"limits": False} if platform in UNLIMITED else {}
    # With the limits in force: the rules that lift quotas and windows lift sizes, too.
    await add_accounts(engine, sandbox, (platform,), rules={LIMITS[platform]: 5000})
    target = await person_of(engine, platform)

    with pytest.raises(MediaTooLarge, match="5000"):
        await engine.send(target, File(os.urandom(5001), "large.bin"))

    await add_accounts(engine, sandbox, (platform,), rules=more)


async def test_a_picture_over_the_soft_limit_is_made_smaller_and_one_that_cannot_be_goes_as_a_file(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    rules = {"image.soft_bytes": 60_000, "voice.soft_bytes": 3000}
    sandbox.rules("qqbot", set=rules, limits=False)
    await add_accounts(engine, sandbox, ("qqbot",), rules={**rules, "limits": False})
    photo = Pillow.frombytes("RGB", (300, 200), os.urandom(180_000))
    out = io.BytesIO()
    photo.save(out, "PNG")

    smaller, told = await arrived(sandbox, engine, "qqbot", Image(out.getvalue(), "photo.png"))
    as_file, also_told = await arrived(sandbox, engine, "qqbot", Voice(make.wav(30.0, 8000), "long.wav"))

    assert ("image", True) == (smaller.kind, len(bytes_of(smaller)) <= 60_000)
    assert "made smaller for rules 2026-09: photo.png (png, 300 x 200" in told.detail
    assert ("file", "long.wav") == (as_file.kind, as_file.name)
    assert "sent as a plain file: long.wav" in also_told.detail
    sandbox.rules("qqbot", set={"image.soft_bytes": 20971520, "voice.soft_bytes": 20971520}, limits=False)
    await add_accounts(engine, sandbox, ("qqbot",), rules={"limits": False})


# --- one message to all of them ---------------------------------------------------------------------------------------


async def test_one_message_is_stored_once_and_fitted_for_each_platform(sandbox: RunningSandbox, engine: Engine) -> None:
    before = make.picture("WEBP", (200, 150))
    targets = [await person_of(engine, platform) for platform in PLATFORMS]
    marks = {target: len(sandbox.posts(target)) for target in targets}
    made = len(await engine.library.index.all())

    broadcast = await engine.broadcast(targets, Image(before, "图.webp"), Voice(make.wav(1.5), "声.wav"))
    counts = await broadcast.wait(60)

    assert {State.SENT: 5} == counts
    for target in targets:
        picture, sound = [post for post in sandbox.posts(target)[marks[target] :] if post.blob]
        assert unlike(before, bytes_of(picture)) < 12
        assert 1.5 == pytest.approx(heard(bytes_of(sound))[0], rel=0.05)
    # The picture and its JPEG, the sound and its SILK.
    assert made + 4 == len(await engine.library.index.all())


async def test_many_targets_of_a_kind_are_fitted_once(
    sandbox: RunningSandbox, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fits = []
    plain_fitted = engine.supervisor.variants.fitted

    async def counted(*rest: Any) -> Any:
        fits.append(rest)
        return await plain_fitted(*rest)

    monkeypatch.setattr(engine.supervisor.variants, "fitted", counted)
    targets = [*sandbox.users(300), *sandbox.groups(100)]

    counts = await (await engine.broadcast(targets, Image(make.picture("TIFF")))).wait(60)

    assert {State.SENT: 400} == counts
    # Users and groups, once when submitted and once when delivered.
    assert 4 == len(fits)


async def test_a_large_video_to_users_and_groups_is_uploaded_once_for_each_kind_in_chunks(
    sandbox: RunningSandbox, engine: Engine
) -> None:
    video = padded(make.film("mp4", seconds=2.0, audio="aac"), 16 << 20)
    targets = [*sandbox.users(3), *sandbox.groups(2)]
    counted = ("prepareFor*", "uploadTo*", "putPart", "sendTo*")
    before = [sandbox.calls(name, platform="qqbot") for name in counted]

    receipts = await engine.wait(await engine.submit(targets, Video(video, "film.mp4")), timeout=60)

    after = [sandbox.calls(name, platform="qqbot") for name in counted]
    prepared, merged, parts, sends = (b - a for a, b in zip(before, after, strict=True))
    assert {State.SENT} == {receipt.state for receipt in receipts}
    # Each upload is begun once and merged once; nothing went inline. 16 MiB are four parts of at most 5 MiB.
    assert (2, 2, 8, 5) == (prepared, merged, parts, sends)
    for target in targets:
        (post,) = sandbox.posts(target)
        assert ("video", video) == (post.kind, bytes_of(post))


def padded(mp4: bytes, size: int) -> bytes:
    """The same film with a free box behind it."""
    left = size - len(mp4)
    return mp4 + struct.pack(">I4s", left, b"free") + bytes(left - 8)


# --- coming in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tencent", [True, False], ids=["marked", "plain"])
@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_received_voice_is_saved_as_one_that_plays_anywhere(
    sandbox: RunningSandbox, engine: Engine, platform: str, tencent: bool
) -> None:
    event = await _said(engine, sandbox, platform, make.silk(2.0 if tencent else 2.2, tencent))
    assert event.message is not None
    forward = next(s for s in event.message.segments if isinstance(s, Forward))

    media = await engine.save(ALL[platform], forward.reference, "声音.silk")
    data = b"".join([chunk async for chunk in engine.library.open(media).chunks()])
    raw = await engine.save(ALL[platform], forward.reference, as_received=True)
    seconds, pitch = heard(data)

    assert media.format in ("wav", "mp3")
    assert (("silk" if tencent else "silk3") if media.format == "wav" else "mp3") == raw.format
    assert (2.0 if tencent else 2.2) == pytest.approx(seconds, rel=0.05)
    assert 440 == pytest.approx(pitch, rel=0.03)


async def _said(engine: Engine, sandbox: RunningSandbox, platform: str, voice: bytes) -> Event:
    """Let a person write to the account, and return the event once it is received."""
    target = Target.parse(await person_of(engine, platform))

    async def first() -> Event:
        async for event in engine.events([ALL[platform]]):
            forwards = event.message.segments if event.message else ()
            if event.kind is EventKind.MESSAGE and any(isinstance(s, Forward) for s in forwards):
                return event
        raise AssertionError("the events ended")

    waiting = asyncio.ensure_future(first())
    adapter: Any = await engine.adapter(ALL[platform])
    async with asyncio.timeout(30):
        if platform == "wechatsdk":
            await adapter.registration.done.wait()
        # This gateway keeps nothing for clients that are not connected; the others do.
        while platform == "ohwxapi" and adapter.line._socket is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        await asyncio.to_thread(sandbox.say, platform, target.id, media=voice, kind="voice", name="voice.silk")
        return await waiting
