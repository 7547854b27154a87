"""Serves single files at signed addresses that expire, for platforms that take only an address.

    http://127.0.0.1:41873/m/1767225600/5f1c…/6e34…/photo.jpg
                            end         digest signature, over end, digest and name

There is no listing and no upload, and an address cannot be guessed or altered. The server listens on loopback by
default; `base` names the public address of a proxy if the platform reaches it from outside.
"""

from __future__ import annotations

import asyncio
import hmac
import math
import re
from dataclasses import dataclass
from urllib.parse import quote

from aiohttp import web

from yizhan.errors import ConfigError, MediaDamaged, StorageError
from yizhan.media.library import Library
from yizhan.model import Clock, Content, Media

ROUTE = "/m/{end}/{sha256}/{signature}/{name}"
MAX_SECONDS = 86400.0
"""No address is valid for longer."""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RANGE = re.compile(r"bytes=(\d{1,18})?-(\d{1,18})?")
_PLAIN_TYPES = re.compile(r"(image/(?!svg)|video/|audio/)[\w.+-]+")
"""Types that a browser shows without running code in them."""


@dataclass(frozen=True, slots=True)
class ShareSettings:
    """The address of the server. `base`: scheme, host and path by which others reach it; empty if the same."""

    host: str = "127.0.0.1"
    port: int = 0
    """0 picks a free port."""
    base: str = ""


class ShareServer:
    """Makes addresses and serves them, starting with the first. `secret` signs them, and must not become known."""

    def __init__(self, library: Library, clock: Clock, secret: bytes, settings: ShareSettings | None = None) -> None:
        self.settings = settings or ShareSettings()
        self._library = library
        self._clock = clock
        self._secret = secret
        self._types: dict[str, str] = {}
        self._runner: web.AppRunner | None = None
        self._starting = asyncio.Lock()
        self._port = 0

    async def address(self, media: Media, seconds: float = 600.0) -> str:
        """Return an address at which `media` can be fetched for `seconds`.

        Raises:
            ConfigError: the server cannot listen at its address.
        """
        await self._start()
        self._types[media.sha256] = media.mime
        end = str(math.ceil(self._clock.now() + min(max(seconds, 1.0), MAX_SECONDS)))
        name = quote(media.name or f"{media.sha256[:12]}.{media.format or 'bin'}", safe="")
        return f"{self._base}/m/{end}/{media.sha256}/{self._signature(end, media.sha256, name)}/{name}"

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @property
    def _base(self) -> str:
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return self.settings.base.rstrip("/") or f"http://{host}:{self._port}"

    async def _start(self) -> None:
        async with self._starting:
            if self._runner is not None:
                return
            app = web.Application(client_max_size=0)
            app.router.add_get(ROUTE, self._serve)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
            await runner.setup()
            try:
                await web.TCPSite(runner, self.settings.host, self.settings.port).start()
            except (OSError, OverflowError) as error:
                await runner.cleanup()
                raise ConfigError(
                    f"Shared media cannot be served on {self.settings.host}:{self.settings.port}: {error}. "
                    "Choose another port, or 0 for a free one."
                ) from error
            self._runner, self._port = runner, runner.addresses[0][1]

    def _signature(self, end: str, sha256: str, name: str) -> str:
        return hmac.digest(self._secret, f"{end}\n{sha256}\n{name}".encode(), "sha256").hex()[:40]

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        # The raw pieces are signed, so they are not decoded.
        end, sha256, signature, name = request.rel_url.raw_path.split("/")[-4:]
        right = self._signature(end, sha256, name)
        if not (
            _DIGEST.fullmatch(sha256) and hmac.compare_digest(right.encode(), signature.encode("utf-8", "replace"))
        ):
            return web.Response(status=404, text="Not found.\n")
        if not end.isdecimal() or int(end) < self._clock.now():
            return web.Response(status=410, text="This address has expired.\n")
        try:
            content = self._library.open(sha256)
            await content.prove()
        except (StorageError, MediaDamaged):
            return web.Response(status=404, text="No longer available.\n")
        return await self._answer(request, content, sha256)

    async def _answer(self, request: web.Request, content: Content, sha256: str) -> web.StreamResponse:
        wanted = _range_of(request.headers.get("Range", ""), content.size)
        if wanted is None:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{content.size}"})
        start, stop = wanted
        headers = {
            "Content-Type": self._type(sha256),
            "Content-Length": str(stop - start),
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-store",
            "ETag": f'"{sha256}"',
            "X-Content-Type-Options": "nosniff",
        }
        whole = (start, stop) == (0, content.size)
        if not whole:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{content.size}"
        response = web.StreamResponse(status=200 if whole else 206, headers=headers)
        await response.prepare(request)
        if request.method != "HEAD":
            async for data in content.chunks(start, stop):
                await response.write(data)
        await response.write_eof()
        return response

    def _type(self, sha256: str) -> str:
        mime = self._types.get(sha256, "")
        return mime if _PLAIN_TYPES.fullmatch(mime) else "application/octet-stream"


def _range_of(header: str, size: int) -> tuple[int, int] | None:
    """Return start and stop of a Range header; everything if it is not understood, None if it cannot be satisfied."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[1] is found[2] is None:
        return 0, size
    if found[1] is None:
        last = min(int(found[2]), size)
        return (size - last, size) if last else None
    start = int(found[1])
    stop = min(int(found[2]) + 1, size) if found[2] is not None else size
    return (start, stop) if start < stop else None
