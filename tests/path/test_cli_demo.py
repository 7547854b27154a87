"""The demo, as a process of its own; its files; and that its proof would notice what is wrong."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from yizhan.cli.demo.crowd import CROWDS, crowds
from yizhan.cli.demo.files import PAGES, book, picture
from yizhan.cli.demo.proof import prove
from yizhan.cli.demo.screen import Screen, table, wide
from yizhan.cli.demo.stage import Play
from yizhan.cli.output import Output
from yizhan.errors import ConfigError
from yizhan.sandbox.wire import PostView


def demo(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "yizhan.cli", "demo", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


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
    assert all(row["uploaded_bytes"] * row["targets"] == 1 * row["one_by_one_bytes"] for row in results.values())
    assert 0 < killed["counts"]["sent"] < 600
    assert killed["counts"].get("sending", 0) == recovered["asked_again"] + recovered["unknown"]
    assert settled["unknown"] == recovered["unknown"] == settled["arrived"] + settled["sent_again"]


def test_in_a_pipe_the_demo_is_plain_lines_of_at_most_80_columns() -> None:
    from rich.cells import cell_len

    done = demo("--scale", "0.02", "--platform", "qqbot", "--no-kill")

    assert 0 == done.returncode, done.stderr
    assert "\x1b" not in done.stdout
    assert [] == [line for line in done.stdout.splitlines() if cell_len(line) > 80]
    assert "yz.broadcast([Image('station.png'), File('book.pdf')]" in done.stdout
    assert "yizhan send qqbot.demo/user/" in done.stdout


def test_a_sandbox_that_is_kept_answers_after_the_demo(tmp_path: Path) -> None:
    done = demo("--scale", "0.01", "--platform", "qqbot", "--no-kill", "--keep", "--json", "--folder", str(tmp_path))

    kept = next(e for line in done.stdout.splitlines() if (e := json.loads(line))["event"] == "kept")
    try:
        with urllib.request.urlopen(f"{kept['url']}/_sandbox/posts/count", timeout=10) as answer:
            count = json.load(answer)["count"]
    finally:
        os.kill(kept["pid"], signal.SIGTERM)

    assert 0 == done.returncode
    assert 20 == count
    assert (tmp_path / "store" / "yizhan.db").exists()


def test_the_files_are_real_and_the_same_every_time() -> None:
    from PIL import Image

    image = Image.open(io.BytesIO(picture()))
    image.load()

    assert ("PNG", (840, 560)) == (image.format, image.size)
    assert 1_000_000 < len(picture()) < 2_000_000
    assert 3_000_000 < len(book()) < 8_000_000
    assert (picture(), book()) == (picture(), book())


def test_the_pdf_is_what_its_table_says() -> None:
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
    """What a sandbox would answer, with something wrong in it."""

    def __init__(self, posts: list[PostView], digests: tuple[str, ...]) -> None:
        self._posts = posts
        self.changed: dict[str, str] = {}
        self.bytes = 1000
        self._digests = digests

    async def posts(self) -> list[PostView]:
        return self._posts

    async def digest_of(self, sha256: str) -> str:
        return self.changed.get(sha256, sha256)

    async def traffic(self) -> tuple[int, int]:
        return len(self._posts), self.bytes


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
        "targets": 123_456,
        "sent": 123_456,
        "uploads": 99,
        "uploaded_bytes": 999_000_000,
        "one_by_one_bytes": 99e12,
        "sends_per_second": 12_345.6,
    }

    assert [True] * 5 == [len(line) <= 78 for line in table([row])]


def test_chinese_is_as_wide_as_a_terminal_shows_it() -> None:
    assert "驿站  |" == wide("驿站", 6) + "|"
