"""Environments of their own for third-party clients: made once, from pinned lists, and kept between runs."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2] / ".envs"
HERE = Path(__file__).parent
DRIVERS = HERE / "drivers"


@contextmanager
def _locked(name: str) -> Iterator[Path]:
    """One process at a time makes an environment."""
    ROOT.mkdir(exist_ok=True)
    with (ROOT / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield ROOT / name


def python_env(name: str, requirements: Path | None = None) -> Path:
    """Return the interpreter of a virtual environment that holds what `requirements` lists, each with its digests."""
    listed = requirements or HERE / "requirements" / f"{name}.txt"
    stamp = hashlib.sha256(listed.read_bytes()).hexdigest()
    with _locked(name) as folder:
        python = folder / "bin" / "python"
        done = folder / ".done"
        if not done.exists() or done.read_text() != stamp:
            shutil.rmtree(folder, ignore_errors=True)
            _run([sys.executable, "-m", "venv", str(folder)])
            install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"]
            _run([str(python), *install, str(listed)])
            done.write_text(stamp)
    return python


def node_env(name: str, packages: Sequence[str]) -> Path:
    """Return a folder in whose `node_modules` the packages (`name@version`) are installed."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not on this machine")
    stamp = "\n".join(packages)
    with _locked(name) as folder:
        done = folder / ".done"
        if not done.exists() or done.read_text() != stamp:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            (folder / "package.json").write_text('{"name": "wild", "private": true}')
            install = ["npm", "install", "--no-fund", "--no-audit", "--no-package-lock", "--ignore-scripts"]
            _run([*install, *packages], cwd=folder)
            done.write_text(stamp)
    return folder


def _run(command: Sequence[str], cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


class Driver:
    """A running driver, and its reports line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.reports: dict[str, Any] = {}
        self._other: list[str] = []

    async def report(self, name: str, seconds: float = 90) -> Any:
        """Wait for the driver's report under `name`, and return it."""
        try:
            async with asyncio.timeout(seconds):
                while name not in self.reports:
                    await self._read()
        except (TimeoutError, EOFError) as error:
            said = f"reported {self.reports}\nand said:\n{''.join(self._other[-60:])}"
            pytest.fail(f"the driver did not report '{name}' ({type(error).__name__}); it {said}")
        return self.reports[name]

    async def _read(self) -> None:
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode("utf-8", "replace")
        if not line or "failed" in self.reports:
            raise EOFError
        if line.startswith("REPORT "):
            report = json.loads(line.removeprefix("REPORT "))
            self.reports[report["name"]] = report["value"]
        else:
            self._other.append(line)


@asynccontextmanager
async def drive(command: Sequence[str], base: str, cwd: Path, **variables: str) -> AsyncIterator[Driver]:
    """Run a driver against the sandbox at `base`; it is ended at the latest when the block is left."""
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=cwd,
        env={**_clean_environment(), "BASE": base, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=1 << 22,
    )
    try:
        yield Driver(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _clean_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONIOENCODING": "utf-8"}
