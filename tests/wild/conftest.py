"""Media on disk for third-party clients, and a plain file server on loopback for those that take addresses only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from tests.end_to_end.files import pdf, png

MP4 = (
    b"\0\0\0\x20ftypisom\0\0\2\0isomiso2avc1mp41"
    b"\0\0\0\x08free"
    b"\0\0\0\x78moov\0\0\0\x6cmvhd" + b"\0" * 12 + (1000).to_bytes(4, "big") + (2000).to_bytes(4, "big") + b"\0" * 80
)


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """A folder with a picture, a clip, a document and something large."""
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "picture.png").write_bytes(png())
    (folder / "clip.mp4").write_bytes(MP4)
    (folder / "report.pdf").write_bytes(pdf())
    (folder / "报告.pdf").write_bytes(pdf())
    (folder / "big.bin").write_bytes(b"%PDF-1.4\n" + bytes(range(256)) * 5200)
    return folder


@pytest.fixture
async def files(media: Path) -> AsyncIterator[str]:
    """The address below which the media are served."""
    app = web.Application()
    app.router.add_static("/", media)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()
