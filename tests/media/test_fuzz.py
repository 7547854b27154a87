"""Damaged samples at every entrance that strangers' bytes have: looking at them, opening them, and their XML.

A bounded number each, the same in every run; YIZHAN_FUZZ=20 makes twenty times as many, from other beginnings. What is
proved: every input ends in a result or in a refusal, in time, and no decoder dies of it.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from tests.media import support as make
from tests.media.support import library_in
from yizhan.errors import MediaFormat, MediaTooLarge
from yizhan.media.convert import ConversionLimits, ConversionPool
from yizhan.media.probe import probe
from yizhan.media.variants import Variants
from yizhan.model import Media
from yizhan.platforms.wechat_xml import parse_card, parse_contact, parse_friend_request, parse_media, parse_revoked

pytestmark = pytest.mark.asyncio(loop_scope="module")

MORE = int(os.environ.get("YIZHAN_FUZZ", "1"))
SEED = 7 if MORE == 1 else random.SystemRandom().randrange(1 << 30)
SECONDS = 60.0
"""Longer than any of these small samples takes, and shorter than what would count as hanging."""


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """Flip, cut, repeat, swap or lie about a length; most damages are small, since those get furthest."""
    data = bytearray(whole)
    for _ in range(chance.choice((1, 1, 2, 4, 16, 64))):
        at = chance.randrange(len(data))
        match chance.randrange(7):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                data[at : at + 4] = chance.choice(
                    (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\x80\0\0\0")
                )
            case 3:
                piece = data[at : at + chance.randrange(1, 200)]
                data[at:at] = piece * chance.randrange(1, 4)
            case 4:
                other = chance.randrange(len(data))
                data[at : at + 16], data[other : other + 16] = data[other : other + 16], data[at : at + 16]
            case 5:
                del data[at : at + chance.randrange(1, 64)]
            case 6 if chance.random() < 0.3:
                del data[at:]
        if len(data) < 16:
            data += bytes(16)
    return bytes(data)


PICTURES: dict[str, Callable[[], bytes]] = {
    "png": lambda: make.picture("PNG"),
    "jpeg": lambda: make.picture("JPEG"),
    "gif": lambda: make.animation("GIF"),
    "webp": lambda: make.animation("WEBP"),
    "bmp": lambda: make.picture("BMP"),
    "tiff": lambda: make.picture("TIFF"),
    "avif": lambda: make.picture("AVIF"),
}
SOUNDS: dict[str, Callable[[], bytes]] = {
    "mp3": lambda: make.sound("mp3", "libmp3lame", 1.0),
    "wav": lambda: make.wav(0.5),
    "m4a": lambda: make.sound("ipod", "aac", 1.0),
    "aac": lambda: make.sound("adts", "aac", 1.0),
    "ogg": lambda: make.sound("ogg", "libopus", 1.0, rate=48000),
    "flac": lambda: make.sound("flac", "flac", 1.0),
    "amr": lambda: make.sound("amr", "libopencore_amrnb", 1.0, rate=8000),
    "silk": lambda: make.silk(1.0),
}
FILMS: dict[str, Callable[[], bytes]] = {
    "mp4": lambda: make.film("mp4", audio="aac"),
    "mov": lambda: make.film("mov", audio="aac"),
    "mkv": lambda: make.film("matroska", audio="libopus"),
    "webm": lambda: make.film("webm", "libvpx-vp9"),
    "avi": lambda: make.film("avi", "mpeg4"),
    "flv": lambda: make.film("flv", "flv"),
    "ts": lambda: make.film("mpegts"),
}
ALL = {**PICTURES, **SOUNDS, **FILMS}


@pytest.fixture(scope="module")
def samples() -> dict[str, bytes]:
    return {name: sample() for name, sample in ALL.items()}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pool() -> AsyncIterator[ConversionPool]:
    made = ConversionPool(
        ConversionLimits(seconds=SECONDS, pixels=4_000_000, all_pixels=20_000_000, media_seconds=600), workers=2
    )
    yield made
    await made.close()


@pytest.mark.parametrize("name", ALL)
async def test_looking_at_damaged_bytes_always_comes_to_an_end(samples: dict[str, bytes], name: str) -> None:
    chance = random.Random(f"{SEED} look {name}")
    began = time.perf_counter()
    for _ in range(300 * MORE):
        data = damaged(samples[name], chance)
        found = probe(io.BytesIO(data), len(data))
        assert found.kind in ("image", "voice", "video", "file")
        assert min(found.width, found.height, found.duration_ms) >= 0

    assert time.perf_counter() - began < 30 * MORE


async def opened(variants: Variants, media: Media, recipe: str) -> str:
    """Return how a conversion ended: made, refused, or in words how it must not end."""
    try:
        await variants.variant(media, recipe)
    except (MediaFormat, MediaTooLarge) as error:
        words = str(error)
        return words if "converter ended" in words or "was not done" in words else "refused"
    return "made"


RECIPES = {
    **dict.fromkeys(PICTURES, ("check", "image;formats=jpeg;side=64", "image;formats=gif;side=32")),
    **dict.fromkeys(SOUNDS, ("check", "voice;format=silk;rate=24000")),
    **dict.fromkeys(FILMS, ("mp4", "cover;side=48")),
}


@pytest.mark.parametrize("name", ALL)
async def test_opening_damaged_bytes_ends_in_a_result_or_a_refusal(
    samples: dict[str, bytes], pool: ConversionPool, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    variants = Variants(library_in(tmp_path_factory.mktemp("fuzz")), pool)
    chance = random.Random(f"{SEED} open {name}")
    jobs = []
    for _ in range(15 * MORE):
        media = await variants.library.add(damaged(samples[name], chance), name=f"{name} of seed {SEED}")
        jobs += [opened(variants, media, recipe) for recipe in RECIPES[name]]

    ended = await asyncio.gather(*jobs)
    assert [] == [words for words in ended if words not in ("made", "refused")]
    assert {"made", "refused"} == set(ended), "the damage is too small, or too large, to show anything"


XML = {
    "card": '<msg><appmsg appid="" sdkver="0"><title>a &amp; b.pdf</title><type>6</type><appattach>'
    "<totallen>12</totallen><attachid>@cdn_3057_1</attachid><fileext>pdf</fileext><aeskey>00</aeskey></appattach><md5>ab</md5></appmsg></msg>",
    "quote": "<msg><appmsg><title>yes</title><type>57</type><refermsg><type>1</type><svrid>73</svrid><fromusr>wxid_a"
    "</fromusr><displayname>A</displayname><content>&lt;msg&gt;x&lt;/msg&gt;</content></refermsg></appmsg></msg>",
    "picture": '<msg><img aeskey="00" encryver="1" cdnthumburl="3057" length="5" md5="ab" hdlength="7"/></msg>',
    "contact": '<msg username="wxid_a" nickname="A" alias="" sex="1" scene="17" brandIconUrl="http://a/b?c=1&amp;d=2"/>',
    "friend": '<msg fromusername="wxid_a" content="hi" ticket="v2_0@stranger" scene="3" encryptusername="v1_0"/>',
    "revoked": "<sysmsg type='revokemsg'><revokemsg><session>a</session><msgid>1</msgid><newmsgid>2</newmsgid>"
    "<replacemsg><![CDATA[x]]></replacemsg></revokemsg></sysmsg>",
}
TAILS = (
    "]]>",
    "<!DOCTYPE a [<!ENTITY b 'c'>]>",
    "&b;" * 50,
    "<a>" * 3000,
    "\0",
    "\ud800",
    "&#0;",
    "&#xfffff;",
    "<?x ?>",
    "<![CDATA[",
)


@pytest.mark.parametrize("name", XML)
async def test_damaged_xml_is_read_or_refused(name: str) -> None:
    chance = random.Random(f"{SEED} xml {name}")
    began = time.perf_counter()
    for _ in range(500 * MORE):
        text = damaged(XML[name].encode(), chance).decode(
            "utf-8", "surrogateescape" if chance.random() < 0.5 else "replace"
        )
        if chance.random() < 0.3:
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(TAILS) + text[at:]
        for parse in (parse_card, parse_contact, parse_media, parse_friend_request, parse_revoked):
            try:
                parse(text)
            except ValueError:
                continue

    assert time.perf_counter() - began < 60 * MORE
