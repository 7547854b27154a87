"""docs/cli.md does what it shows: its commands are run in order against a sandbox; its tables come from the code."""

from __future__ import annotations

import io
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from yizhan.cli import main
from yizhan.cli.demo.files import book, picture
from yizhan.cli.reference import reference
from yizhan.runtime.event_loop import LoopThread
from yizhan.sandbox import Sandbox

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")


def commands() -> list[tuple[str, str]]:
    """Return every command of the page with the output that it shows."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = piece.partition("\n")
            found.append((line, output.rstrip("\n")))
    return found


def same(shown: str, got: str) -> bool:
    """Return whether an output is as the page shows it; `…` matches anything, and blanks only divide columns."""
    words = " ".join(shown.split())
    pattern = ".*".join(re.escape(piece) for piece in words.split("…"))
    return re.fullmatch(pattern, " ".join(got.split()), re.DOTALL) is not None


class Piped:
    def __init__(self, text: str) -> None:
        self.buffer = io.BytesIO(text.encode())

    def isatty(self) -> bool:
        return False


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    loop = LoopThread()
    sandbox = Sandbox(platforms=["qqbot", "webwechat"])
    loop.run(sandbox.start())
    yield sandbox
    loop.run(sandbox.close())
    loop.close()


def test_every_command_prints_what_the_page_shows(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("secret.txt").write_text("DG5g3B4j9X2KOErG\n")
    Path("station.png").write_bytes(picture())
    Path("handbook.pdf").write_bytes(book())
    (table,) = re.findall(r"^```text\n(name;target;.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    Path("people.csv").write_text(table)
    code = 0
    for line, shown in commands():
        if line == "echo $?":
            assert shown == str(code), line
            continue
        piped, _, command = line.rpartition(" | ")
        monkeypatch.setattr(sys, "stdin", Piped(" ".join(shlex.split(piped)[1:]) + "\n" if piped else ""))
        words = shlex.split(command.replace("http://127.0.0.1:8791", sandbox.url))
        assert words.pop(0) == "yizhan"
        code = main(words)
        said = capsys.readouterr()

        assert same(shown, said.out + said.err), f"{line}\n{said.out}{said.err}"
        if "--json" in words:
            json.loads(said.out or said.err)

    assert 20 < len(commands())


def test_the_tables_of_commands_are_made_from_the_code() -> None:
    assert PAGE.endswith(reference() + "\n")


def test_links_within_the_page_lead_somewhere() -> None:
    titles = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors


def test_every_variable_that_the_page_names_is_one() -> None:
    from yizhan.cli.app import app

    helps = (
        reference()
        + "YIZHAN_STORE YIZHAN_JSON YIZHAN_QUIET YIZHAN_CONFIG YIZHAN_LOG YIZHAN_QQBOT_SECRET YIZHAN_PLATFORM_KEY"
    )

    assert app.info.name == "yizhan"
    assert set(re.findall(r"YIZHAN_[A-Z_]+", PAGE)) <= set(re.findall(r"YIZHAN_[A-Z_]+", helps))
