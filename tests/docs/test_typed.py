"""The pages' Python is typed: mypy --strict reads every page as one program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import indent

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
"""What a reader has at the beginning of a page."""


def program_of(page: Path) -> str:
    """Return the Python of a page as one program, without its files; empty when it has none."""
    blocks = [piece.text for piece in pieces(page) if piece.kind == "python" and not piece.file]
    if not blocks:
        return ""
    text = "\n".join(line for block in blocks for line in block.splitlines() if "from __future__" not in line)
    return GIVEN + indent(text, "    ") + "\n"


def test_the_pages_programs_are_typed(tmp_path: Path) -> None:
    names = {}
    for page in pages():
        text = program_of(page)
        if text:
            file = tmp_path / (name_of(page).replace("/", "_").replace(".", "_").replace("-", "_") + ".py")
            file.write_text(text, "utf-8")
            names[file.stem] = name_of(page)

    assert len(names) > 8
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
    command = [sys.executable, "-m", "mypy", *options, *map(str, sorted(tmp_path.glob("*.py")))]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert not done.stdout, done.stdout
