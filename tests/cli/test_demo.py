"""The demo as a process of its own; its files; and that its proof notices errors."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gate import Gate
from tests.support import PATIENCE
from yizhan.cli.demo.crowd import CROWDS, crowds
from yizhan.cli.demo.files import PAGES, book, picture
from yizhan.cli.demo.proof import counts_in, prove
from yizhan.cli.demo.screen import Screen, table, wide
from yizhan.cli.demo.sender import Sender
from yizhan.cli.demo.stage import Play
from yizhan.cli.demo.worker import Order
from yizhan.cli.output import Output
from yizhan.errors import ConfigError
from yizhan.sandbox.wire import PostView
from yizhan.testing import RunningSandbox

COMMAND = [sys.executable, "-m", "yizhan.cli", "demo"]


def demo(*words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    surroundings = {**os.environ, **(env or {})}
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, timeout=3 * PATIENCE, check=False, env=surroundings
    )


def test_the_demo_kills_its_sender_and_everyone_gets_both_files_exactly_once() -> None:
    done = demo("--scale", "0.5", "--platform", "qqbot", "--platform", "webwechat", "--json")

    events = [json.loads(line) for line in done.stdout.splitlines()]
    results = {(e["platform"], e["kind"]): e for e in events if e["event"] == "result"}
    killed = next(e for e in events if e["event"] == "killed")
    recovered = next(e for e in events if e["event"] == "recovered")
    settled = next((e for e in events if e["event"] == "settled"), {"unknown": 0, "arrived": 0, "sent_again": 0})
    assert (0, "") == (done.returncode, done.stderr)
    assert [True] * 6 == [e["ok"] for e in events if e["event"] == "check"]
    assert {("qqbot", "user"): 250, ("qqbot", "group"): 250, ("webwechat", "user"): 100} == {
        key: row["sent"] for key, row in results.items()
    }
    assert [2, 2, 2] == [row["uploads"] for row in results.values()]
    assert [True] * 3 == [row["shared"] for row in results.values()]
    assert all(row["uploaded_bytes"] * row["targets"] == 1 * row["one_by_one_bytes"] for row in results.values())
    assert 0 < killed["counts"]["sent"] < 600
    assert killed["counts"].get("sending", 0) == recovered["asked_again"] + recovered["unknown"]
    assert settled["unknown"] == recovered["unknown"] == settled["arrived"] + settled["sent_again"]


def test_all_five_platforms_take_part_in_plain_lines_of_at_most_80_columns() -> None:
    from rich.cells import cell_len

    done = demo("--scale", "0.1")

    rows = re.findall(r"^  (\S.{11}) +(\d+) +(\d+) +(\d+) +\d", done.stdout, re.MULTILINE)
    assert (0, "") == (done.returncode, done.stderr)
    assert "\x1b" not in done.stdout
    assert [] == [line for line in done.stdout.splitlines() if cell_len(line) > 80]
    assert [
        ("QQ users", "50", "50", "2"),
        ("QQ groups", "50", "50", "2"),
        ("web WeChat", "20", "20", "2"),
        ("WeChat SDK", "10", "10", "2"),
        ("ohwxapi", "10", "10", "2"),
        ("iLink *", "3", "3", "6"),
        ("together", "143", "143", "16"),
    ] == [(row[0].strip(), *row[1:]) for row in rows]
    assert "* one upload per person and file" in done.stdout
    assert "iLink keeps its own: people who wrote may get ten messages, and get two." in done.stdout
    assert "Image('station.png'), File('book.pdf'))" in done.stdout
    assert "yizhan send qqbot.demo/user/" in done.stdout


def test_people_of_ilink_get_both_files_once_each_by_uploads_of_their_own() -> None:
    done = demo("--platform", "ilink", "--scale", "0.5", "--json")

    events = [json.loads(line) for line in done.stdout.splitlines()]
    (row,) = [e for e in events if e["event"] == "result"]
    killed = next(e for e in events if e["event"] == "killed")
    recovered = next(e for e in events if e["event"] == "recovered")
    assert (0, "") == (done.returncode, done.stderr)
    assert [True] * 6 == [e["ok"] for e in events if e["event"] == "check"]
    assert (15, 15, 30, False) == (row["targets"], row["sent"], row["uploads"], row["shared"])
    assert row["uploaded_bytes"] == row["one_by_one_bytes"]
    assert 0 < killed["counts"]["sent"] < 15
    assert (killed["in_flight"].get("ilink", 0), 0) == (recovered["asked_again"], recovered["unknown"])


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await true():  # noqa: ASYNC110  (what happens, happens in another process)
            await asyncio.sleep(0.05)


async def test_a_message_that_a_killed_sender_left_on_the_line_arrives_once_on_ilink(
    sandbox: RunningSandbox, tmp_path: Path
) -> None:
    (crowd,) = crowds(["ilink"], [], 0.1)
    (tmp_path / "a.png").write_bytes(picture())
    (tmp_path / "b.pdf").write_bytes(book())
    account = {"base_url": sandbox.url, "rules": dict(crowd.rules)}
    files = str(tmp_path / "a.png"), str(tmp_path / "b.pdf"), "b.pdf"
    order = Order(str(tmp_path / "store"), str(tmp_path), {crowd.account: account}, [crowd.account], *files)
    sandbox.rules("ilink", set=crowd.rules)
    first = Sender(order)
    await first.start()
    people = sandbox.users(3, crowd.account)
    # The first message of every account is accepted, but the platform acts on it only after the sender is dead.
    gate = Gate(sandbox.sandbox.server("ilink"), "sendmessage", times=3)
    await first.submit(people)

    async def on_the_line() -> bool:
        return {"sending": 3} == await counts_in(tmp_path / "store")

    await until(on_the_line)
    await first.kill()

    second = Sender(order)
    await second.start()
    begun = await second.submit(people)
    await second.until(lambda report: report.what == "idle")
    await second.close()
    gate.open = True

    async def acted() -> bool:
        return sandbox.calls("sendmessage") >= 9

    await until(acted)

    assert (3, 0) == (begun.asked_again, begun.unknown)
    assert {"sent": 3} == await counts_in(tmp_path / "store")
    for person in people:
        assert ["image", "file"] == [post.kind for post in sandbox.posts(person)]


def test_a_sandbox_that_is_kept_answers_after_the_demo(tmp_path: Path) -> None:
    done = demo("--scale", "0.01", "--platform", "qqbot", "--no-kill", "--keep", "--json", "--folder", str(tmp_path))

    kept = next(e for line in done.stdout.splitlines() if (e := json.loads(line))["event"] == "kept")
    try:
        with urllib.request.urlopen(f"{kept['url']}/_sandbox/posts/count", timeout=PATIENCE) as answer:
            count = json.load(answer)["count"]
    finally:
        os.kill(kept["pid"], signal.SIGTERM)
    again = demo("--scale", "0.01", "--platform", "qqbot", "--no-kill", "--folder", str(tmp_path))

    assert 0 == done.returncode
    assert 20 == count
    assert 0 == again.returncode, again.stderr
    assert (tmp_path / "store" / "yizhan.db").exists()


# --- leftovers ---


def processes_with(words: str) -> list[str]:
    """Return the command lines of this machine's processes that have `words` in them."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in found.stdout.splitlines() if words in line]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    done = demo("--scale", "0.02", env={"TMPDIR": str(tmp_path)})

    assert 0 == done.returncode, done.stderr
    assert [] == list(tmp_path.iterdir())
    assert wait_until(lambda: not processes_with(str(tmp_path)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_stopped_leaves_nothing_behind(number: int, tmp_path: Path) -> None:
    if signal.getsignal(number) is signal.SIG_IGN:
        pytest.skip("whoever started the tests has this signal ignored, and the demo respects that")
    with running_demo(tmp_path) as process:
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)

    assert process.returncode not in (0, None)
    assert "Traceback" not in said
    assert [] == list(tmp_path.iterdir())
    assert wait_until(lambda: not processes_with(str(tmp_path)))


def test_a_demo_that_is_killed_takes_its_processes_along(tmp_path: Path) -> None:
    with running_demo(tmp_path) as process:
        process.kill()

    assert wait_until(lambda: not processes_with(str(tmp_path)))


@contextmanager
def running_demo(temporary: Path) -> Iterator[subprocess.Popen[str]]:
    """A demo that has begun to send."""
    process = subprocess.Popen(
        [*COMMAND, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    try:
        assert process.stdout is not None
        assert any("file" in line for line in process.stdout)
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < end:
        time.sleep(0.1)
    return true()


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "letters").write_text("dear")

    done = demo("--folder", str(tmp_path))

    assert 2 == done.returncode
    assert "which no demo made" in done.stderr
    assert "dear" == (tmp_path / "store" / "letters").read_text()
    assert ["store"] == [path.name for path in tmp_path.iterdir()]


def test_a_port_that_is_taken_is_an_error_of_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = demo("--port", str(taken.getsockname()[1]))

    assert 2 == done.returncode
    assert 1 == len(done.stderr.splitlines())
    assert "Choose another port" in done.stderr


def test_the_demo_runs_in_a_folder_with_misleading_files_and_without_a_home(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('not this one')")
    (tmp_path / "yizhan.py").write_text("raise SystemExit('nor this one')")
    tmp_path.chmod(0o555)
    script = [str(Path(sys.executable).with_name("yizhan")), "demo", "--scale", "0.01", "--platform", "ilink"]

    done = subprocess.run(
        script,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"HOME": "/nowhere"},
        timeout=3 * PATIENCE,
    )

    assert (0, "") == (done.returncode, done.stderr)


# --- its files ---


def test_the_files_are_real_and_the_same_every_time() -> None:
    from PIL import Image

    image = Image.open(io.BytesIO(picture()))
    image.load()

    assert ("PNG", (840, 560)) == (image.format, image.size)
    assert 1_000_000 < len(picture()) < 2_000_000
    assert 3_000_000 < len(book()) < 8_000_000
    assert (picture(), book()) == (picture(), book())


def test_the_pdf_has_the_objects_of_its_table() -> None:
    data = book()

    start = int(data.rpartition(b"startxref\n")[2].split()[0])
    places = [int(place) for place in re.findall(rb"(\d{10}) 00000 n ", data[start:])]
    assert data.startswith(b"%PDF-1.4")
    assert data.endswith(b"%%EOF\n")
    assert data[start:].startswith(b"xref\n")
    assert 3 + 3 * PAGES == len(places)
    assert [True] * len(places) == [
        data[place:].startswith(f"{number} 0 obj".encode()) for number, place in enumerate(places, 1)
    ]
    for length, at in ((int(m[1]), m.end()) for m in re.finditer(rb"/Length (\d+) >>\nstream\n", data)):
        assert data[at + length :].startswith(b"\nendstream")


# --- the proof ---


class Books:
    """The answers of a sandbox, with an error in them."""

    def __init__(self, posts: list[PostView], digests: tuple[str, ...]) -> None:
        self._posts = posts
        self.changed: dict[str, str] = {}
        self.bytes = 1000
        self._digests = digests

    async def posts(self) -> list[PostView]:
        return self._posts

    async def digest_of(self, sha256: str) -> str:
        return self.changed.get(sha256, sha256)

    async def traffic(self) -> dict[str, tuple[int, int]]:
        return {"qqbot": (len(self._posts), self.bytes)}


def post(target: str, sha256: str, name: str = "驿站手册.pdf") -> PostView:
    return PostView(1, 0.0, "qqbot", "bot", "bot", target, "user", "file", "", name, 1, sha256, "x", "m", False, {})


def books(case: str) -> Books:
    posts = [post(target, digest) for target in ("a", "b") for digest in ("one", "two")]
    match case:
        case "missing":
            posts.pop()
        case "twice":
            posts.append(posts[0])
        case "strange":
            posts.append(post("c", "one"))
        case "other bytes":
            posts[0] = post("a", "three")
        case "other name":
            posts[1] = post("a", "two", "book.pdf")
    found = Books(posts, ("one", "two"))
    if case == "changed":
        found.changed["one"] = "other"
    if case == "uploaded to each":
        found.bytes = 1_000_000
    return found


@pytest.mark.parametrize(
    ("case", "wrong"),
    [
        ("well", 0),
        ("missing", 2),
        ("twice", 2),
        ("strange", 1),
        ("other bytes", 2),
        ("other name", 1),
        ("changed", 1),
        ("uploaded to each", 1),
        ("unsent", 1),
    ],
)
async def test_the_proof_notices(case: str, wrong: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async def counts(store: Path) -> dict[str, int]:
        return {"sent": 1, "unknown": 1} if case == "unsent" else {"sent": 2}

    monkeypatch.setattr("yizhan.cli.demo.proof.counts_in", counts)
    sandbox: Any = books(case)
    it = Play(Screen(Output(quiet=True)), sandbox, tmp_path)
    (it.crowds,) = ([crowd for crowd in crowds(["qqbot"], [], 0.004) if crowd.kind == "user"],)
    it.people = {"qqbot.demo/user": ["a", "b"]}
    it.digests, it.sizes = ("one", "two"), (10, 20)

    assert wrong == await prove(it)


def test_only_platforms_that_are_there_take_part() -> None:
    assert ["webwechat"] == [crowd.platform for crowd in crowds(["webwechat", "nothing"], [], 1)]
    assert {crowd.platform for crowd in CROWDS} == {
        crowd.platform for crowd in crowds([c.platform for c in CROWDS], [], 1)
    }
    with pytest.raises(ConfigError, match="Did you mean qqbot"):
        crowds(["qqbot"], ["qqbt"], 1)


def test_the_table_of_the_result_fits_80_columns() -> None:
    row = {
        "title": "web WeChat of some length",
        "shared": False,
        "targets": 123_456,
        "sent": 123_456,
        "uploads": 99,
        "uploaded_bytes": 999_000_000,
        "one_by_one_bytes": 99e12,
        "sends_per_second": 12_345.6,
    }

    lines = table([row])

    assert [True] * 7 == [len(line) <= 78 for line in lines]
    assert "web WeChat *" == lines[2][:12]


def test_chinese_is_as_wide_as_a_terminal_shows_it() -> None:
    assert "驿站  |" == wide("驿站", 6) + "|"
