"""The pool of converters: gives jobs to worker processes, and kills those that take too long."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from yizhan.errors import MediaFormat, MediaTooLarge, StorageError
from yizhan.media.convert.protocol import Answer, Conversion, ConversionLimits, Job

__all__ = ["Conversion", "ConversionLimits", "ConversionPool"]

Progress = Callable[[float], None]
"""Called with the share of the work done, from 0 to 1."""
MAX_LINE = 1 << 16
_CLOSED = "The converters are closed; nothing was converted. Open the store again."
_FROM_OUTSIDE = (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGKILL", 0), getattr(signal, "SIGHUP", 0))
"""Signals that come from outside the worker."""
_SOURCE_ROOT = str(Path(__file__).parents[3])
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")


@dataclass(slots=True, eq=False)
class _Worker:
    process: Process
    jobs: int = 0


class ConversionPool:
    """At most `workers` processes; each is replaced after `jobs_per_worker` jobs, or when a job failed badly.

    Videos take minutes, everything else seconds: with two workers or more, one is kept free of videos.
    """

    def __init__(self, limits: ConversionLimits | None = None, *, workers: int = 2, jobs_per_worker: int = 100) -> None:
        self.limits = limits or ConversionLimits()
        self._jobs_per_worker = jobs_per_worker
        self._places = asyncio.Semaphore(workers)
        self._film_places = asyncio.Semaphore(max(1, workers - 1))
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._closed = False

    async def make(
        self, recipe: str, source: Path, result: Path, what: str, progress: Progress | None = None
    ) -> Conversion:
        """Convert the file `source` by `recipe` into the file `result`. `what`: the media in error texts.

        Raises:
            MediaFormat: the bytes cannot be decoded, or took too long or too much memory; the text names the step.
            MediaTooLarge: they cannot be made small enough, or have too many pixels or seconds.
            StorageError: the disk is full, or a converter cannot be started; later it may succeed.
        """
        job = Job(recipe, str(source), str(result), self.limits)
        async with self._film_places if recipe.startswith("mp4") else nullcontext(), self._places:
            return _result(await self._answer(job, what, progress), what)

    async def close(self) -> None:
        """Kill all workers, also busy ones: their results are no longer wanted."""
        self._closed = True
        for worker in [*self._idle, *self._busy]:
            await _end(worker.process)
        self._idle.clear()

    async def _answer(self, job: Job, what: str, progress: Progress | None, *, last: bool = False) -> Answer:
        try:
            return await self._run(job, what, progress)
        except _Ended as ended:
            if last or self._closed or not ended.by_signal_from_outside:
                raise self._error(ended, what, job) from None
        # A system short of memory kills arbitrary processes; that says nothing about the media.
        return await self._answer(job, what, progress, last=True)

    async def _run(self, job: Job, what: str, progress: Progress | None) -> Answer:
        worker = await self._acquire()
        self._busy.add(worker)
        keep = False
        try:
            self._check_open()
            answer = await _Conversation(worker.process, job, what, progress).hold()
            keep = True
            return answer
        finally:
            self._busy.discard(worker)
            await self._release(worker, keep)

    async def _acquire(self) -> _Worker:
        self._check_open()
        while self._idle:
            worker = self._idle.pop()
            if worker.process.returncode is None:
                return worker
        try:
            return _Worker(await _started())
        except OSError as error:
            raise StorageError(
                f"The converter could not be started: {error}. Nothing is wrong with the media; free memory or "
                "processes, and try again."
            ) from error

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError(_CLOSED)

    async def _release(self, worker: _Worker, keep: bool) -> None:
        worker.jobs += 1
        if keep and not self._closed and worker.jobs < self._jobs_per_worker:
            self._idle.append(worker)
        else:
            await asyncio.shield(_end(worker.process))

    def _error(self, ended: _Ended, what: str, job: Job) -> MediaFormat | StorageError:
        if self._closed:
            return StorageError(_CLOSED)
        if ended.step == "start" and ended.code >= 0:
            return StorageError(
                f"The converter could not be started ({_cause(ended.code)}). Nothing is wrong with the media; see "
                "whether 'python -m yizhan.media.convert.worker' runs here."
            )
        error = MediaFormat(
            f"{what} could not be converted: the converter ended at the step '{ended.step}' ({_cause(ended.code)}). "
            "The file is broken or hostile; send it as a file if you must."
        )
        error.as_file = ended.out_of_time and _may_be_long(job)
        return error


class _Conversation:
    """One job: a line to the worker, and lines of progress back, the last with the result."""

    def __init__(self, process: Process, job: Job, what: str, progress: Progress | None) -> None:
        self._process = process
        self._job = job
        self._what = what
        self._progress = progress
        self._step = "start"

    async def hold(self) -> Answer:
        seconds = self._job.limits.seconds
        try:
            async with asyncio.timeout(seconds):
                return await self._talk()
        except TimeoutError:
            error = MediaFormat(
                f"{self._what} could not be converted: the step '{self._step}' was not done after {seconds:g} s. "
                "Convert it yourself, or send it as a file."
            )
            error.as_file = _may_be_long(self._job)
            raise error from None

    async def _talk(self) -> Answer:
        stdin = self._process.stdin
        assert stdin is not None
        with suppress(ConnectionError):
            stdin.write(msgspec.json.encode(self._job) + b"\n")
            await stdin.drain()
        while (answer := await self._next()) is not None:
            if answer.made is not None or answer.error:
                return answer
            self._step = answer.step or self._step
            if self._progress is not None and answer.share:
                self._progress(answer.share)
        raise _Ended(self._step, await self._process.wait())

    async def _next(self) -> Answer | None:
        """Return the next line; None at the end, or for a line that is no answer."""
        assert self._process.stdout is not None
        try:
            line = await self._process.stdout.readline()
            return msgspec.json.decode(line, type=Answer) if line else None
        except (ValueError, msgspec.DecodeError):
            await _end(self._process)
            return None


class _Ended(Exception):
    """A worker ended without an answer. `code`: its exit code, or the negative number of a signal."""

    def __init__(self, step: str, code: int) -> None:
        super().__init__(step, code)
        self.step = step
        self.code = code

    @property
    def by_signal_from_outside(self) -> bool:
        return -self.code in _FROM_OUTSIDE

    @property
    def out_of_time(self) -> bool:
        return -self.code == getattr(signal, "SIGXCPU", 0)


def _may_be_long(job: Job) -> bool:
    """Whether the job is a video, which may simply be long; other slow jobs are suspicious."""
    return job.recipe.startswith("mp4")


def _result(answer: Answer, what: str) -> Conversion:
    if answer.made is not None:
        return answer.made
    if answer.machine:
        raise StorageError(f"{what} could not be converted: the step '{answer.step}' failed: {answer.error}")
    kind: type[MediaTooLarge | MediaFormat] = MediaTooLarge if answer.too_large else MediaFormat
    error = kind(f"{what} could not be converted: the step '{answer.step}' failed: {answer.error}")
    error.as_file = answer.as_file
    raise error


def _cause(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


async def _started() -> Process:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # The worker imports this package and its libraries from the same places as this process.
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    environment["PYTHONPATH"] = os.pathsep.join([_SOURCE_ROOT, *filter(None, given)])
    environment["OMP_NUM_THREADS"] = "1"
    # The file size limit of a worker would truncate compiled modules, and later imports of them would fail.
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return await asyncio.create_subprocess_exec(
        sys.executable,
        # Modules in the current folder must not shadow installed ones.
        "-P",
        "-m",
        "yizhan.media.convert.worker",
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
