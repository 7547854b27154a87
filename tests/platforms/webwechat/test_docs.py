"""The page about web WeChat: its snippets run, and its tables match the code."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent
from typing import Any

import msgspec
import pytest

from tests.platforms.webwechat.support import png
from yizhan.engine import Engine
from yizhan.platforms.webwechat import PLATFORM, Settings, wire
from yizhan.testing import RunningSandbox
from yizhan.wire import Endpoint

PAGE = (Path(__file__).parents[3] / "docs/platforms/webwechat.md").read_text("utf-8")


async def test_the_snippets_run(sandbox: RunningSandbox, tmp_path: Path) -> None:
    snippets = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock)
    names: dict[str, Any] = {"engine": engine, "sandbox_url": sandbox.url, "picture": png()}
    exec(f"async def main():\n{indent(snippets, '    ')}", names)

    await names["main"]()

    await engine.close()
    posts = sandbox.posts(platform="webwechat")
    assert [("filehelper", "text", ""), ("filehelper", "image", ""), ("产品群", "file", "报告.png")] == [
        (post.target, post.kind, post.name) for post in posts
    ]


@pytest.mark.parametrize("name", [field.name for field in msgspec.structs.fields(Settings)])
def test_the_page_documents_every_setting(name: str) -> None:
    assert f"`{name}`" in PAGE


def test_the_page_documents_the_rules_of_the_file() -> None:
    known = PLATFORM.rules().all().keys() - {"limits"}
    not_rules = {"adapter.call", "event.mentioned", "wx.qq.com", "yizhan.platforms.webwechat.wire"}
    named = set(re.findall(r"`([a-z]+(?:\.[a-z_]+)+)`", PAGE)) - not_rules

    assert known == named


def test_the_page_documents_the_segments_of_the_capabilities() -> None:
    table = PAGE.partition("## What can be sent")[2].partition("Links, mini")[0]
    named = {word for row in re.findall(r"^\| ([a-z_, ]+?) \|", table, re.MULTILINE) for word in row.split(", ")}

    assert PLATFORM.capabilities["group"].segments == named - {"segment"}
    assert PLATFORM.capabilities["user"].segments == named - {"segment", "mention"}


def test_the_calls_on_the_page_exist() -> None:
    named = set(re.findall(r"`(webwx[a-z]+)`", PAGE))
    calls = {value.name for value in vars(wire).values() if isinstance(value, Endpoint)}

    assert 8 < len(named)
    assert set() == named - calls


def test_the_page_counts_the_recorded_requests() -> None:
    recorded = len(list((Path(__file__).parent / "recordings/data").glob("*.json")))

    assert f"{recorded} recorded requests" in PAGE
