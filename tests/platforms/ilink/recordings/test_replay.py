"""Recorded requests of real clients, replayed against our sandbox: answers lack no field of the recorded ones."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from tests.platforms.ilink.recordings.recorded import SCENARIOS, Recorded, Substitutes, asset, load
from tests.support import Served, serve
from yizhan.http.router import Exchange
from yizhan.platforms.ilink import PLATFORM, wire
from yizhan.platforms.ilink.server import Server
from yizhan.platforms.ilink.wire.crypt import deciphered
from yizhan.platforms.server import ServerOptions
from yizhan.wire import Fault, HttpResponse

QUICK = {"limits": False, "getupdates.hold_seconds": 0, "login.hold_seconds": 0}
TESTUSER = "o9cq80000000000000000testuser@im.wechat"
OTHER = "o9cq80000000000000000otheruser@im.wechat"
MEDIA = {2: ("image", "photo.png"), 3: ("voice", "voice.silk"), 4: ("file", "report.pdf"), 5: ("video", "clip.mp4")}


class Replay:
    """One scenario against one sandbox."""

    def __init__(self, served: Served, http: aiohttp.ClientSession) -> None:
        self.served = served
        self.http = http
        self.values = Substitutes()
        self.last_code = ""
        self.keys: dict[str, bytes] = {}
        """AES keys of received media, by download parameter."""

    @property
    def server(self) -> Server:
        server = self.served.server
        assert isinstance(server, Server)
        return server

    def rules(self, **changes: Any) -> None:
        self.server.rules = PLATFORM.rules(None, {**QUICK, **changes})

    async def prepare(self, recorded: Recorded) -> dict[str, str]:
        """Put the sandbox into the state of the stub; return the headers to use instead."""
        self.rules()
        self.served.before = _nothing  # type: ignore[method-assign]
        suffix = recorded.operation.partition(".")[2]
        match recorded.call:
            case "get_qrcode_status":
                self._phone(recorded, suffix)
            case "getupdates" if suffix == "stale_token":
                return {"Authorization": "Bearer dead@im.bot:060000"}
            case "getupdates":
                await self._say(recorded)
            case "sendmessage" if "prepare_failed" in suffix:
                self.rules(limits=True, **{"window.count": 0})
            case "sendmessage" if "errmsg" not in recorded.answered:
                # The stub took mixed lists of items; the service does not, and our sandbox only when told to.
                self.rules(**{"sendmessage.one_item": len(recorded.body["msg"]["item_list"]) == 1})
            case "cdn_upload" if suffix == "500":
                self.served.before = _failing  # type: ignore[method-assign]
        return {}

    def _phone(self, recorded: Recorded, suffix: str) -> None:
        state = self.server.logins.find(self.values.here[recorded.request["query"]["qrcode"]])
        if suffix in ("scaned", "need_verifycode", "expired") and "verify_code" not in recorded.request["query"]:
            state.become(suffix)
        if suffix == "confirmed":
            self.server.logins.confirm(state)
        self.rules(**{"login.verify_code": "4321"})

    async def _say(self, recorded: Recorded) -> None:
        """Let the person write the stub's messages; the first "hi" is written anyway."""
        bot = list(self.server.bots.by_token.values())[-1]
        for message in recorded.answered["msgs"]:
            kind, name = MEDIA.get(message["item_list"][0]["type"], ("", ""))
            blob = await self.served.world.blobs.add(asset(name)) if name else None
            text = "" if name else "hello"
            if bot.acknowledged or len(bot.inbox) > 1 or blob is not None:
                await self.server.say(bot.user, "bot", text=text, media=blob, kind=kind or "file", name=name)  # type: ignore[arg-type]

    async def exchange(self, recorded: Recorded) -> tuple[int, dict[str, str], Any]:
        instead = await self.prepare(recorded)
        request = recorded.request
        query = urlencode(self.values.apply(request["query"]))
        headers = {**self.values.apply(recorded.headers), **instead}
        body = recorded.body
        data = body if body is None or isinstance(body, bytes) else json.dumps(self.values.apply(body)).encode()
        url = f"{self.served.url}{request['path']}{'?' + query if query else ''}"
        async with self.http.request(
            request["method"], aiohttp.client.URL(url, encoded=True), data=data, headers=headers
        ) as answer:
            raw = await answer.read()
            is_json = recorded.request["path"].startswith("/ilink")
            return answer.status, dict(answer.headers), json.loads(raw) if is_json else raw


async def _nothing(exchange: Exchange) -> HttpResponse | None:
    return None


async def _failing(exchange: Exchange) -> HttpResponse | None:
    raise Fault(wire.CDN_FAILED)


def missing(recorded: Any, ours: Any, where: str = "") -> list[str]:
    """Return the fields that our answer lacks, or has with another type of value."""
    if isinstance(recorded, dict):
        if not isinstance(ours, dict):
            return [where]
        gone = [f"{where}.{name}" for name in recorded.keys() - ours.keys()]
        return gone + [
            m for name in recorded.keys() & ours.keys() for m in missing(recorded[name], ours[name], f"{where}.{name}")
        ]
    if isinstance(recorded, list):
        if recorded and not ours:
            return [where]
        return [m for one, other in zip(recorded, ours, strict=False) for m in missing(one, other, where)]
    return [] if type(recorded) is type(ours) else [f"{where}: {type(ours).__name__}"]


# Fields that depend on the person: a quote, WeChat's transcription.
OPTIONAL = {".msgs.item_list.ref_msg", ".msgs.item_list.voice_item.text"}


@pytest.fixture
async def replay() -> AsyncIterator[Replay]:
    options = ServerOptions(manual_logins=True)
    async with serve(PLATFORM, rules=QUICK, options=options) as served, aiohttp.ClientSession() as http:
        yield Replay(served, http)


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_recorded_client_gets_every_field_that_it_got(replay: Replay, scenario: str) -> None:
    wrong = []
    for number, recorded in enumerate(load(scenario), 1):
        status, headers, ours = await replay.exchange(recorded)
        replay.values.learn(recorded.answered, ours)
        replay.values.learn(
            recorded.answer["headers"], {k: v for k, v in headers.items() if k.lower().startswith("x-")}
        )
        if recorded.operation == "get_qrcode_status.confirmed":
            (replay.values.here[OTHER],) = replay.server.people("user", 1)
        label = f"{number} {recorded.step} {recorded.operation}"
        wanted = {k for k in recorded.answer["headers"] if k.startswith("x-encrypted")}
        if status != recorded.answer["status"] or not wanted <= {k.lower() for k in headers}:
            wrong.append(f"{label}: {status} {ours!r:.200}")
        elif not isinstance(recorded.answered, (bytes, str)):
            gone = sorted(set(missing(recorded.answered, ours)) - OPTIONAL)
            wrong += [f"{label}: {name}" for name in gone]
        elif recorded.call == "cdn_download":
            assert len(ours) % 16 == 0
            assert ours

    assert [] == wrong
    assert [] == [e.endpoint for e in replay.served.exchanges if e.note == "handler failed"]


async def test_every_recorded_upload_deciphers_to_the_sent_file(replay: Replay) -> None:
    plain = {
        asset(name) for name in ("photo.png", "report.pdf", "clip.mp4", "voice.silk", "unicode-name.txt", "thumb.jpg")
    }
    opened = other = 0
    for scenario in SCENARIOS:
        keys = {}
        for recorded in load(scenario):
            if recorded.call == "getuploadurl":
                keys[recorded.body["filekey"]] = bytes.fromhex(recorded.body["aeskey"])
            if recorded.call == "cdn_upload":
                data = await _opened(recorded.body, keys[recorded.request["query"]["filekey"]])
                opened += data in plain
                other += data not in plain

    assert 40 < opened
    assert 4 >= other, "only thumbnails may have been re-encoded"


async def _opened(sealed: bytes, key: bytes) -> bytes:
    async def whole() -> AsyncIterator[bytes]:
        yield sealed

    return b"".join([piece async for piece in deciphered(whole(), key)])
