"""Fetching on behalf of others: nothing that is not public is ever connected to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yizhan.errors import ConfigError, MediaFormat, Refused
from yizhan.media.address_guard import AllowList, Forbidden, is_public
from yizhan.media.download import Download, DownloadLimits

FORBIDDEN = [
    "http://127.0.0.1/",
    "http://127.0.0.1:8080/x.png",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0x7F.1/",
    "http://0177.0.0.1/",
    "http://0177.1/",
    "http://017700000001/",
    "http://00000177.0.0.1/",
    "http://127.0.0.1./",
    "http://0/",
    "http://0.0.0.0/",
    "http://0.1.2.3/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://app.localhost/",
    "http://localhost.localdomain/",
    "http://printer.local/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "http://router.lan/",
    "http://10.0.0.1/",
    "http://10.255.255.255/",
    "http://167772161/",
    "http://012.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://3232235777/",
    "http://192.168.257/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0xa9.0xfe.0xa9.0xfe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.1.1/",
    "http://168.63.129.16/machine",
    "http://192.0.0.192/opc/v2/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.7/",
    "http://203.0.113.9/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:a9fe:a9fe]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
    "http://[2001:db8::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://ｌｏｃａｌｈｏｓｔ/",
    "http://%31%32%37.0.0.1/",
    "https://127.0.0.1/",
    "https://[::1]:8443/",
]
NO_ADDRESS = [
    "file:///etc/passwd",
    "ftp://example.com/x",
    "gopher://127.0.0.1:6379/_x",
    "http:///x",
    "http://",
    "https:x",
    "//example.com/x",
    "http://user:secret@example.com/x",
    "http://example.com@127.0.0.1/",
    "http://exa mple.com/",
    "http://[::1/",
    "http://example.com:99999/",
    "",
]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every address that anything was about to connect to."""
    tried: list[Any] = []
    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, lambda _self, address: tried.append(address))

    async def connect(_loop: Any, _socket: Any, address: Any) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.selector_events.BaseSelectorEventLoop, "sock_connect", connect)
    return tried


async def drained(url: str, **limits: Any) -> bytes:
    limits.setdefault("pause_seconds", 0)
    return b"".join([piece async for piece in Download(url, DownloadLimits(**limits))])


@pytest.mark.parametrize("url", FORBIDDEN)
async def test_addresses_that_are_not_public_are_never_connected_to(url: str, connections: list[Any]) -> None:
    with pytest.raises(Refused):
        await drained(url, tries=1)

    assert [] == connections


@pytest.mark.parametrize("url", [url for url in FORBIDDEN if "%25" not in url])
async def test_the_socket_itself_is_guarded_should_the_spelling_pass(
    url: str, connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yizhan.media.download.check_host", lambda *_: None)
    with pytest.raises(Refused):
        await drained(url, tries=1)

    assert [] == connections


@pytest.mark.parametrize("url", NO_ADDRESS)
async def test_only_http_and_https_addresses_without_secrets_are_taken(url: str, connections: list[Any]) -> None:
    with pytest.raises(Refused):
        await drained(url, tries=1)

    assert [] == connections


def answers(monkeypatch: pytest.MonkeyPatch, *of_each_question: list[str]) -> list[str]:
    """Have names answer these addresses, one list after the other; the last one for good."""
    asked: list[str] = []
    waiting = list(of_each_question)

    async def getaddrinfo(_loop: Any, host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        addresses = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return [
            (
                socket.AF_INET6 if ":" in one else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (one, port, 0, 0) if ":" in one else (one, port),
            )
            for one in addresses
        ]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fd00::1", "0.0.0.0"]
)
async def test_a_public_name_that_leads_inside_is_refused(
    address: str, connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, [address])
    with pytest.raises(Forbidden, match=r"evil\.example \(|evil\.example'"):
        await drained("http://evil.example/x.png")

    assert [] == connections


async def test_a_name_that_answers_both_is_only_ever_connected_to_outside(
    connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, ["127.0.0.1", "93.184.216.34", "::1"])
    with pytest.raises(Refused):
        await drained("http://both.example/x.png", tries=1)

    assert {"93.184.216.34"} == {address[0] for address in connections}


async def test_a_name_that_changes_its_answer_between_tries_is_refused(
    connections: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answers(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    with pytest.raises(Forbidden):
        await drained("http://rebind.example/x.png")

    assert 2 == len(asked)
    assert ["93.184.216.34"] == [address[0] for address in connections]


@pytest.fixture
async def server() -> AsyncIterator[Any]:
    """A server that answers whatever its `answer` makes of a request's path; keeps the requests."""

    class Server:
        def __init__(self) -> None:
            self.requests: list[bytes] = []
            self.answers: dict[str, bytes] = {}
            self.url = ""

        async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            self.requests.append(head)
            writer.write(self.answers.get(head.split()[1].decode(), b"HTTP/1.1 404 Not Found\r\n\r\n"))
            writer.close()

    made = Server()
    listening = await asyncio.start_server(made.handle, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    yield made
    listening.close()


def redirect(to: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


def allowing(server: Any) -> AllowList:
    return AllowList((server.url.removeprefix("http://"),))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "to",
    [
        "http://127.0.0.1:1/secret",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:127.0.0.1]:1/",
        "http://2130706433:1/",
        "http://localhost:1/",
        "//10.0.0.1/",
        "file:///etc/passwd",
        "http://user:pw@8.8.8.8/",
        "",
    ],
)
async def test_a_redirect_to_the_inside_is_refused(server: Any, to: str, status: int) -> None:
    server.answers["/a"] = redirect(to, status)
    with pytest.raises(Refused):
        await drained(server.url + "/a", allowed=allowing(server))

    assert 1 == len(server.requests)


async def test_a_redirect_to_an_allowed_address_is_followed(server: Any) -> None:
    server.answers["/a"] = redirect("/b?x=1")
    server.answers["/b?x=1"] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    assert b"ok" == await drained(server.url + "/a", allowed=allowing(server))


async def test_a_ring_of_redirects_ends(server: Any) -> None:
    server.answers["/a"] = redirect("/a")
    with pytest.raises(MediaFormat, match="more than 3 times"):
        await drained(server.url + "/a", allowed=allowing(server), max_redirects=3)

    assert 4 == len(server.requests)


async def test_an_allowed_port_does_not_allow_its_neighbours(server: Any) -> None:
    with pytest.raises(Forbidden):
        await drained(server.url, allowed=AllowList(("127.0.0.1:1",)))

    assert [] == server.requests


@pytest.mark.parametrize(
    ("entry", "host", "port", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("127.0.0.1:8080", "127.0.0.1", 8080, True),
        ("127.0.0.1:8080", "127.0.0.1", 80, False),
        ("10.0.0.0/8", "10.9.9.9", 443, True),
        ("10.0.0.0/8:443", "10.9.9.9", 80, False),
        ("[::1]:8080", "::1", 8080, True),
        ("::1", "::1", 8080, True),
        ("10.0.0.0/8", "11.9.9.9", 443, False),
        ("files.example.test", "127.0.0.1", 80, False),
    ],
)
def test_the_list_of_allowed_addresses_is_taken_by_the_letter(entry: str, host: str, port: int, allowed: bool) -> None:
    from ipaddress import ip_address

    assert allowed == AllowList((entry,)).has_address(ip_address(host), port)


def test_a_name_may_be_allowed_with_or_without_its_port() -> None:
    allowed = AllowList(("Files.Example.test", "b.test:81"))

    assert allowed.has_host("files.example.TEST.", 80)
    assert allowed.has_host("b.test", 81)
    assert not allowed.has_host("b.test", 80)
    assert not allowed.has_host("x.files.example.test", 80)


def test_an_invalid_network_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"10\.1\.0\.0/16"):
        AllowList(("10.0.0/99",))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"])
def test_public_addresses_are_public(address: str) -> None:
    from ipaddress import ip_address

    assert is_public(ip_address(address))


@given(st.ip_addresses())
def test_nothing_that_python_calls_private_is_public(address: Any) -> None:
    assert not is_public(address) or address.is_global
