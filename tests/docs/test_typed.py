"""The pages' Python is typed: mypy --strict and basedpyright read every page as one program."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import pytest

from tests.docs.pages import ROOT, name_of, pages, pieces

GIVEN = """\
from __future__ import annotations

import asyncio
from typing import Any

import yizhan
from yizhan.engine import Engine
from yizhan.testing import RunningSandbox


async def page(
    engine: Engine, yz: Engine, sandbox: RunningSandbox, sandbox_url: str, picture: bytes, USER: str, GROUP: str,
    request_headers: dict[str, str], request_body: bytes, run_my_bot: Any,
) -> None:
"""
"""The names that a reader has at the beginning of a page."""


def program_of(page: Path) -> str:
    """Return the Python of a page as one program, without its files; empty when it has none."""
    blocks = [piece.text for piece in pieces(page) if piece.kind == "python" and not piece.file]
    if not blocks:
        return ""
    text = "\n".join(line for block in blocks for line in block.splitlines() if "from __future__" not in line)
    return GIVEN + indent(text, "    ") + "\n"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write every page's program into a folder."""
    folder = tmp_path_factory.mktemp("programs")
    for page in pages():
        if text := program_of(page):
            name = re.sub(r"\W", "_", name_of(page))
            (folder / f"{name}.py").write_text(text, "utf-8")
    return folder


def test_the_pages_programs_pass_mypy(programs: Path) -> None:
    files = sorted(programs.glob("*.py"))
    # The functions of readers' programs need no annotations.
    options = [
        "--strict",
        "--allow-untyped-defs",
        "--allow-untyped-calls",
        "--allow-incomplete-defs",
        "--no-incremental",
        "--config-file",
        "",
        "--no-error-summary",
    ]
    command = [sys.executable, "-m", "mypy", *options, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)

    assert len(files) > 8
    assert not done.stdout, done.stdout


def test_the_pages_programs_pass_basedpyright(programs: Path) -> None:
    # As above: parameters without annotations are allowed, and so is the unknown that follows from them. A page's
    # program begins with imports that it may not use, and defines functions that only readers call.
    allowed = ("MissingParameterType", "UnknownParameterType", "UnknownArgumentType", "UnknownMemberType")
    allowed += ("UnknownVariableType", "UnknownLambdaType", "UnusedImport", "UnusedFunction", "UnusedVariable")
    allowed += ("ConstantRedefinition",)
    settings = {
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "include": ["."],
        **{f"report{rule}": False for rule in allowed},
    }
    (programs / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [
        sys.executable,
        "-m",
        "basedpyright",
        "--pythonpath",
        sys.executable,
        "--outputjson",
        "-p",
        str(programs),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)

    assert len(list(programs.glob("*.py"))) == found["summary"]["filesAnalyzed"]
    assert [] == [
        f"{one['file']}:{one['range']['start']['line'] + 1} {one['message']}" for one in found["generalDiagnostics"]
    ]
