"""docs/sandbox.md does what it shows: its commands are run in order against a sandbox, its programs too."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec
import pytest

from yizhan.sandbox import Sandbox, wire
from yizhan.world import World, populate

pytest_plugins = ("pytester",)
PAGE = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text("utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


class Shell:
    """Just enough of a shell for the page: `curl`, `$NAME`, and `NAME=$(curl … | cut -d'"' -fN)`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.names = {"S": url}

    async def run(self, line: str) -> str:
        assigned = re.fullmatch(r"(\w+)=\$\((.*) \| cut -d'\"' -f(\d+)\)", line)
        if assigned is None:
            return await self._curl(line)
        text = await self._curl(assigned[2])
        self.names[assigned[1]] = text.split('"')[int(assigned[3]) - 1]
        return ""

    async def _curl(self, line: str) -> str:
        words = shlex.split(re.sub(r"\$(\w+)", lambda name: self.names[name[1]], line))
        assert ["curl", "-s"] == words[:2], line
        method, data, headers, url = "GET", None, {}, ""
        rest = iter(words[2:])
        for word in rest:
            match word:
                case "-X":
                    method = next(rest)
                case "-d" | "--data-binary":
                    data = next(rest).encode()
                    method = "POST" if method == "GET" else method
                case "-H":
                    name, _, value = next(rest).partition(": ")
                    headers[name] = value
                case _:
                    url = word
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        async with self.session.request(method, quote(url, safe=":/?&=*%"), data=data, headers=headers) as answer:
            return await answer.text()


def _same(shown: Any, got: Any) -> bool:
    """Return whether an answer is as the page shows it: `…` matches anything, floats differ from run to run."""
    match shown:
        case "…":
            return True
        case dict():
            named = {name: value for name, value in shown.items() if name != "…"}
            whole = len(named) < len(shown) or named.keys() == got.keys()
            return whole and all(name in got and _same(value, got[name]) for name, value in named.items())
        case list():
            open_end = shown[-1:] == ["…"] and len(shown) != len(got)
            items = shown[:-1] if open_end else shown
            return (open_end or len(shown) == len(got)) and all(map(_same, items, got))
        case str() if "…" in shown:
            pattern = ".*".join(re.escape(piece) for piece in shown.split("…"))
            return re.fullmatch(pattern, got, re.DOTALL) is not None
        case bool() | None | str():
            return bool(shown == got)
        case float():
            return isinstance(got, float)
    return bool(shown == got)


def _commands() -> list[tuple[str, str]]:
    found = []
    for block in _blocks("console"):
        for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            line, _, output = piece.partition("\n")
            found.append((line, output.strip()))
    return [(line, output) for line, output in found if "curl" in line]


async def test_every_command_prints_what_the_page_shows() -> None:
    commands = _commands()
    async with Sandbox(manual_logins=True) as sandbox, aiohttp.ClientSession() as session:
        shell = Shell(session, sandbox.url)
        for line, output in commands:
            got = await shell.run(line)
            if output.startswith(("{", "[")):
                assert _same(json.loads(output), json.loads(got)), f"{line}\n{got}"
            else:
                assert output == got, line

    assert len(commands) > 20


def test_every_control_call_has_its_place_on_the_page() -> None:
    for call in wire.CALLS:
        path = call.path.replace("{step}", "scan")
        assert f"{path}" in PAGE, call.name
        assert call.method in PAGE
    for name in {f.encode_name for f in msgspec.structs.fields(wire.ChaosRule)}:
        assert f"`{name}`" in PAGE


def test_links_within_the_page_lead_somewhere() -> None:
    titles = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors


def test_the_examples_of_tests_pass(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("\n\n".join(block for block in _blocks("python") if "def test_" in block))

    pytester.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(passed=2)


def test_the_example_of_a_program_runs(tmp_path: Path) -> None:
    (example,) = (block for block in _blocks("python") if "def test_" not in block)
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, cwd=tmp_path, check=True)

    assert done.stdout.startswith("http://127.0.0.1:")


def test_the_example_of_a_world_file_fills_a_world(tmp_path: Path) -> None:
    (example,) = _blocks("toml")
    file = tmp_path / "world.toml"
    file.write_text(example, "utf-8")
    world = World()
    populate(world, file)

    assert "夏娃" == world.network("wechat").person("wxid_eve").name
