"""Files of targets: heads, separators, encodings; every bad row named at once; refused rows written to be fed back."""

from __future__ import annotations

import asyncio
import csv
import io
import sys
from pathlib import Path

import pytest

from tests.cli.test_broadcast import run
from tests.cli.test_words import Piped
from tests.sending.fake import Network, fake_network
from yizhan.cli.target_files import audience_of, read_table
from yizhan.errors import Refused, UnknownTarget
from yizhan.opening import open as open_store

A, B, C = (f"fake.me/user/{name}" for name in "abc")


def table(tmp_path: Path, text: str, encoding: str = "utf-8", **columns: str) -> list[tuple[str, str, dict[str, str]]]:
    file = tmp_path / "people.csv"
    file.write_bytes(text.encode(encoding))
    return [(row.target, row.name, dict(row.values)) for row in read_table(str(file), **columns).rows]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_separators_and_encodings_of_spreadsheets_are_read(tmp_path: Path, separator: str, encoding: str) -> None:
    text = "\r\n".join(separator.join(row) for row in (["target", "name", "金额"], [A, "王小明", "1.000"]))

    assert [(A, "王小明", {"target": A, "name": "王小明", "金额": "1.000"})] == table(tmp_path, text, encoding)


def test_columns_are_named_or_counted(tmp_path: Path) -> None:
    text = f"who,wechat,id\nAnn,x,{A}\nBen,y,{B}\n"

    named = table(tmp_path, text, column="ID", name_column="Who")
    counted = table(tmp_path, f"Ann;{A}\nBen;{B}\n", column="2", name_column="1")

    assert [(A, "Ann"), (B, "Ben")] == [(target, name) for target, name, _ in named]
    assert [(A, "Ann", {}), (B, "Ben", {})] == counted


def test_an_unknown_column_is_refused_with_the_close_one(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"has no column 'wechta'\. Did you mean wechat\? Its first line: who, wechat"):
        table(tmp_path, f"who,wechat\nAnn,{A}\n", column="wechta")


def test_every_bad_row_is_named_at_once(tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f'name,target\nAnn,{A}\nBen,nobody\n"Cid,\nCo",\nDan,fake.me/user/\n')

    with pytest.raises(UnknownTarget) as raised:
        audience_of([f"file:{file}"])

    text = str(raised.value)
    assert "3 rows cannot be sent to; nothing was stored" in text
    assert f"{file} line 3, column target: 'nobody' is not a target" in text
    assert f"{file} line 5, column target: there is no target" in text
    assert f"{file} line 6, column target: " in text
    assert "--refused FILE" in text


def test_columns_without_a_file_are_refused() -> None:
    with pytest.raises(Refused, match=r"--column and --name-column name columns of a file of targets"):
        audience_of([A], "who")


def test_targets_are_piped_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(f"{A}\n{B}\n".encode()))

    assert [A, B, C] == sorted(audience_of(["file:-", C]).targets)


async def _account(store: str) -> None:
    async with open_store(store) as yz:
        await yz.add_account("fake.me")


@pytest.fixture
def network(tmp_path: Path) -> Network:
    with fake_network() as network:
        asyncio.run(_account(str(tmp_path / "store")))
        yield network  # type: ignore[misc]


def test_everybody_gets_the_words_of_the_own_row(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, store = tmp_path / "people.csv", str(tmp_path / "store")
    file.write_text(f"name,target,hour\nAnn,{A},nine\nBen,{B},ten\n")

    code, _, error = run(capsys, "send", "-t", f"file:{file}", "--text", "Dear {name}, at {hour}.", "--store", store)
    one = run(capsys, "send", "-t", f"file:{file}", "--text", "{nmae}", "--store", store)

    assert (0, "") == (code, error)
    assert ["a Dear Ann, at nine.", "b Dear Ben, at ten."] == sorted(network.order)
    assert 2 == one[0]
    assert "The message says {nmae}, and there is no such column. Columns: name, target, hour." in one[2]


def test_refused_rows_are_written_and_can_be_fed_back(
    network: Network, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, refused, store = tmp_path / "people.csv", tmp_path / "refused.csv", str(tmp_path / "store")
    file.write_text(f"name;target\nAnn;{A}\nBen;nobody\nCid;fake.me/channel/c\n")
    words = ("send", "-t", f"file:{file}", "--text", "Dear {name}", "--refused", str(refused), "--store", store)

    code, said, _ = run(capsys, *words)
    rows = list(csv.DictReader(io.StringIO(refused.read_text("utf-8-sig"))))
    again = run(capsys, *words)
    refused.write_text(refused.read_text("utf-8").replace("nobody", B).replace("fake.me/channel/c", C), "utf-8")
    mended = run(capsys, "send", "-t", f"file:{refused}", "--text", "Dear {name}", "--store", store)

    assert 0 == code
    assert f"2 rows refused, written to {refused}." in said
    assert [("Ben", "nobody"), ("Cid", "fake.me/channel/c")] == [(row["name"], row["target"]) for row in rows]
    assert "'nobody' is not a target" in rows[0]["refused"]
    assert "channel" in rows[1]["refused"]
    assert (2, True) == (again[0], "is there already" in again[2])
    assert 0 == mended[0]
    assert ["a Dear Ann", "b Dear Ben", "c Dear Cid"] == sorted(network.order)
