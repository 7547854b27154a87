"""Words of the command line become media: paths, `@` paths, standard input, addresses."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.media.support import film, picture
from yizhan.cli import main
from yizhan.runtime.event_loop import LoopThread

PNG = picture("PNG")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "图.png").write_bytes(PNG)
    (tmp_path / "@home.png").write_bytes(PNG + b"more")
    return tmp_path


@pytest.fixture
def address() -> Iterator[str]:
    """A server on the loopback address with one picture."""

    async def serve() -> tuple[web.AppRunner, int]:
        app = web.Application()
        app.router.add_get("/a.png", lambda _: asyncio.sleep(0, web.Response(body=PNG)))
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return runner, runner.addresses[0][1]

    loop = LoopThread()
    runner, port = loop.run(serve())
    yield f"127.0.0.1:{port}"
    loop.run(runner.cleanup())
    loop.close()


def uploaded(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert 0 == main(["upload", "--json", *words])
    (line,) = capsys.readouterr().out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize(
    ("word", "name", "size"),
    [
        ("图.png", "图.png", len(PNG)),
        ("@图.png", "图.png", len(PNG)),
        ("@home.png", "@home.png", len(PNG) + 4),
        ("-", "stdin", len(PNG)),
        ("@-", "stdin", len(PNG)),
    ],
)
def test_a_path_with_or_without_its_sign_and_standard_input_are_taken(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    word: str,
    name: str,
    size: int,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PNG)))
    media = uploaded(capsys, word)

    assert (name, size, "png") == (media["name"], media["size"], media["format"])


def test_an_address_that_is_not_public_is_downloaded_only_where_it_is_allowed(
    folder: Path, address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://{address}/a.png"
    assert 0 != main(["upload", "--json", url])
    assert "--allow on the command line" in capsys.readouterr().err

    by_option = uploaded(capsys, url, "--allow", address)
    monkeypatch.setenv("YIZHAN_ALLOW", "10.0.0.0/8 127.0.0.0/8")
    by_environment = uploaded(capsys, url)

    assert by_option == by_environment
    assert ("a.png", len(PNG)) == (by_option["name"], by_option["size"])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_film_that_is_converted_has_a_bar(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "old.avi").write_bytes(film("avi", "mpeg4", seconds=4.0))
    main(["account", "add", "wechatsdk.main", "--set", "base_url=http://127.0.0.1:9", "--no-check"])
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert 0 == main(["send", "--dry-run", "wechatsdk.main/user/wxid_bob", "--video", "old.avi"])

    assert "old.avi → mp4" in terminal.getvalue()
    assert "100%" in terminal.getvalue()
