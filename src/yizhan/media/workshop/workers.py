"""The near end: hands jobs to worker processes, listens to them, and ends those that take too long."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

import yizhan
from yizhan.errors import MediaFormat, MediaTooLarge
from yizhan.media.workshop.terms import Answer, Caps, Job, Made

__all__ = ["Caps", "Made", "Workshop"]

Progress = Callable[[float], None]
"""Called with how much of the work is done, from 0 to 1."""
MAX_LINE = 1 << 16
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")


@dataclass(slots=True)
class _Worker:
    process: Process
    jobs: int = 0


@dataclass(slots=True)
class _State:
    idle: list[_Worker] = field(default_factory=list)
    busy: set[int] = field(default_factory=set)


class Workshop:
    """At most `workers` processes; each is replaced after `jobs_per_worker` jobs, or when a job failed badly."""

    def __init__(self, caps: Caps | None = None, *, workers: int = 2, jobs_per_worker: int = 100) -> None:
        self.caps = caps or Caps()
        self._jobs_per_worker = jobs_per_worker
        self._places = asyncio.Semaphore(workers)
        self._state = _State()
        self._closed = False

    async def make(self, recipe: str, source: Path, result: Path, what: str, progress: Progress | None = None) -> Made:
        """Carry out `recipe` on the file `source`, writing to the file `result`. `what`: how errors call the media.

        Raises:
            MediaFormat: the bytes cannot be decoded, or took too long or too much memory; the text names the step.
            MediaTooLarge: they cannot be made small enough, or are too many pixels or seconds.
        """
        async with self._places:
            worker = await self._hire()
            keep = False
            try:
                job = Job(recipe, str(source), str(result), self.caps)
                answer = await _Conversation(worker.process, job, what, progress).hold()
                keep = True
            finally:
                await self._release(worker, keep)
        return _judged(answer, what)

    async def close(self) -> None:
        """End the workers that have nothing to do; those at work end with their job."""
        self._closed = True
        while self._state.idle:
            await _end(self._state.idle.pop().process)

    async def _hire(self) -> _Worker:
        while self._state.idle:
            worker = self._state.idle.pop()
            if worker.process.returncode is None:
                return worker
        return _Worker(await _started())

    async def _release(self, worker: _Worker, keep: bool) -> None:
        worker.jobs += 1
        if keep and not self._closed and worker.jobs < self._jobs_per_worker:
            self._state.idle.append(worker)
        else:
            await asyncio.shield(_end(worker.process))


class _Conversation:
    """One job: said in one line, answered in lines, the last of which is the result."""

    def __init__(self, process: Process, job: Job, what: str, progress: Progress | None) -> None:
        self._process = process
        self._job = job
        self._what = what
        self._progress = progress
        self._step = "start"

    async def hold(self) -> Answer:
        seconds = self._job.caps.seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._talk()
        except TimeoutError:
            error = MediaFormat(
                f"{self._what} could not be converted: the step '{self._step}' was not done after {seconds:g} s. "
                "Convert it yourself, or send it as a file."
            )
            # A film may simply be long; for anything else it is not to be trusted.
            error.as_file = self._job.recipe.startswith("mp4")
            raise error from None

    async def _talk(self) -> Answer:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with suppress(ConnectionError):
            stdin.write(msgspec.json.encode(self._job) + b"\n")
            await stdin.drain()
        while line := await stdout.readline():
            answer = msgspec.json.decode(line, type=Answer)
            if answer.made is not None or answer.error:
                return answer
            self._step = answer.step or self._step
            if self._progress is not None and answer.share:
                self._progress(answer.share)
        await self._process.wait()
        raise MediaFormat(
            f"{self._what} could not be converted: the converter ended at the step '{self._step}' "
            f"({_cause(self._process.returncode or 0)}). The file is broken or hostile; send it as a file if you must."
        )


def _judged(answer: Answer, what: str) -> Made:
    if answer.made is not None:
        return answer.made
    kind: type[MediaTooLarge | MediaFormat] = MediaTooLarge if answer.too_large else MediaFormat
    error = kind(f"{what} could not be converted: the step '{answer.step}' failed: {answer.error}")
    error.as_file = answer.as_file
    raise error


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    if -code == getattr(signal, "SIGXCPU", 0):
        return "out of time"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


async def _started() -> Process:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # The worker finds this package where we found it, installed or not.
    environment["PYTHONPATH"] = str(Path(yizhan.__file__).parent.parent)
    environment["OMP_NUM_THREADS"] = "1"
    return await asyncio.create_subprocess_exec(
        sys.executable,
        # Nothing that happens to lie in the caller's folder is imported in place of a module.
        "-P",
        "-m",
        "yizhan.media.workshop.worker",
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env=environment,
        limit=MAX_LINE,
        start_new_session=True,
    )


async def _end(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await process.wait()
    if process.stdin is not None:
        process.stdin.close()
