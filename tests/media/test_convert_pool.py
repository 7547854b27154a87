"""The processes that media are converted in: bounded, ended for certain, and replaced when somebody ends them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.media import support as make
from yizhan.errors import MediaFormat, MediaTooLarge, StorageError
from yizhan.media.convert import ConversionLimits, ConversionPool

Data = Callable[[], bytes]


async def test_a_worker_that_hangs_is_ended_and_the_next_job_gets_another(tmp_path: Path) -> None:
    pool = ConversionPool(ConversionLimits(seconds=0.0), workers=1)
    (tmp_path / "a.wav").write_bytes(make.wav())
    with pytest.raises(MediaFormat, match=r"the step 'start' was not done after 0 s"):
        await pool.make("voice;format=silk", tmp_path / "a.wav", tmp_path / "out", "a.wav")
    pool.limits = ConversionLimits()
    await pool.make("voice;format=silk", tmp_path / "a.wav", tmp_path / "out", "a.wav")
    await pool.close()

    assert (tmp_path / "out").read_bytes().startswith(b"\x02#!SILK_V3")


@pytest.mark.skipif(sys.platform != "linux", reason="memory limits are the system's")
async def test_a_job_that_eats_memory_is_refused_and_harms_no_other(tmp_path: Path) -> None:
    pool = ConversionPool(ConversionLimits(memory_bytes=400 << 20), workers=1)
    (tmp_path / "a.png").write_bytes(make.picture("PNG", (9000, 9000)))
    with pytest.raises((MediaTooLarge, MediaFormat), match=r"MiB of memory|converter ended"):
        await pool.make("image;formats=jpeg", tmp_path / "a.png", tmp_path / "out", "a.png")
    (tmp_path / "b.png").write_bytes(make.picture("PNG"))
    made = await pool.make("image;formats=jpeg", tmp_path / "b.png", tmp_path / "out", "b.png")
    await pool.close()

    assert 64 == made.width


def voice_job(folder: Path, data: bytes | None = None) -> tuple[str, Path, Path, str]:
    (folder / "a.wav").write_bytes(data or make.wav())
    return "voice;format=silk", folder / "a.wav", folder / "out", "a.wav"


def endless_job(folder: Path) -> tuple[str, Path, Path, str]:
    """A film that never comes: its worker waits for the other end of a pipe."""
    with suppress(FileExistsError):
        os.mkfifo(folder / "pipe")
    return "mp4", folder / "pipe", folder / "film", "a film"


async def test_a_worker_that_was_killed_while_idle_costs_nothing(tmp_path: Path) -> None:
    pool = ConversionPool(workers=1)
    arguments = voice_job(tmp_path)
    await pool.make(*arguments)
    process = pool._idle[0].process
    os.kill(process.pid, signal.SIGKILL)
    made = await pool.make(*arguments)
    await pool.close()

    assert -signal.SIGKILL == process.returncode
    assert 1000 == made.duration_ms


async def test_a_job_whose_worker_is_killed_is_tried_once_more_and_then_refused(tmp_path: Path) -> None:
    pool = ConversionPool(workers=1)
    job = asyncio.create_task(pool.make(*endless_job(tmp_path)))
    killed: set[int] = set()
    async with asyncio.timeout(60):
        while len(killed) < 2:
            await asyncio.sleep(0.01)
            for pid in {worker.process.pid for worker in pool._busy} - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
    with pytest.raises(MediaFormat, match=r"converter ended at the step '\w+' \(SIGKILL\)"):
        await job
    await pool.make(*voice_job(tmp_path))
    await pool.close()


async def test_a_worker_that_cannot_be_started_is_no_fault_of_the_media(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ConversionPool(workers=1)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(StorageError, match=r"could not be started: .* Nothing is wrong with the media"):
        await pool.make(*voice_job(tmp_path))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(StorageError, match=r"could not be started \(exit code 1\)"):
        await pool.make(*voice_job(tmp_path))
    monkeypatch.undo()
    await pool.make(*voice_job(tmp_path))
    await pool.close()


@pytest.mark.parametrize("said", ["nonsense", "x" * 200_000, '{"share": "much"}'], ids=["words", "long", "wrong"])
async def test_messages_of_no_converter_are_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    (tmp_path / "other").write_text(f"#!/bin/sh\necho '{said}'\nexec cat\n")
    (tmp_path / "other").chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "other"))
    pool = ConversionPool(workers=1)
    with pytest.raises(MediaFormat, match="could not be converted: the converter ended at the step 'start'"):
        await pool.make(*voice_job(tmp_path))
    await pool.close()


async def test_closing_ends_running_jobs_and_no_other_begins(tmp_path: Path) -> None:
    pool = ConversionPool(workers=1)
    await pool.make(*voice_job(tmp_path))
    process = pool._idle[0].process
    jobs = [asyncio.create_task(pool.make(*endless_job(tmp_path))) for _ in range(2)]
    await asyncio.sleep(0)
    await pool.close()

    assert -signal.SIGKILL == process.returncode
    for job in jobs:
        with pytest.raises(StorageError, match="closed"):
            await job
    with pytest.raises(StorageError, match="closed"):
        await pool.make(*voice_job(tmp_path))


async def test_films_do_not_delay_short_jobs(tmp_path: Path) -> None:
    pool = ConversionPool(workers=2)
    films = [asyncio.create_task(pool.make(*endless_job(tmp_path))) for _ in range(3)]
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await pool.make(*voice_job(tmp_path))
    await pool.close()

    assert [StorageError] * 3 == [type(end) for end in await asyncio.gather(*films, return_exceptions=True)]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_no_worker_outlives_a_program_that_is_killed(tmp_path: Path) -> None:
    # Encoded in one step, which takes seconds and says nothing on the way.
    (tmp_path / "long.wav").write_bytes(make.wav_of(make.tone(10.0) * 60))
    code = """
import asyncio, sys
from pathlib import Path
from yizhan.media.convert import ConversionPool

async def main(source, result):
    pool = ConversionPool()

    def say(_share):
        print(next(iter(pool._busy)).process.pid, flush=True)

    await pool.make("voice;format=silk", source, result, "a long sound", say)

asyncio.run(main(*map(Path, sys.argv[1:])))
"""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, tmp_path / "long.wav", tmp_path / "out"), stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout is not None
    pid = int(await program.stdout.readline())
    async with asyncio.timeout(120):
        while not (tmp_path / "out").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        program.kill()
        await program.communicate()
        while running(pid):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    assert (tmp_path / "out").stat().st_size < 100_000, "it was encoded to its end, for nobody"


def running(pid: int) -> bool:
    """Whether a process is there and no mere remains of one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


ROOM: list[tuple[str, Data]] = [
    ("image;formats=png", lambda: make.picture("PNG", (700, 500))),
    ("voice;format=wav", make.wav),
    ("voice;format=mp3", lambda: make.wav(5.0)),
    ("mp4", lambda: make.film("matroska", audio="libopus")),
]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of file sizes are the system's")
@pytest.mark.parametrize(("recipe", "data"), ROOM, ids=[recipe for recipe, _ in ROOM])
async def test_a_result_over_the_cap_is_too_large_and_may_go_as_a_file(tmp_path: Path, recipe: str, data: Data) -> None:
    pool = ConversionPool(ConversionLimits(result_bytes=2000), workers=1)
    (tmp_path / "a").write_bytes(data())
    with pytest.raises(MediaTooLarge, match="the result has more than 2000 bytes") as caught:
        await pool.make(recipe, tmp_path / "a", tmp_path / "out", "a")
    await pool.close()

    assert caught.value.as_file


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize(("recipe", "data"), ROOM, ids=[recipe for recipe, _ in ROOM])
async def test_a_full_disk_is_no_fault_of_the_media(tmp_path: Path, recipe: str, data: Data) -> None:
    pool = ConversionPool(workers=1)
    (tmp_path / "a").write_bytes(data())
    with pytest.raises(StorageError, match=r"No space left on device\. Make room"):
        await pool.make(recipe, tmp_path / "a", Path("/dev/full"), "a")
    await pool.close()


async def test_a_cancelled_job_ends_its_worker(tmp_path: Path) -> None:
    pool = ConversionPool(workers=1)
    (tmp_path / "a.wav").write_bytes(make.wav())
    arguments = ("voice;format=silk", tmp_path / "a.wav", tmp_path / "out", "a.wav")
    await pool.make(*arguments)
    worker = pool._idle[0].process
    os.kill(worker.pid, signal.SIGSTOP)
    job = asyncio.create_task(pool.make(*arguments))
    await asyncio.sleep(0)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    await pool.close()

    assert -signal.SIGKILL == worker.returncode


async def test_workers_are_replaced_after_their_jobs_and_ended_at_the_close(tmp_path: Path) -> None:
    pool = ConversionPool(workers=1, jobs_per_worker=2)
    (tmp_path / "a.wav").write_bytes(make.wav(0.1))
    seen = []
    for _ in range(3):
        await pool.make("voice;format=silk", tmp_path / "a.wav", tmp_path / "out", "a.wav")
        seen += [worker.process for worker in pool._idle]
    await pool.close()

    assert 2 == len({process.pid for process in seen})
    assert None not in [process.returncode for process in seen]


async def test_a_decoder_that_the_caller_named_the_way_to_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(make.picture("PNG"))
    (tmp_path / "pillow_heif.py").write_text("def register_heif_opener(): raise RuntimeError('found')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}")
    own = ConversionPool(workers=1)
    try:
        with pytest.raises(MediaFormat, match="RuntimeError: found"):
            await own.make("check", tmp_path / "a.png", tmp_path / "out", "a.png")
    finally:
        await own.close()


async def test_a_module_that_lies_in_the_callers_folder_disturbs_no_conversion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.png").write_bytes(make.picture("PNG"))
    (tmp_path / "random.py").write_text("raise RuntimeError('not this one')")
    monkeypatch.chdir(tmp_path)
    own = ConversionPool(workers=1)
    try:
        await own.make("image;formats=jpeg", tmp_path / "a.png", tmp_path / "out", "a.png")
    finally:
        await own.close()

    assert (tmp_path / "out").read_bytes().startswith(b"\xff\xd8")
