"""The page about iLink: its snippet runs, its tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent
from typing import Any

import msgspec
import pytest

from yizhan.engine import Engine
from yizhan.platforms.ilink import PLATFORM, Settings
from yizhan.testing import RunningSandbox

PAGE = (Path(__file__).parents[3] / "docs/platforms/ilink.md").read_text("utf-8")
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6368000000820081"
    "77cd72b60000000049454e44ae426082"
)


async def test_the_snippet_runs(sandbox: RunningSandbox, tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock)
    names: dict[str, Any] = {"engine": engine, "sandbox_url": sandbox.url, "picture": PNG}
    exec(f"async def main():\n{indent(snippet, '    ')}", names)

    await names["main"]()

    await engine.close()
    posts = sandbox.posts(platform="ilink", call="sendmessage")
    assert ["You said: hi", "a caption", ""] == [post.text for post in posts]


@pytest.mark.parametrize("name", [field.name for field in msgspec.structs.fields(Settings)])
def test_every_setting_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_every_rule_on_the_page_exists() -> None:
    known = PLATFORM.rules().all()
    named = set(
        re.findall(r"`((?:window|text|media|handle|login|getupdates|poll|sendmessage|getuploadurl|cdn)\.\w+)`", PAGE)
    )

    assert 20 < len(named)
    assert set() == named - known.keys()


def test_the_segments_on_the_page_are_those_of_the_capabilities() -> None:
    table = PAGE.partition("## What can be sent")[2].partition("Every item")[0]
    named = {word for row in re.findall(r"^\| ([a-z, ]+?) \|", table, re.MULTILINE) for word in row.split(", ")}

    assert PLATFORM.capabilities["user"].segments == named - {"segment"}
