"""Media: taking in, enciphering, converting, and uploading in chunks, each against the plain way of doing the same."""

from __future__ import annotations

import asyncio
import io
import math
import os
import statistics
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp

from bench.common import Row, engine, folder, server

MIB = 1 << 20


def ingest(mebibytes: int) -> list[Row]:
    """Taking in a file against the slower of its hashes, and the memory that it takes."""
    from bench import media_ingest

    return [Row(**row) for row in media_ingest.run(mebibytes)]


async def media(quick: bool) -> list[Row]:
    size = 64 * MIB if quick else 256 * MIB
    rows = [await enciphering(size)]
    rows += await converting(5 if quick else 20)
    return rows + await chunked_upload(200 * MIB, 3 if quick else 7)


# --- enciphering ------------------------------------------------------------------------------------------------------


async def enciphering(size: int) -> Row:
    """AES-ECB in a stream, as iLink's CDN wants it, against one call over one buffer."""
    from cryptography.hazmat.primitives.ciphers import Cipher, modes
    from cryptography.hazmat.primitives.ciphers.algorithms import AES128

    from yizhan.model import BytesContent
    from yizhan.platforms.ilink.wire.crypt import Enciphered

    data, key = os.urandom(MIB) * (size // MIB), os.urandom(16)

    async def whole() -> float:
        start = time.perf_counter()
        encryptor: Any = Cipher(AES128(key), modes.ECB()).encryptor()
        encryptor.update(data)
        return time.perf_counter() - start

    async def streamed() -> float:
        start = time.perf_counter()
        async for _ in Enciphered(BytesContent(data), key).chunks():
            pass
        return time.perf_counter() - start

    ratio, detail = await _paired(whole, streamed, 5)
    speed = f"one buffer {size / MIB / await whole():.0f} MiB/s"
    return Row(
        f"AES-ECB of {size // MIB} MiB, streamed ÷ one buffer", ratio, "≥ 0.8", ratio >= 0.8, f"{speed}; {detail}"
    )


# --- converting -------------------------------------------------------------------------------------------------------


async def converting(count: int) -> list[Row]:
    """Voices to SILK and photographs to JPEG through the workers, against the bare libraries in this process."""
    with folder() as path:
        async with _prepare(path) as prepare:
            silk = await _against(
                prepare, [_wav(60.0, 440 + i) for i in range(count)], "voice;format=silk;rate=24000", _plain_silk
            )
            photos = [_photo(i) for i in range(count)]
            jpeg = await _against(prepare, photos, f"image;formats=jpeg;side={SIDE}", _plain_jpeg)
    sound, picture = 60.0 * count, float(count)
    return [
        Row(
            f"{count} voices of 60 s to SILK: workers ÷ bare library",
            silk[1] / silk[0],
            "≥ 0.8",
            silk[1] / silk[0] >= 0.8,
            f"{sound / silk[0]:.0f} s of sound a second, bare {sound / silk[1]:.0f}",
        ),
        Row(
            f"{count} photographs to JPEG: workers ÷ bare library",
            jpeg[1] / jpeg[0],
            "≥ 0.8",
            jpeg[1] / jpeg[0] >= 0.8,
            f"{picture / jpeg[0]:.1f} pictures a second, bare {picture / jpeg[1]:.1f}",
        ),
    ]


SIDE = 1600


class _prepare:
    """A library with its workshop in a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aenter__(self) -> Any:
        from yizhan.media.blobs import open_blobs
        from yizhan.media.index import SqlMediaIndex
        from yizhan.media.library import Library
        from yizhan.media.variants import Variants
        from yizhan.runtime.clock import SystemClock
        from yizhan.storage.ledger import Ledger

        self._ledger = await Ledger.open(self._path / "yizhan.db")
        library = Library(open_blobs(self._path / "media"), SqlMediaIndex(self._ledger), SystemClock())
        self._made = Variants(library)
        return self._made

    async def __aexit__(self, *_: object) -> None:
        await self._made.close()
        await self._ledger.close()


async def _against(
    prepare: Any, sources: list[bytes], recipe: str, plain: Callable[[bytes], None]
) -> tuple[float, float]:
    """Seconds through the workers, all at once, and seconds of the bare library, one after the other."""
    media = [await prepare.library.add(data) for data in sources]
    # Starting a worker is paid once by a program that runs for long.
    await asyncio.gather(*(prepare.variant(one, "thumb;side=16") for one in media[:2] if one.kind == "image"))
    await asyncio.gather(
        *(prepare.variant(one, "voice;format=wav;rate=8000") for one in media[:2] if one.kind == "voice")
    )
    start = time.perf_counter()
    await asyncio.gather(*(prepare.variant(one, recipe) for one in media))
    made = time.perf_counter() - start
    start = time.perf_counter()
    for data in sources:
        plain(data)
    return made, time.perf_counter() - start


def _wav(seconds: float, pitch: float) -> bytes:
    import wave

    one = b"".join(struct.pack("<h", int(9000 * math.sin(2 * math.pi * pitch * i / 24000))) for i in range(24000))
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24000)
        file.writeframes(one * int(seconds))
    return out.getvalue()


def _plain_silk(wav: bytes) -> None:
    import pysilk

    pysilk.encode(io.BytesIO(wav[44:]), io.BytesIO(), 24000, 24000, tencent=True)


def _photo(seed: int) -> bytes:
    """Twelve megapixels of something that is neither flat nor noise."""
    from PIL import Image

    small = Image.frombytes("RGB", (200, 150), os.urandom(90_000))
    out = io.BytesIO()
    small.resize((4000, 3000), Image.Resampling.BICUBIC).save(out, "PNG", compress_level=1)
    return out.getvalue() + bytes([seed % 256])


def _plain_jpeg(png: bytes) -> None:
    from PIL import Image

    picture = Image.open(io.BytesIO(png))
    picture.load()
    picture.resize((SIDE, SIDE * 3 // 4), Image.Resampling.LANCZOS).save(
        io.BytesIO(), "JPEG", quality=92, optimize=True
    )


# --- uploading --------------------------------------------------------------------------------------------------------


async def chunked_upload(size: int, rounds: int) -> list[Row]:
    """A file in chunks to a QQ bot's storage, against the same parts put by plain aiohttp, two at a time each.

    The platform wants the SHA-1 of the file before the first byte. It is counted once for a file: the first upload
    waits for that, the other scene and every renewal do not.
    """
    from yizhan.platforms.qqbot.client.digests import DigestCache

    with folder() as path, server() as base:
        file = path / "film.bin"
        with file.open("wb") as out:
            for _ in range(size // MIB):
                out.write(os.urandom(MIB))
        async with engine(path / "store", base) as yz:
            media = await yz.library.add(file)
            adapter = await yz.adapter("qqbot.main")
            await adapter.bot.tokens.headers()

            async def ours() -> float:
                from yizhan.model import File, Message, Target

                target = Target("qqbot.main", "user", "0" * 32)
                ((need,),) = (part.needs for part in adapter.compose(Message((File(media, "film.bin"),)), target))
                start = time.perf_counter()
                await adapter.upload(need, yz.library.open(media), target)
                return time.perf_counter() - start

            async def first() -> float:
                adapter._digests = DigestCache()
                return await ours()

            ratio, detail = await _paired(lambda: _put_raw(base, file), ours, rounds)
            cold, cold_detail = await _paired(lambda: _put_raw(base, file), first, rounds)
    what = f"{size // MIB} MiB in chunks to QQ ÷ the same bytes PUT by raw aiohttp"
    return [
        Row(what, ratio, "≥ 0.8", ratio >= 0.8, detail),
        Row("  the first upload of a file, with its SHA-1", cold, "≥ 0.5", cold >= 0.5, cold_detail),
    ]


async def _put_raw(base: str, file: Path, block: int = 5 * MIB) -> float:
    """Seconds of putting `file` in parts, two at a time, as plain aiohttp does it."""
    size = file.stat().st_size
    starts = iter(range(0, size, block))

    async def worker(session: aiohttp.ClientSession) -> None:
        for start in starts:
            body = _piece(file, start, min(block, size - start))
            headers = {"Content-Length": str(min(block, size - start))}
            async with session.put(f"{base}/cos/{start}", data=body, headers=headers) as response:
                await response.read()

    async with aiohttp.ClientSession() as session:
        began = time.perf_counter()
        await asyncio.gather(worker(session), worker(session))
        return time.perf_counter() - began


async def _piece(file: Path, start: int, length: int) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        source.seek(start)
        while length:
            data = await asyncio.to_thread(source.read, min(MIB, length))
            length -= len(data)
            yield data


async def _paired(
    plain: Callable[[], Awaitable[float]], ours: Callable[[], Awaitable[float]], rounds: int
) -> tuple[float, str]:
    """The median of seconds of the plain way ÷ seconds of ours, taken in turns so that both see the same machine."""
    await plain()
    await ours()
    ratios = sorted([await plain() / await ours() for _ in range(rounds)])
    return statistics.median(ratios), f"of {rounds} pairs: {ratios[0]:.2f} to {ratios[-1]:.2f}"
