"""The requests of our client, compared field by field with the official client's recorded ones."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from hashlib import md5, sha256
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tests.platforms.ilink.recordings.recorded import OF_THE_LIBRARY, Recorded, asset, load
from tests.support import Served, context, serve
from yizhan.http.router import Exchange
from yizhan.model import BytesContent, File, Image, Media, Message, SendKey, Target, Text, Video
from yizhan.platforms.adapter import LoginStep
from yizhan.platforms.ilink import PLATFORM
from yizhan.platforms.ilink.client import Adapter
from yizhan.platforms.ilink.wire.crypt import read_key

OFFICIAL = load("openclaw-weixin-2.4.9.main")
QUICK = {"login.pause_seconds": 0, "getupdates.hold_seconds": 0}
TEXT = "hello 你好 👋\nline two"


def media(name: str, kind: Any, format: str) -> Media:
    data = asset(name)
    return Media(sha256(data).hexdigest(), md5(data).hexdigest(), 0, len(data), kind, "", format)


SEGMENTS: dict[str, tuple[Any, ...]] = {
    "send_text": (Text(TEXT),),
    "send_image": (Image(media("photo.png", "image", "png")),),
    "send_image_caption": (Image(media("photo.png", "image", "png")), Text("a caption")),
    "send_file": (File(media("report.pdf", "file", "pdf"), "report.pdf"),),
    "send_file_unicode_name": (File(media("unicode-name.txt", "file", ""), "说明 文件.txt"),),
    "send_video": (Video(media("clip.mp4", "video", "mp4")),),
}
TOKENS = count(1)
ASSETS = {
    sha256(data).hexdigest(): data for data in map(asset, ("photo.png", "report.pdf", "clip.mp4", "unicode-name.txt"))
}


@pytest.fixture
async def ours() -> AsyncIterator[dict[str, list[Exchange]]]:
    """The requests of our client by step of the recorded script."""
    async with serve(PLATFORM, rules=QUICK) as served:
        contexts: dict[Target, dict[str, Any]] = {}
        settings = {"base_url": served.url}
        adapter = Adapter(context(PLATFORM, served, settings, contexts=contexts, rules=QUICK))
        steps: dict[str, list[Exchange]] = {}
        shown: list[LoginStep] = []
        await _step(served, steps, "login", adapter.login(shown.append))
        target = Target("ilink.main", "user", adapter.calls.session.user_id)  # type: ignore[union-attr]
        await _step(served, steps, "poll", _receive(adapter, contexts))
        await _step(served, steps, "typing", _type(adapter, target))
        for step, segments in SEGMENTS.items():
            await _step(served, steps, step, _send(adapter, target, segments))
        await _step(served, steps, "stop", adapter.close())
        yield steps


async def _step(served: Served, steps: dict[str, list[Exchange]], name: str, work: Any) -> None:
    before = len(served.exchanges)
    await work
    steps[name] = served.exchanges[before:]


async def _receive(adapter: Adapter, contexts: dict[Target, dict[str, Any]]) -> None:
    stream = adapter.events()
    event = await anext(stream)
    assert event.target is not None
    contexts[event.target] = {**event.context, "at": event.at}


async def _type(adapter: Adapter, target: Target) -> None:
    await adapter.typing(target)
    await adapter.typing(target, on=False)


async def _send(adapter: Adapter, target: Target, segments: tuple[Any, ...]) -> None:
    message = Message(segments)
    for part in adapter.compose(message, target):
        handles = {
            need: await adapter.upload(need, BytesContent(ASSETS[need.media.sha256]), target) for need in part.needs
        }
        await adapter.send(part, handles, target, SendKey(next(TOKENS), 1), message)


def recorded(step: str, call: str, number: int = 0) -> Recorded:
    return [r for r in OFFICIAL if r.step == step and r.call == call][number]


def names(body: Any) -> Any:
    """The fields of a body in their order, nested ones too."""
    if isinstance(body, dict):
        return [(name, names(value)) for name, value in body.items()]
    if isinstance(body, list):
        return [names(value) for value in body]
    return type(body).__name__


def sent(exchange: Exchange) -> Any:
    return json.loads(b"".join(piece for piece in exchange.http.body if isinstance(piece, bytes)) or b"null")


CASES = [
    ("login", "get_bot_qrcode", 0, "login"),
    ("login", "get_qrcode_status", 0, "login"),
    ("poll", "notifystart", 0, "start"),
    ("poll", "getupdates", 0, "poll"),
    ("typing", "getconfig", 0, "typing"),
    ("typing", "sendtyping", 0, "typing"),
    ("typing", "sendtyping", 1, "typing"),
    ("stop", "notifystop", 0, "stop"),
    *((step, "sendmessage", 0, step) for step in SEGMENTS),
    *((step, call, 0, step) for step in SEGMENTS if step != "send_text" for call in ("getuploadurl", "cdn_upload")),
    ("send_image_caption", "sendmessage", 1, "send_image_caption"),
]


@pytest.mark.parametrize(("step", "call", "number", "theirs"), CASES)
async def test_our_request_has_the_official_ones_fields_and_headers(
    ours: dict[str, list[Exchange]], step: str, call: str, number: int, theirs: str
) -> None:
    official = recorded(theirs, call, number)
    mine = [exchange for exchange in ours[step] if exchange.endpoint == call][number].http

    assert (official.request["method"], official.request["path"]) == (mine.method, mine.path)
    assert sorted(official.request["query"]) == sorted(name for name, _ in mine.query)
    headers = {name.lower(): value for name, value in mine.headers.items() if name.lower() not in OF_THE_LIBRARY}
    assert {name.lower() for name in official.headers} == headers.keys()
    for name, value in official.headers.items():
        if name.lower() not in ("authorization", "x-wechat-uin"):
            assert value == headers[name.lower()], name
    if call != "cdn_upload" and official.body is not None:
        assert names(official.body) == names(sent(next(e for e in ours[step] if e.http is mine)))


VARIABLE = {
    "filekey",
    "aeskey",
    "to_user_id",
    "client_id",
    "context_token",
    "encrypt_query_param",
    "aes_key",
    "bot_agent",
}


@pytest.mark.parametrize(
    ("step", "call", "number", "theirs"), [c for c in CASES if c[1] in ("sendmessage", "getuploadurl")]
)
async def test_fixed_fields_are_those_of_the_official_client(
    ours: dict[str, list[Exchange]], step: str, call: str, number: int, theirs: str
) -> None:
    official = _fixed(recorded(theirs, call, number).body)
    mine = _fixed(sent([exchange for exchange in ours[step] if exchange.endpoint == call][number]))

    if step == "send_image_caption" and call == "sendmessage" and number == 0:
        official["msg"]["item_list"][0]["text_item"]["text"] = "a caption"
    assert official == mine


def _fixed(body: Any) -> Any:
    if isinstance(body, dict):
        return {name: _fixed(value) for name, value in body.items() if name not in VARIABLE}
    return [_fixed(value) for value in body] if isinstance(body, list) else body


async def test_generated_fields_have_the_official_form(ours: dict[str, list[Exchange]]) -> None:
    client_ids = []
    for exchange in (e for steps in ours.values() for e in steps):
        body = sent(exchange) if exchange.endpoint != "cdn_upload" else None
        if exchange.endpoint == "getuploadurl":
            assert re.fullmatch(r"[0-9a-f]{32}", body["filekey"])
            assert re.fullmatch(r"[0-9a-f]{32}", body["aeskey"])
        if exchange.endpoint == "sendmessage":
            client_ids.append(body["msg"]["client_id"])
            for key in re.findall(r'"aes_key": "([^"]+)"', json.dumps(body)):
                assert 44 == len(key)
                assert 16 == len(read_key(key))

    assert len(set(client_ids)) == len(client_ids) == len(SEGMENTS) + 1


async def test_every_uin_is_a_new_one(ours: dict[str, list[Exchange]]) -> None:
    posts = [e.http for steps in ours.values() for e in steps if e.http.method == "POST" and "/c2c" not in e.http.path]
    uins = [http.header("x-wechat-uin") for http in posts]

    assert len(uins) > 10
    assert len(set(uins)) == len(uins)


async def test_uploads_go_to_the_address_that_the_platform_named(ours: dict[str, list[Exchange]]) -> None:
    place, upload = [e for e in ours["send_image"] if e.endpoint in ("getuploadurl", "cdn_upload")]
    answer = json.loads(place.response.data)  # type: ignore[union-attr]

    assert dict(parse_qsl(answer["upload_full_url"].partition("?")[2])) == dict(upload.http.query)
