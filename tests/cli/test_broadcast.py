"""`yizhan broadcast`: broadcasts are shown and changed from the shell."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from pathlib import Path

import pytest

import yizhan
from tests.sending.fake import Network, fake_network
from tests.sending.test_path import users
from yizhan.cli import main
from yizhan.errors import Rejected


@pytest.fixture
def store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    return str(tmp_path / "store")


async def _sent(store: str, network: Network, wrong: str = "") -> None:
    network.script = lambda target, number: Rejected("no") if target.id == wrong else None
    async with yizhan.open(store) as yz:
        await yz.add_account("fake.me")
        await (await yz.broadcast(users(3), "news", name="the news")).wait()
        await yz.broadcasts.create(users(2), "later", name="=formula")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main([*words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_broadcasts_are_listed_reported_and_exported(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_network() as network:
        asyncio.run(_sent(store, network, wrong="u1"))
        _, listed, _ = run(capsys, "broadcast", "list", "--store", store)
        _, report, _ = run(capsys, "broadcast", "report", "b1", "--store", store, "--json")
        file = tmp_path / "b1.csv"
        code, _, _ = run(capsys, "broadcast", "export", "b1", str(file), "--store", store)
        again, _, refused = run(capsys, "broadcast", "export", "b1", str(file), "--store", store)
        _, lines, _ = run(capsys, "broadcast", "export", "b1", "--format", "ndjson", "--store", store)

    rows = list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"))))
    assert "the news" in listed
    assert "2 sent, 1 failed" in listed
    assert {"sent": 2, "failed": 1, "waiting": 0, "refused": 0} == json.loads(report)["counts"]
    assert 0 == code
    assert ["sent", "failed", "sent"] == [row["state"] for row in rows]
    assert users(3) == [row["target"] for row in rows] == [json.loads(line)["target"] for line in lines.splitlines()]
    assert again == 2
    assert "Name a file that is not there yet" in refused


def test_a_draft_is_started_paused_resumed_and_cancelled(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    with fake_network() as network:
        asyncio.run(_sent(store, network))
        states = []
        for action in ("start", "pause", "resume", "cancel"):
            code, said, _ = run(capsys, "broadcast", action, "b2", "--store", store, "--json")
            states.append((code, json.loads(said)["state"]))
        code, _, refused = run(capsys, "broadcast", "start", "b2", "--store", store)

    assert [(0, "running"), (0, "paused"), (0, "running"), (0, "cancelled")] == states
    assert 2 == code
    assert "b2 is cancelled; start is for one that is draft or scheduled" in refused


def test_failed_recipients_are_retried_and_sent_ones_recalled(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    with fake_network() as network:
        asyncio.run(_sent(store, network, wrong="u1"))
        _, child, _ = run(capsys, "broadcast", "retry", "b1", "--store", store, "--json")
        _, recalled, _ = run(capsys, "broadcast", "recall", "b1", "--store", store, "--json")

    assert ("b3", 1) == (json.loads(child)["id"], json.loads(child)["total"])
    assert "recalled" == json.loads(recalled)["state"]
    assert 2 == json.loads(recalled)["counts"]["recalled"] == len(network.recalled)


@pytest.mark.parametrize("id", ["b9", "7x", "d1"])
def test_an_unknown_broadcast_is_refused(store: str, id: str, capsys: pytest.CaptureFixture[str]) -> None:
    with fake_network() as network:
        asyncio.run(_sent(store, network))
        code, _, refused = run(capsys, "broadcast", "report", id, "--store", store)

    assert 2 == code
    assert "no broadcast" in refused or "is not a broadcast's id" in refused


def test_a_broadcast_is_made_planned_tried_started_and_waited_for(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = tmp_path / "people.csv"
    people.write_text("".join(["target,name\n", *(f"{target},P{n}\n" for n, target in enumerate(users(3)))]))
    with fake_network() as network:
        asyncio.run(_account(store))
        made = run(
            capsys, "broadcast", "new", "-t", f"file:{people}", "--text", "Dear {name}", "--as", "letters",
            "--per-minute", "2", "--quiet-hours", "00:00-00:00@UTC", "--pause-at", "5", "--store", store,
        )  # fmt: skip
        plan = json.loads(run(capsys, "broadcast", "plan", "b1", "--store", store, "--json")[1])
        tried = run(capsys, "broadcast", "test", "b1", "fake.me/user/me", "--store", store)
        run(capsys, "broadcast", "new", *users(2), "to all", "--store", store)
        run(capsys, "broadcast", "start", "b2", "--store", store)
        waited = run(capsys, "wait", "b2", "--store", store)

    assert 0 == made[0], made[2]
    assert "b1 'letters' is draft, to 3 targets" in made[1]
    assert "2 at once, the last about" in made[1]
    assert "pace of b1 allows 2 in 60 seconds" in made[1]
    assert ("draft", 3, 3, 2) == (
        plan["state"], plan["total"], plan["accounts"][0]["recipients"], plan["accounts"][0]["at_once"]
    )  # fmt: skip
    assert 0 == tried[0]
    assert ["me Dear P0", "u0 to all", "u1 to all"] == sorted(network.order)
    assert 0 == waited[0]
    assert "2 sent" in waited[1]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--quiet-hours", "late", "--quiet-hours: 'late' is none. Write 22:00-08:00"),
        ("--quiet-hours", "22:00-08:00@Asia/Beijng", "There is no time zone 'Asia/Beijng'"),
        ("--stop-at", "later", "'later' is no time"),
        ("--per-minute", "0", "Invalid value for '--per-minute': expected at least 1."),
        ("--pause-at", "101", "Invalid value for '--pause-at': expected at most 100."),
        ("--per-minute", "two", "Invalid value for '--per-minute': expected a whole number."),
        ("--pause-at", "nan", "--pause-at"),
        ("--title", "no link", "--title belongs to a link. Add --link URL"),
    ],
)
def test_options_of_a_broadcast_that_make_no_sense_are_refused(
    store: str, capsys: pytest.CaptureFixture[str], option: str, value: str, words: str
) -> None:
    with fake_network():
        asyncio.run(_account(store))
        code, _, error = run(capsys, "broadcast", "new", *users(2), "news", option, value, "--store", store)
        listed = run(capsys, "broadcast", "list", "--store", store, "--json")

    assert (2, "") == (code, listed[1])
    assert words in error


async def _account(store: str) -> None:
    async with yizhan.open(store) as yz:
        await yz.add_account("fake.me")
