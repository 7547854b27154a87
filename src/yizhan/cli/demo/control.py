"""The sandbox of the demo: a process of its own, asked over its control calls."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yizhan.errors import YizhanError

if TYPE_CHECKING:
    from yizhan.net.caller import Caller
    from yizhan.sandbox.wire import PostView

START_SECONDS = 30.0


class SandboxProcess:
    """Starts a sandbox, and asks it what a person could ask with curl."""

    def __init__(self, folder: Path, port: int) -> None:
        self._log = folder / "sandbox.log"
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
            YizhanError: it did not come up; the text has its last words.
        """
        from yizhan.net.caller import Caller

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
        raise YizhanError(
            f"The sandbox did not start: {self._log.read_text('utf-8', 'replace')[-500:].strip() or 'no words'}"
        )

    def _begin(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "yizhan.cli", "sandbox", "--port", str(self._port)]
        # It may outlive the demo: its output goes to a file, and Ctrl-C in the terminal is not for it.
        with self._log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=clean_environment(),
            )

    async def close(self, *, keep: bool) -> None:
        if self._caller is not None:
            await self._caller.close()
        if self._process is not None and not keep:
            self._process.terminate()
            try:
                await asyncio.to_thread(self._process.wait, 10)
            except subprocess.TimeoutExpired:
                self._process.kill()

    async def platforms(self) -> list[str]:
        from yizhan.sandbox import wire

        return list((await self._ask(wire.STATUS, wire.Nothing())).platforms)

    async def lift_limits(self, platform: str) -> None:
        from yizhan.sandbox import wire

        await self._ask(wire.SET_RULES, wire.SetRules(platform, limits=False))

    async def people(self, platform: str, kind: Any, count: int) -> list[str]:
        from yizhan.sandbox import wire

        ids: list[str] = (await self._ask(wire.ADD_PEOPLE, wire.People(platform, kind, count))).ids
        return ids

    async def posts(self) -> list[PostView]:
        """Return what arrived, on every platform."""
        from yizhan.sandbox import wire

        posts: list[PostView] = await self._ask(wire.POSTS, wire.PostQuery())
        return posts

    async def traffic(self) -> tuple[int, int]:
        """Return how many requests the platforms were sent, and how many bytes were in them."""
        from yizhan.sandbox import wire

        requests = [one for one in await self._ask(wire.REQUESTS, wire.RequestQuery()) if one.platform]
        return len(requests), sum(one.size for one in requests)

    async def digest_of(self, sha256: str) -> str:
        """Fetch bytes that arrived, and return the SHA-256 of what came."""
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


def clean_environment() -> Mapping[str, str]:
    """The environment without what sets options of the command line, such as YIZHAN_SANDBOX_PORT."""
    return {name: value for name, value in os.environ.items() if not name.startswith("YIZHAN_")}


def count_posts(posts: Sequence[PostView]) -> dict[tuple[str, str, str, str], int]:
    """Return how often each digest arrived: by platform, kind of target, target and SHA-256."""
    counts: dict[tuple[str, str, str, str], int] = {}
    for post in posts:
        key = post.platform, post.target_kind, post.target, post.sha256
        counts[key] = counts.get(key, 0) + 1
    return counts
