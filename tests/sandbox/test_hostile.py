"""Every route of every platform, with hostile requests: always an answer, never a 500, never a crash."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from itertools import product
from typing import Any, cast

import aiohttp
import msgspec
import pytest
from msgspec import inspect
from yarl import URL

from yizhan.platforms.spec import platforms
from yizhan.sandbox import Sandbox
from yizhan.sandbox.request_log import view
from yizhan.wire import MULTIPART, Endpoint, FormPart, HttpRequest

_MULTIPART = "multipart/form-data; boundary=cut"
_FILE = b'--cut\r\nContent-Disposition: form-data; name="%s"; filename="../../%%00"\r\n\r\nx\r\n--cut--\r\n'
_TEXT = b'--cut\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n--cut--\r\n'
BODIES: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "application/json"),
    ("half an object", b"{", "application/json"),
    ("null", b"null", "application/json"),
    ("a list", b"[1,2]", "application/json"),
    ("no text", b"\xff\xfe\x00", "application/json"),
    ("deep", b'{"a":' * 3000 + b"1" + b"}" * 3000, "application/json"),
    ("a form", b"a=1&a=2&%ff=%00", "application/x-www-form-urlencoded"),
    ("xml", b"<a><b>&c;</b>", "text/xml"),
    ("an empty multipart body", b"--cut--\r\n", _MULTIPART),
    ("a file of another name", _FILE % b"other", _MULTIPART),
    ("a file", _FILE % b"filename", _MULTIPART),
    ("no json in a part", _TEXT % (b"uploadmediarequest", b"{"), _MULTIPART),
    ("a part deep as a well", _TEXT % (b"uploadmediarequest", b"[" * 5000), _MULTIPART),
    ("a broken multipart body", b"--cut\r\n\r\n", _MULTIPART),
]
VALUES = [
    None,
    0,
    -1,
    1 << 70,
    1e300,
    True,
    "",
    "x",
    "../../etc/passwd",
    "\x00",
    "张" * 3000,
    [],
    [{}],
    {},
    {"a": {"b": []}},
]


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as sandbox:
        yield sandbox


def _filled(path: str, value: str) -> str:
    pieces = path.split("/")
    return "/".join(value if "{" in piece else piece for piece in pieces)


async def _refused(sandbox: Sandbox, session: aiohttp.ClientSession, platform: str, work: list[object]) -> list[str]:
    """Send everything in `work`, some at once; return the requests that failed or had no answer."""
    wrong: list[str] = []
    turns = asyncio.Semaphore(20)

    async def one(name: str, method: str, path: str, body: bytes, content_type: str) -> None:
        url = URL(sandbox.url + path, encoded=True)
        async with turns:
            try:
                async with session.request(method, url, data=body, headers={"Content-Type": content_type}) as answer:
                    if b"the sandbox failed" in await answer.read():
                        wrong.append(f"{platform} {method} {path}: {name}: 500")
            except TimeoutError:
                # A long poll that waits for an event is an answer too.
                pass
            except aiohttp.ClientError as error:
                wrong.append(f"{platform} {method} {path}: {name}: {error!r}")

    await asyncio.gather(*(one(*item) for item in work))  # type: ignore[misc]
    return wrong


@pytest.mark.parametrize("platform", platforms())
async def test_no_route_of_any_platform_fails_over_a_body(
    sandbox: Sandbox, platform: str, caplog: pytest.LogCaptureFixture
) -> None:
    timeout = aiohttp.ClientTimeout(total=1)
    work: list[object] = [
        (name, method, _filled(path, value), body, content_type)
        for method, path in sandbox.servers[platform].router.routes
        for name, body, content_type in BODIES
        for value in ("x", "%00%2e%2e%2f%ff")
    ]
    async with aiohttp.ClientSession(timeout=timeout) as session:
        wrong = await _refused(sandbox, session, platform, work)
        async with session.get(f"{sandbox.url}/_sandbox/") as answer:
            assert 200 == answer.status

    assert [] == wrong
    assert [] == [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# --- bodies that nearly fit -------------------------------------------------------------------------------------------

USERS = {"qqbot": "A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4", "webwechat": "filehelper"}


def _plain(kind: Any, user: str, number: int, depth: int = 0) -> Any:
    """A value that fits the type, with `user` wherever text is wanted and `number` wherever a number is."""
    match kind:
        case inspect.StructType() if depth < 4:
            return {f.encode_name: _plain(f.type, user, number, depth + 1) for f in kind.fields}
        case inspect.StrType():
            return user
        case inspect.IntType() | inspect.FloatType():
            return number
        case inspect.BoolType():
            return True
        case inspect.ListType() | inspect.VarTupleType():
            return [_plain(kind.item_type, user, number, depth + 1)]
        case inspect.UnionType():
            return _plain(kind.types[0], user, number, depth)
        case inspect.EnumType():
            return next(iter(kind.cls)).value
        case inspect.LiteralType():
            return kind.values[0]
    return {}


def _odd(value: Any) -> Iterator[Any]:
    """Every copy of `value` in which one leaf, at any depth, is something that no client should send."""
    yield from VALUES
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from ({**value, name: odd} for odd in _odd(inner))
        for name in value:
            yield {k: v for k, v in value.items() if k != name}
    elif isinstance(value, list):
        for inner in value:
            yield from ([odd] for odd in _odd(inner))


PLACES = {"/groups/": "B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4E5", "/channels/": "1000001"}


class Badge:
    """The values that a logged-in client of one platform adds to its requests."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.query: dict[str, str] = {}
        self.body: dict[str, Any] = {}


async def _badge(sandbox: Sandbox, platform: str) -> Badge:
    badge = Badge()
    async with aiohttp.ClientSession() as session:

        async def ask(method: str, path: str, **more: Any) -> tuple[aiohttp.ClientResponse, str]:
            async with session.request(method, sandbox.url + path, allow_redirects=False, **more) as answer:
                return answer, await answer.text()

        match platform:
            case "qqbot":
                secret = {"appId": "102000001", "clientSecret": "DG5g3B4j9X2KOErG"}
                _, text = await ask("POST", "/app/getAppAccessToken", json=secret)
                badge.headers["Authorization"] = f"QQBot {msgspec.json.decode(text)['access_token']}"
            case "ohwxapi":
                badge.query["wxid"] = "wxid_sandbox"
            case "ilink":
                code = msgspec.json.decode((await ask("POST", "/ilink/bot/get_bot_qrcode?bot_type=3", json={}))[1])
                status: dict[str, Any] = {}
                while "bot_token" not in status:
                    path = f"/ilink/bot/get_qrcode_status?qrcode={code['qrcode']}"
                    status = msgspec.json.decode((await ask("GET", path))[1])
                badge.headers = {
                    "Authorization": f"Bearer {status['bot_token']}",
                    "AuthorizationType": "ilink_bot_token",
                }
            case "webwechat":
                _, text = await ask("GET", "/jslogin?appid=wx782c26e4c19acffb&fun=new&lang=en_US&_=1")
                uuid = text.split('"')[1]
                while "redirect_uri" not in text:
                    _, text = await ask("GET", f"/cgi-bin/mmwebwx-bin/login?uuid={uuid}&tip=0&_=1")
                target = URL(text.split('redirect_uri="')[1].split('"')[0] + "&fun=new&version=v2", encoded=True)
                answer, text = await ask("GET", str(target.relative()))
                cookies = {name: morsel.value for name, morsel in answer.cookies.items()}
                badge.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
                base = {"Uin": int(cookies["wxuin"]), "Sid": cookies["wxsid"], "DeviceID": "e123456789012345"}
                badge.body["BaseRequest"] = base | {"Skey": text.split("<skey>")[1].split("<")[0]}
    return badge


def _requests(endpoint: Endpoint[Any, Any], badge: Badge, user: str, number: int) -> Iterator[HttpRequest]:
    shape = cast(inspect.StructType, inspect.type_info(endpoint.request))
    fields = {f.encode_name: f for f in shape.fields}
    plan = endpoint.plan
    full = {wire: _plain(fields[wire].type, user, number) for _, wire in plan.body if wire in fields}
    few = {wire: value for wire, value in full.items() if fields[wire].required}
    always = badge.body | dict(endpoint.constants)
    query = {wire: "1" for _, wire in plan.query} | badge.query | dict(endpoint.constant_query)
    place = next((id for piece, id in PLACES.items() if piece in endpoint.path), user)
    params = {wire: place for _, wire in plan.path}
    odd_ones = [{**few, name: odd} for name, value in full.items() for odd in _odd(value)]
    missing = [{k: v for k, v in few.items() if k != name} for name in few]
    for body in ({}, few, full, *missing, *odd_ones):
        yield _request(endpoint, params, query, badge.headers, always | body)
    fits = always | few
    for name in (*query, *params):
        for odd in ("", "\x00", "-1", "9" * 400, "../x", "张", '"', "%", "1e9"):
            changed = query | {name: odd} if name in query else query
            yield _request(endpoint, params | {name: odd} if name in params else params, changed, badge.headers, fits)


def _request(
    endpoint: Endpoint[Any, Any],
    params: dict[str, str],
    query: dict[str, str],
    headers: dict[str, str],
    fields: dict[str, Any],
) -> HttpRequest:
    http = HttpRequest(endpoint.method, endpoint.path, list(query.items()), dict(headers), params=params)
    http.base_url = "http://127.0.0.1:1"
    if endpoint.codec is MULTIPART:
        http.headers["Content-Type"] = _MULTIPART
        texts = {k: v if isinstance(v, str) else msgspec.json.encode(v).decode() for k, v in fields.items()}
        http.parts = [FormPart(name, text) for name, text in texts.items()]
    elif _has_body(endpoint):
        http.headers["Content-Type"] = "application/json"
        http.body = (msgspec.json.encode(fields),)
    return http


def _has_body(endpoint: Endpoint[Any, Any]) -> bool:
    return bool(endpoint.plan.body or endpoint.constants)


@pytest.mark.parametrize("platform", platforms())
async def test_no_call_of_any_platform_fails_over_a_field(
    sandbox: Sandbox, platform: str, caplog: pytest.LogCaptureFixture
) -> None:
    sandbox.set_rules(platform, limits=False)
    badge = await _badge(sandbox, platform)
    router = sandbox.servers[platform].router
    wrong: set[str] = set()

    async def one(endpoint: Endpoint[Any, Any], http: HttpRequest) -> None:
        try:
            answer = await asyncio.wait_for(router.answer(http), 0.2)
        except TimeoutError:
            return
        if b"the sandbox failed" in answer.data:
            wrong.add(endpoint.name)

    user = USERS.get(platform, "wxid_alice")
    calls = [endpoint for endpoint in router.endpoints if "logout" not in endpoint.name.lower()]
    for endpoint, number in product(calls, (0, 1)):
        await asyncio.gather(*(one(endpoint, http) for http in _requests(endpoint, badge, user, number)))

    failures = {
        f"{record.exc_info[1]!r}"[:150]: getattr(record, "endpoint", "")
        for record in caplog.records
        if record.levelno >= logging.ERROR and record.exc_info
    }
    assert ({}, set()) == (failures, wrong)


# --- secrets in logs --------------------------------------------------------------------------------------------------


def _secrets(badge: Badge) -> set[str]:
    cookies = [pair.partition("=") for pair in badge.headers.get("Cookie", "").split("; ")]
    session = {value for name, _, value in cookies if name not in ("", "wxuin", "wxloadtime", "mm_lang")}
    base = badge.body.get("BaseRequest", {})
    token = badge.headers.get("Authorization", "").rpartition(" ")[2]
    return {secret for secret in (*session, base.get("Sid"), base.get("Skey"), token) if secret}


@pytest.mark.parametrize("platform", platforms())
async def test_the_request_log_has_no_secret_of_any_platform(sandbox: Sandbox, platform: str) -> None:
    badge = await _badge(sandbox, platform)
    secrets = _secrets(badge) | {"DG5g3B4j9X2KOErG"}
    router = sandbox.servers[platform].router
    for endpoint in router.endpoints:
        http = next(_requests(endpoint, badge, USERS.get(platform, "wxid_alice"), 1))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(router.answer(http), 0.05)
    log = msgspec.json.encode([view(entry) for entry in sandbox.request_log.select()]).decode()

    assert [] == [secret for secret in secrets if secret in log]
    assert len(sandbox.request_log) >= len(router.endpoints)
