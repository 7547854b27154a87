"""The worker process: takes jobs from standard input, one a line, until it is closed."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

import msgspec

from yizhan.media.convert.protocol import THREADS, Answer, Conversion, ConversionLimits, Job, Refusal
from yizhan.platforms.kit.media_rules import Recipe

Step = Callable[..., None]
_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class Report:
    """Reports progress, one line for each step or percent."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self.step = "start"
        self._share = 0.0

    def __call__(self, step: str, share: float = 0.0) -> None:
        if step == self.step and share < self._share + 0.01:
            return
        self.step, self._share = step, share
        self.say(Answer(step=step, share=min(share, 1.0)))

    def say(self, answer: Answer) -> None:
        self._out.write(msgspec.json.encode(answer) + b"\n")
        self._out.flush()


def main() -> None:
    # Libraries may write to standard output, so answers go to a duplicate of its descriptor.
    report = Report(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    limited = False
    for line in _lines():
        job = msgspec.json.decode(line, type=Job)
        try:
            _load(Recipe.parse(job.recipe).name)
        except ImportError as error:
            report.say(Answer(step="start", error=f"{error}. Install yizhan again.", machine=True))
            continue
        if not limited:
            _limit_once(job.limits)
            limited = True
        _limit_time(job.limits)
        report("begin")
        report.say(_answered(job, report))


def _lines() -> Iterator[bytes]:
    """Yield the lines of standard input. When it is closed, the process exits at once, also during a job, so that no
    worker outlives a killed program."""
    lines: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        os._exit(0)

    Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()


def _load(recipe: str) -> None:
    """Import the libraries of the recipe before memory is limited."""
    if recipe in ("image", "thumb", "check"):
        import PIL.Image  # noqa: F401
    else:
        import av  # noqa: F401


def _answered(job: Job, report: Report) -> Answer:
    try:
        return Answer(made=carry_out(job, report))
    except Refusal as error:
        return Answer(step=report.step, error=str(error), too_large=error.too_large, as_file=error.as_file)
    except MemoryError:
        text = f"it takes more than {job.limits.memory_bytes >> 20} MiB of memory. Make it smaller first."
        return Answer(step=report.step, error=text, too_large=True)
    except Exception as error:
        code = getattr(error, "errno", None)
        if code in _NO_ROOM:
            text = f"{os.strerror(code)}. Make room where the library is."
            return Answer(step=report.step, error=text, machine=True)
        if code == errno.EFBIG:
            text = f"the result has more than {job.limits.result_bytes} bytes. Make it smaller, or send it as a file."
            return Answer(step=report.step, error=text, too_large=True, as_file=True)
        words = f"{type(error).__name__}: {error}".replace(job.source, "the file").replace(job.result, "the result")
        return Answer(step=report.step, error=f"{words[:300]}. The file is broken, or not what it seems.")


def carry_out(job: Job, report: Step) -> Conversion:
    """Do one job in this process.

    Raises:
        Refusal: it is impossible. Decoders raise other exceptions, too.
    """
    recipe = Recipe.parse(job.recipe)
    made: Conversion = _maker(recipe.name)(recipe, Path(job.source), Path(job.result), job.limits, report)
    return made


def _maker(name: str) -> Any:
    if name == "check":
        return _check
    if name in ("image", "thumb"):
        from yizhan.media.convert import images

        return {"image": images.image, "thumb": images.thumb}[name]
    if name == "voice":
        from yizhan.media.convert import audio

        return audio.voice
    from yizhan.media.convert import video

    return {"mp4": video.mp4, "cover": video.cover}[name]


def _check(recipe: Recipe, source: Path, result: Path, limits: ConversionLimits, step: Any) -> Conversion:
    """Check that a picture or a sound can be decoded; other media are not checked."""
    from yizhan.media.probe import probe

    with source.open("rb") as file:
        kind = probe(file, source.stat().st_size).kind
    if kind == "voice":
        from yizhan.media.convert import audio

        return audio.check(recipe, source, result, limits, step)
    if kind == "image":
        from yizhan.media.convert import images

        return images.check(recipe, source, result, limits, step)
    return Conversion(same=True)


def _limit_once(limits: ConversionLimits) -> None:
    try:
        import resource
    except ImportError:  # not on this system: the pool still limits the time
        return
    for what, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.result_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _limit_time(limits: ConversionLimits) -> None:
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    # All threads of decoder and encoder count, and so do earlier jobs of this process.
    most = int(used.ru_utime + used.ru_stime + limits.seconds * THREADS * 2) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (most, hard))


if __name__ == "__main__":
    main()
