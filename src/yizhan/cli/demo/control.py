"""The sandbox of the demo: a process of its own, used over its control API."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yizhan.cli.demo.folder import LOG, TEMPORARY, WORLD
from yizhan.cli.demo.processes import command, process_options
from yizhan.cli.exits import USAGE
from yizhan.errors import ConfigError, YizhanError

if TYPE_CHECKING:
    from yizhan.http.client import Caller
    from yizhan.sandbox.wire import PostView

START_SECONDS = 30.0


class SandboxProcess:
    """Starts a sandbox, and calls its control API."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._log = folder / LOG
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._caller: Caller | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    async def start(self) -> None:
        """Return once it takes requests.

        Raises:
            ConfigError: it cannot listen at that port.
            YizhanError: it did not start; the text has the end of its output.
        """
        from yizhan.http.client import Caller

        self._process = self._begin()
        for _ in range(int(START_SECONDS / 0.05)):
            words = self._log.read_text("utf-8", "replace")
            if "ready on " in words:
                self.url = words.partition("ready on ")[2].split()[0]
                self._caller = Caller("sandbox", self.url)
                return
            if self._process.poll() is not None:
                break
            await asyncio.sleep(0.05)
        words = self._log.read_text("utf-8", "replace")[-500:].strip() or "no words"
        if self._process.poll() == USAGE:
            raise ConfigError(words)
        raise YizhanError(f"The sandbox did not start within {START_SECONDS:.0f} s: {words}")

    def _begin(self) -> subprocess.Popen[bytes]:
        # It may outlive the demo, so its output goes to a file.
        with self._log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - our own program
                command("yizhan.cli.demo.network", str(self._port), str(self._folder / WORLD)),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                **process_options(self._folder / TEMPORARY),
            )

    async def close(self, *, keep: bool) -> None:
        if self._caller is not None:
            await self._caller.close()
        if self._process is None:
            return
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as told:
            told.write(b"stay\n" if keep else b"")
        if not keep:
            await self._end(self._process)

    async def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    async def platforms(self) -> list[str]:
        from yizhan.sandbox import wire

        return list((await self._ask(wire.STATUS, wire.Nothing())).platforms)

    async def set_rules(self, platform: str, changes: Mapping[str, Any]) -> None:
        from yizhan.sandbox import wire

        await self._ask(wire.SET_RULES, wire.SetRules(platform, changes=dict(changes)))

    async def people(self, platform: str, kind: Any, count: int) -> list[str]:
        from yizhan.sandbox import wire

        ids: list[str] = (await self._ask(wire.ADD_PEOPLE, wire.People(platform, kind, count))).ids
        return ids

    async def posts(self) -> list[PostView]:
        """Return the posts of every platform."""
        from yizhan.sandbox import wire

        posts: list[PostView] = await self._ask(wire.POSTS, wire.PostQuery())
        return posts

    async def traffic(self) -> dict[str, tuple[int, int]]:
        """Return the number of requests to each platform, and their bytes."""
        from yizhan.sandbox import wire

        found: dict[str, tuple[int, int]] = {}
        for one in await self._ask(wire.REQUESTS, wire.RequestQuery()):
            if one.platform:
                count, carried = found.get(one.platform, (0, 0))
                found[one.platform] = count + 1, carried + one.size
        return found

    async def digest_of(self, sha256: str) -> str:
        """Download bytes that arrived, and return their SHA-256."""
        from yizhan.sandbox import wire

        assert self._caller is not None
        digest = hashlib.sha256()
        async with self._caller.stream(wire.BLOB, wire.BlobQuery(sha256)) as (head, body):
            async for chunk in body:
                digest.update(chunk)
        return digest.hexdigest() if head.status == 200 else f"HTTP {head.status}"

    async def _ask(self, endpoint: Any, request: Any) -> Any:
        assert self._caller is not None
        return await self._caller.call(endpoint, request)


def count_posts(posts: Sequence[PostView]) -> dict[tuple[str, str, str, str], int]:
    """Return how often each digest arrived: by platform, kind of target, target and SHA-256."""
    counts: dict[tuple[str, str, str, str], int] = {}
    for post in posts:
        key = post.platform, post.target_kind, post.target, post.sha256
        counts[key] = counts.get(key, 0) + 1
    return counts
