"""The sandbox as a whole: its platforms, its address, and its answers to unknown requests."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.pigeon import COO, PIGEON, SEND, Server
from yizhan.errors import ConfigError
from yizhan.http.listener import HttpListener
from yizhan.http.router import Router
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.spec import platforms
from yizhan.sandbox import Sandbox
from yizhan.sandbox.__main__ import main


@pytest.fixture
async def http() -> Any:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_it_serves_on_a_free_loopback_port_and_names_itself(http: Any) -> None:
    async with Sandbox(platforms=[PIGEON]) as sandbox, http.get(f"{sandbox.url}/") as answer:
        text = await answer.text()

    assert 200 == answer.status
    assert sandbox.url == f"http://127.0.0.1:{sandbox.port}"
    assert "yizhan sandbox" in text
    assert "pigeon: Carrier pigeons" in text


async def test_two_sandboxes_in_one_process_know_nothing_of_each_other(http: Any) -> None:
    async with Sandbox(platforms=[PIGEON]) as one, Sandbox(platforms=[PIGEON]) as other:
        await http.post(f"{one.url}/pigeon/x/letters", json={"text": "hi"})

        assert 1 == len(one.world.posts)
        assert 0 == len(other.world.posts)


@pytest.mark.parametrize(
    ("method", "path", "status", "body"),
    [
        ("GET", "/nothing", 404, {"code": 404, "message": "nothing is served at /nothing"}),
        ("POST", "/", 404, {"code": 404, "message": "nothing is served at /"}),
        ("POST", "/pigeon/x/nothing", 404, {"coo": 404, "words": "no such call: POST /pigeon/x/nothing"}),
        ("GET", "/pigeon/x/letters", 405, {"coo": 405, "words": "GET is not allowed here"}),
        ("DELETE", "/pigeon/x/letters", 405, {"coo": 405, "words": "DELETE is not allowed here"}),
    ],
)
async def test_unknown_paths_are_refused_in_the_form_of_the_platform(
    http: Any, method: str, path: str, status: int, body: dict[str, Any]
) -> None:
    async with Sandbox(platforms=[PIGEON]) as sandbox, http.request(method, sandbox.url + path) as answer:
        got = await answer.json()

    assert (status, body) == (answer.status, got)
    assert ("Allow" in answer.headers) == (status == 405)


async def test_an_unknown_control_call_names_those_that_exist(http: Any) -> None:
    async with Sandbox(platforms=[PIGEON]) as sandbox:
        async with http.get(f"{sandbox.url}/_sandbox/post") as answer:
            unknown = await answer.json()
        async with http.get(f"{sandbox.url}/_sandbox/say") as answer:
            wrong = answer.status

    assert "not_found" == unknown["error"]
    assert "GET /_sandbox/posts" in unknown["expected"]
    assert 405 == wrong


async def test_unknown_paths_are_in_the_record(http: Any) -> None:
    async with Sandbox(platforms=[PIGEON]) as sandbox:
        await http.get(f"{sandbox.url}/pigeon/x/nothing")

        assert ["/pigeon/x/nothing"] == [entry.exchange.http.path for entry in sandbox.request_log.select(status=404)]


def test_two_platforms_at_one_path_are_refused() -> None:
    other = replace(PIGEON, name="dove")

    with pytest.raises(ConfigError, match="both serve POST /pigeon"):
        Sandbox(platforms=[PIGEON, other])


def test_a_placeholder_meets_a_fixed_path_of_another_platform() -> None:
    def router(name: str, path: str) -> Router:
        made = Router(name, COO, None)  # type: ignore[arg-type]
        made.routes["POST", path] = []
        return made

    with pytest.raises(ConfigError, match="both serve POST /to"):
        HttpListener([router("one", "/to/{x}/messages"), router("two", "/to/me/{kind}")])
    HttpListener([router("one", "/to/{x}/messages"), router("two", "/to/me")])
    HttpListener([router("one", "/to/{x}/messages"), router("two", "/to/me/cards")])


def test_an_unknown_platform_is_named_with_close_ones() -> None:
    with pytest.raises(ConfigError, match="no platform 'qqbo'"):
        Sandbox(platforms=["qqbo"])


def test_a_platform_that_does_not_load_is_left_out_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = replace(PIGEON, name="broken", server="tests.pigeon:Missing")
    monkeypatch.setattr("yizhan.sandbox.state.platforms", lambda: {"broken": broken, "pigeon": PIGEON})

    assert ["pigeon"] == list(Sandbox().servers)
    with pytest.raises(ConfigError, match="'broken' cannot be served"):
        Sandbox(platforms=["broken"])


def test_every_platform_that_is_installed_is_served_without_collisions() -> None:
    sandbox = Sandbox()

    assert set(sandbox.servers) <= set(platforms())


async def test_a_port_in_use_is_a_plain_error() -> None:
    async with Sandbox(platforms=[PIGEON]) as sandbox:
        with pytest.raises(ConfigError, match=f"Cannot listen on 127.0.0.1:{sandbox.port}"):
            await Sandbox(platforms=[PIGEON], port=sandbox.port).start()


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    # Some event loops would take it modulo 65536.
    with pytest.raises(ConfigError, match=f"no port {port}"):
        Sandbox(platforms=[PIGEON], port=port)


def test_a_second_listener_needs_a_platform_to_serve() -> None:
    with pytest.raises(ConfigError, match="POST /api/"):
        Sandbox(platforms=[PIGEON], type_api_port=0)


async def test_the_second_listener_serves_the_type_api_alone(http: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(world: Any, rules: Any, options: ServerOptions) -> Server:
        server = Server(world, rules, options)
        server.router.add(replace(SEND, path="/{to}/"), server._send)
        return server

    monkeypatch.setattr("yizhan.sandbox.app._TYPE_API", ("POST", "/{to}/"))
    monkeypatch.setattr("tests.pigeon.Made", make, raising=False)
    platform = replace(PIGEON, server="tests.pigeon:Made")
    async with Sandbox(platforms=[platform], type_api_port=0) as sandbox:
        async with http.post(f"{sandbox.type_api_url}/api/", json={"text": "hi"}) as answer:
            status = answer.status
        async with http.get(f"{sandbox.type_api_url}/_sandbox/posts") as answer:
            control = answer.status

        assert (200, 404) == (status, control)
        assert 1 == sandbox.request_log.count(endpoint="sendLetter")


def test_a_world_file_takes_the_place_of_the_default(tmp_path: Path) -> None:
    file = tmp_path / "world.toml"
    file.write_text('[[qq.people]]\nid = "EVE"\nname = "Eve"\n')
    sandbox = Sandbox(file, platforms=[PIGEON])

    assert ["EVE"] == list(sandbox.world.network("qq").people)
    sandbox.reset()
    assert ["EVE"] == list(sandbox.world.network("qq").people)


async def test_closing_ends_the_servers_and_the_listener() -> None:
    sandbox = await Sandbox(platforms=[PIGEON]).start()
    url = sandbox.url
    await sandbox.close()

    assert sandbox.servers["pigeon"].closed  # type: ignore[attr-defined]
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(url)


def test_the_url_names_a_loopback_address_even_when_all_are_listened_on() -> None:
    for host, url in (("0.0.0.0", "http://127.0.0.1:0"), ("::", "http://[::1]:0"), ("::1", "http://[::1]:0")):
        assert url == HttpListener([], host=host).url


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_prints_one_line_and_ends_on_a_signal(number: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "yizhan.sandbox", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    async with aiohttp.ClientSession() as session, session.get(f"{line.split()[-1]}/_sandbox/") as answer:
        status = answer.status
    process.send_signal(number)
    rest, _ = await process.communicate()

    assert line.startswith("sandbox ready on http://127.0.0.1:")
    assert (200, b"", 0) == (status, rest, process.returncode)


def test_a_missing_world_file_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == main(["--world", "nowhere.toml"])
    assert "nowhere.toml: not a world file" in capsys.readouterr().err
