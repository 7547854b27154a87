"""The page about the QQ bot fits the code."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import msgspec

from tests.platforms.qqbot.support import APP_ID, SECRET
from tests.support import serve
from yizhan.platforms.qqbot import PLATFORM
from yizhan.platforms.qqbot.server import APP_ID as SERVED_APP_ID
from yizhan.platforms.qqbot.server import SECRET as SERVED_SECRET

PAGE = (Path(__file__).parents[3] / "docs" / "platforms" / "qqbot.md").read_text("utf-8")


def test_every_setting_and_profile_is_on_the_page() -> None:
    for field in msgspec.structs.fields(PLATFORM.settings):
        assert f"`{field.name}`" in PAGE
    for profile in PLATFORM.rules().profiles:
        assert f"`{profile}`" in PAGE


def test_every_rule_in_the_page_exists() -> None:
    rules = PLATFORM.rules().all()
    named = re.findall(
        r"`((?:passive|active|files|chunks|handle|recall|guild|gateway|text|image|video|voice)\.[\w.]+)`", PAGE
    )

    assert len(named) > 12
    assert [] == [
        name for name in named if name not in rules and not any(rule.startswith(f"{name}.") for rule in rules)
    ]


def test_the_page_names_the_identity_of_the_sandbox() -> None:
    assert (APP_ID, SECRET) == (SERVED_APP_ID, SERVED_SECRET)
    assert f"AppID `{APP_ID}` with the secret `{SECRET}`" in PAGE


async def test_the_raw_calls_of_the_page_run() -> None:
    (snippet,) = [code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "import Bot" in code]
    async with serve(PLATFORM) as served:
        code = snippet.replace("https://api.bot.qq.com", served.url)
        names: dict[str, object] = {}
        exec("async def run():\n" + textwrap.indent(code, "    "), names)
        await names["run"]()  # type: ignore[operator]

        (post,) = served.world.posts
        assert ("file", "hello.txt", True) == (post.kind, post.name, post.recalled)
