"""Thumbnails, avatars and QR codes. Unreadable or hostile bytes get a gray square, never an error."""

from __future__ import annotations

import asyncio
import base64
import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from yizhan.world import Blob

if TYPE_CHECKING:
    from PIL import Image

THUMB = 100
"""Pixels of the square into which a thumbnail fits."""
MAX_PIXELS = 64_000_000


async def thumb_size(blob: Blob) -> tuple[int, int]:
    """Return width and height of the thumbnail; (0, 0) if the file is neither a picture nor a video."""
    return await asyncio.to_thread(_size, blob.path)


async def thumbnail(blob: Blob) -> bytes:
    """Return a JPEG fitted into 100 × 100."""
    return await asyncio.to_thread(_thumbnail, blob.path)


@cache
def avatar() -> bytes:
    """Return a small JPEG."""
    return _square((120, 160, 200), 64)


@cache
def avatar_uri() -> str:
    return "data:img/jpg;base64," + base64.b64encode(avatar()).decode()


@cache
def blank() -> bytes:
    return _square((200, 200, 200), THUMB)


def qr_picture(text: str) -> bytes:
    """Return a JPEG with the QR code of `text`."""
    import segno
    from PIL import Image

    png = io.BytesIO()
    segno.make(text, error="m").save(png, kind="png", scale=8, border=4)
    image = io.BytesIO()
    Image.open(io.BytesIO(png.getvalue())).convert("L").save(image, "JPEG", quality=90)
    return image.getvalue()


def _square(color: tuple[int, int, int], side: int) -> bytes:
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (side, side), color).save(data, "JPEG")
    return data.getvalue()


def _size(path: Path) -> tuple[int, int]:
    return _fitted(*(_picture_size(path) or _video_size(path) or (0, 0)))


def _fitted(width: int, height: int) -> tuple[int, int]:
    if not width or not height:
        return 0, 0
    scale = min(1.0, THUMB / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _picture_size(path: Path) -> tuple[int, int] | None:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.size
    except Exception:
        # Decoders raise errors of any kind on bytes that are not a picture.
        return None


def _video_size(path: Path) -> tuple[int, int] | None:
    try:
        with path.open("rb") as file:
            if b"ftyp" not in file.read(12):
                return None
        import av

        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            return int(stream.width), int(stream.height)
    except Exception:
        return None


def _thumbnail(path: Path) -> bytes:
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                return blank()
            return _jpeg(image.resize(_fitted(*image.size), reducing_gap=2.0))
    except Exception:
        return _frame(path) or blank()


def _frame(path: Path) -> bytes | None:
    """Return a thumbnail of the first frame of a video."""
    try:
        with path.open("rb") as file:
            if b"ftyp" not in file.read(12):
                return None
        import av

        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
            return _jpeg(image.resize(_fitted(*image.size)))
    except Exception:
        return None


def _jpeg(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.convert("RGB").save(data, "JPEG", quality=80)
    return data.getvalue()
