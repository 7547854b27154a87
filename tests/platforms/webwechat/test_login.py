"""Login at our sandbox: every state of a QR code, and sessions that survive a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.platforms.webwechat.support import CountedClock
from tests.support import MemoryStateStore, Served, context, serve
from yizhan.errors import LoginNeeded, Unsupported, WireMismatch
from yizhan.model import Forward, Receipt, SendKey, State, Target, message_of
from yizhan.platforms.adapter import LoginStep
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.webwechat import PLATFORM, wire
from yizhan.platforms.webwechat.client import Adapter
from yizhan.platforms.webwechat.client.session import load_session
from yizhan.platforms.webwechat.wire.login import JsLogin, LoginPoll
from yizhan.wire import HttpResponse

QUICK = {"synccheck.hold_seconds": 0.05, "login.hold_seconds": 0.05}
HELPER = Target("webwechat.main", "user", "filehelper")


@asynccontextmanager
async def serving(manual: bool = False, **rules: Any) -> AsyncIterator[Served]:
    options = ServerOptions(manual_logins=manual)
    async with serve(PLATFORM, rules={**QUICK, **rules}, options=options) as served:
        yield served


def adapter_at(served: Served, state_store: MemoryStateStore | None = None, **settings: Any) -> Adapter:
    return Adapter(context(PLATFORM, served, {"base_url": served.url, **settings}, state_store=state_store))


class Shown:
    """Records the steps of a login and plays the phone."""

    def __init__(self, served: Served, *plan: str) -> None:
        self.steps: list[LoginStep] = []
        self._server: Any = served.server
        self._plan = list(plan)
        self._tasks: list[asyncio.Task[None]] = []
        self.uuid = ""

    def __call__(self, step: LoginStep) -> None:
        self.steps.append(step)
        if step.qr:
            self.uuid = step.qr.removeprefix("https://login.weixin.qq.com/l/")
        if step.state in ("qr", "scanned") and self._plan:
            self._tasks.append(asyncio.ensure_future(self._server.login(self.uuid, self._plan.pop(0))))

    @property
    def states(self) -> list[str]:
        return [step.state for step in self.steps]


async def send(adapter: Adapter, text: str = "hi", target: Target = HELPER, token: int = 1) -> Any:
    message = message_of(text)
    (part,) = adapter.compose(message, target)
    return await adapter.send(part, {}, target, SendKey(token, 1), message)


async def test_a_login_confirms_itself_unless_a_test_plays_the_phone() -> None:
    async with serving() as served:
        shown = Shown(served)
        adapter = adapter_at(served)
        who = await adapter.login(shown)
        await adapter.close()

        assert ["qr", "scanned", "confirmed"] == shown.states
        assert "me (uin 1000020001)" == who
        assert ["jslogin", "login", "login", "webwxnewloginpage", "webwxinit", "webwxstatusnotify"] == [
            e.endpoint for e in served.exchanges
        ]


async def test_the_phone_scans_and_confirms() -> None:
    async with serving(manual=True) as served:
        shown = Shown(served, "scan", "confirm")
        adapter = adapter_at(served)
        await adapter.login(shown)
        await adapter.close()

        assert ["qr", "scanned", "confirmed"] == shown.states


@pytest.mark.parametrize(("step", "state"), [("expire", "expired"), ("cancel", "cancelled")])
async def test_an_expired_or_cancelled_code_is_followed_by_a_new_one(step: str, state: str) -> None:
    async with serving(manual=True) as served:
        shown = Shown(served, step, "scan", "confirm")
        adapter = adapter_at(served)
        await adapter.login(shown)
        await adapter.close()

        assert ["qr", state, "qr", "scanned", "confirmed"] == shown.states
        assert 2 == served.calls("jslogin")


async def test_a_login_without_a_scan_ends_with_a_remedy() -> None:
    async with serving(manual=True) as served:
        adapter = adapter_at(served)
        with pytest.raises(LoginNeeded, match=r"none of the codes.*yizhan login webwechat.main"):
            await adapter.login(Shown(served, *["expire"] * 6))
        await adapter.close()

        assert 6 == served.calls("jslogin")


async def test_a_login_poll_that_is_not_held_repeats_once_a_second() -> None:
    async with serving(manual=True, **{"login.hold_seconds": 0}) as served:
        adapter = adapter_at(served)
        adapter.webwx.clock = CountedClock()
        with pytest.raises(LoginNeeded, match="600 seconds"):
            await adapter.login(lambda step: None)
        await adapter.close()

        assert 600 == served.calls("login")


async def poll(served: Served, adapter: Adapter, uuid: str) -> int:
    return (await adapter.webwx.caller.call(wire.LOGIN, LoginPoll(uuid=uuid))).code


async def test_the_poll_reports_every_state_of_a_code() -> None:
    async with serving(manual=True) as served:
        server: Any = served.server
        adapter = adapter_at(served)
        uuid = (await adapter.webwx.caller.call(wire.JSLOGIN, JsLogin())).uuid
        codes = [await poll(served, adapter, uuid)]
        for step in ("scan", "none", "cancel", "none"):
            if step != "none":
                await server.login(uuid, step)
            codes.append(await poll(served, adapter, uuid))
        other = (await adapter.webwx.caller.call(wire.JSLOGIN, JsLogin())).uuid
        served.world.clock.advance(301)
        codes += [await poll(served, adapter, other), await poll(served, adapter, "nobody==")]
        await adapter.close()

        assert [408, 201, 408, 202, 400, 400, 400] == codes
        with pytest.raises(LookupError, match="no login"):
            await server.login("nobody", "scan")


async def test_an_older_page_learns_nothing_of_a_cancel_and_may_scan_again() -> None:
    async with serving(manual=True, **{"login.says_cancelled": False}) as served:
        server: Any = served.server
        adapter = adapter_at(served)
        uuid = await adapter.webwx.jslogin()
        await server.login(uuid, "scan")
        first = await poll(served, adapter, uuid)
        await server.login(uuid, "cancel")
        second = await poll(served, adapter, uuid)
        await server.login(uuid, "confirm")
        third = await poll(served, adapter, uuid)
        await adapter.close()

        assert [201, 408, 200] == [first, second, third]


async def test_a_held_poll_returns_as_soon_as_the_phone_acts() -> None:
    async with serving(manual=True, **{"login.hold_seconds": 20}) as served:
        server: Any = served.server
        adapter = adapter_at(served)
        uuid = await adapter.webwx.jslogin()
        held = asyncio.Event()
        hold = server.phone.wait_for_step

        async def news(attempt: Any) -> None:
            held.set()
            await hold(attempt)

        server.phone.wait_for_step = news
        waiting = asyncio.ensure_future(poll(served, adapter, uuid))
        await held.wait()
        await server.login(uuid, "scan")

        assert 201 == await asyncio.wait_for(waiting, 60)
        await adapter.close()


async def test_a_session_survives_a_restart_without_a_code() -> None:
    async with serving() as served:
        state_store = MemoryStateStore()
        first = adapter_at(served, state_store)
        await first.login(lambda step: None)
        await first.close()
        second = adapter_at(served, state_store)
        sent = await send(second)
        shown = Shown(served)
        who = await second.login(shown)
        await second.close()

        assert sent.id
        assert [] == shown.steps
        assert "me (uin 1000020001)" == who
        assert 1 == served.calls("jslogin")


async def test_a_session_is_never_sent_to_another_address() -> None:
    state_store = MemoryStateStore()
    async with serving() as real:
        first = adapter_at(real, state_store)
        await first.login(lambda step: None)
        await first.close()
    async with serving() as sandbox:
        second = adapter_at(sandbox, state_store)
        with pytest.raises(LoginNeeded, match="there is no login"):
            await send(second)
        await second.close()

        assert [] == sandbox.exchanges


async def test_the_session_digest_survives_a_restart_and_changes_with_the_login() -> None:
    async with serving() as served:
        server: Any = served.server
        state_store = MemoryStateStore()
        first = adapter_at(served, state_store)
        before = first.session()
        await first.login(lambda step: None)
        logged_in = first.session()
        await first.close()
        second = adapter_at(served, state_store)
        restarted = second.session()
        server.end_session(next(iter(server.sessions.values())), wire.FAULTS.find(1100))
        await second.login(lambda step: None)
        anew = second.session()
        await second.close()

        assert logged_in == restarted
        assert 3 == len({before, logged_in, anew})
        assert second.webwx.ready.sid not in anew


async def test_the_session_digest_changes_with_the_address() -> None:
    async with serving() as served:
        adapter = adapter_at(served)
        await adapter.login(lambda step: None)
        here = adapter.session()
        adapter.webwx.ready.home = "https://wx.qq.com"
        await adapter.close()

        assert here != adapter.session()


async def test_a_second_login_of_the_account_ends_the_first() -> None:
    async with serving(**{"login.same_account": True}) as served:
        first, second = adapter_at(served), adapter_at(served)
        await first.login(lambda step: None)
        await second.login(lambda step: None)

        with pytest.raises(LoginNeeded, match=r"1101.*yizhan login"):
            await send(first)
        assert (await send(second)).id
        await first.close()
        await second.close()


async def test_every_new_login_is_an_account_of_its_own() -> None:
    async with serving() as served:
        adapters = [adapter_at(served) for _ in range(3)]
        names = [await adapter.login(lambda step: None) for adapter in adapters]
        for adapter in adapters:
            assert (await send(adapter)).id
            await adapter.close()

        assert ["me", "me2", "me3"] == [name.partition(" ")[0] for name in names]
        assert {"me", "me2", "me3"} == {post.account for post in served.world.posts}


async def test_a_known_browser_logs_in_again_without_a_code() -> None:
    async with serving() as served:
        server: Any = served.server
        adapter = adapter_at(served)
        await adapter.login(lambda step: None)
        session = next(iter(server.sessions.values()))
        server.end_session(session, wire.FAULTS.find(1100))
        with pytest.raises(LoginNeeded, match="1100"):
            await send(adapter)
        shown = Shown(served)
        who = await adapter.login(shown)
        await adapter.close()

        assert ["scanned", "confirmed"] == shown.states
        assert who.startswith("me ")
        assert 1 == served.calls("jslogin")


async def test_a_new_login_makes_new_names_and_a_new_scope() -> None:
    async with serving() as served:
        server: Any = served.server
        adapter = adapter_at(served)
        await adapter.login(lambda step: None)
        alice = Target("webwechat.main", "user", "Alice")
        before, scope = await send(adapter, target=alice), adapter.webwx.ready.scope
        server.end_session(next(iter(server.sessions.values())), wire.FAULTS.find(1100))
        await adapter.login(lambda step: None)
        after = await send(adapter, target=alice, token=2)

        assert before.extra["to"] != after.extra["to"]
        assert scope != adapter.webwx.ready.scope
        assert ["Alice", "Alice"] == [post.target for post in served.world.posts]
        with pytest.raises(Exception, match="earlier login"):
            await adapter.recall(before, alice, Receipt("d", str(alice), State.SENT))
        with pytest.raises(Unsupported, match="earlier login"):
            adapter.compose(message_of(Forward("file", {"scope": scope, "media_id": "@crypt_1"})), alice)
        await adapter.close()


async def test_a_refused_login_shows_the_service_s_text() -> None:
    async with serving(**{"login.needs_desktop": True}) as served:
        unescape_content, desktop = adapter_at(served, desktop=False), adapter_at(served)
        shown = Shown(served)
        with pytest.raises(LoginNeeded, match="1203"):
            await unescape_content.login(shown)
        await desktop.login(lambda step: None)
        await unescape_content.close()
        await desktop.close()

        assert "refused" == shown.states[-1]
        assert "web微信" in shown.steps[-1].text


async def test_a_refusal_inside_a_redirect_counts() -> None:
    async with serving() as served:

        async def before(exchange: Any) -> HttpResponse | None:
            page = b"<error><ret>1203</ret><message>not here</message></error>"
            moved = HttpResponse(301, [("Location", "https://wx.qq.com/")], page)
            return moved if exchange.endpoint == "webwxnewloginpage" else None

        served.before = before  # type: ignore[method-assign]
        adapter = adapter_at(served)
        with pytest.raises(LoginNeeded, match="not here"):
            await adapter.login(lambda step: None)
        await adapter.close()


@pytest.mark.parametrize(
    ("endpoint", "answer", "says"),
    [
        ("login", b'window.code=200;\nwindow.redirect_uri="/nowhere?ticket=A1";', r"ticket=\*\*\*', no address"),
        ("login", b'window.code=200;\nwindow.redirect_uri="http://[";', "no address"),
        ("webwxnewloginpage", b"<error><ret>0</ret><skey>x</skey></error>", "lacks wxsid"),
        ("webwxnewloginpage", b"<html>", "<ret> is missing"),
    ],
)
async def test_a_malformed_answer_to_a_login_raises_wire_mismatch(endpoint: str, answer: bytes, says: str) -> None:
    async with serving() as served:

        async def before(exchange: Any) -> HttpResponse | None:
            return HttpResponse(200, [], answer) if exchange.endpoint == endpoint else None

        served.before = before  # type: ignore[method-assign]
        adapter = adapter_at(served)
        with pytest.raises(WireMismatch, match=says):
            await adapter.login(lambda step: None)
        await adapter.close()

        assert adapter.webwx.session is None


async def test_a_ticket_is_valid_for_one_session() -> None:
    async with serving() as served:
        server: Any = served.server
        adapter = adapter_at(served)
        await adapter.login(lambda step: None)
        page = next(e.http for e in served.exchanges if e.endpoint == "webwxnewloginpage")
        again = f"{served.url}/cgi-bin/mmwebwx-bin/webwxnewloginpage?{urlencode(page.query)}"
        first = await adapter.webwx.webwxnewloginpage(again)
        server.end_session(server.sessions[first.sid], wire.FAULTS.find(1100))
        with pytest.raises(LoginNeeded, match="ticket"):
            await adapter.webwx.webwxnewloginpage(again)
        await adapter.close()

        assert adapter.webwx.ready.sid == first.sid


async def test_logging_out_ends_the_session_on_both_sides() -> None:
    async with serving() as served:
        state_store = MemoryStateStore()
        adapter = adapter_at(served, state_store)
        await adapter.login(lambda step: None)
        saved = load_session(state_store.get("session"))
        await adapter.logout()

        assert {} == state_store.values
        with pytest.raises(LoginNeeded, match="there is no login"):
            await send(adapter)
        adapter.webwx.use(saved)
        with pytest.raises(LoginNeeded, match="1100"):
            await send(adapter)
        await adapter.close()


async def test_an_account_without_a_login_names_the_remedy() -> None:
    async with serving() as served:
        adapter = adapter_at(served)
        (finding,) = await adapter.check()

        assert (False, "yizhan login webwechat.main") == (finding.ok, finding.remedy)
        with pytest.raises(LoginNeeded, match=r"yizhan login webwechat.main"):
            await send(adapter)
        await adapter.login(lambda step: None)
        assert [True] == [found.ok for found in await adapter.check()]
        await adapter.close()


async def test_an_unreadable_stored_session_is_ignored() -> None:
    state_store = MemoryStateStore()
    await state_store.put("session", b"{broken")
    async with serving() as served:
        adapter = adapter_at(served, state_store)

        assert adapter.webwx.session is None
        await adapter.close()


async def test_the_redirect_has_no_slash_behind_the_question_mark_and_a_dotted_host() -> None:
    async with serving() as served:
        adapter = adapter_at(served)
        uuid = await adapter.webwx.jslogin()
        await adapter.webwx.login(uuid, 1)
        adapter.webwx.caller.bases = dict.fromkeys(
            adapter.webwx.caller.bases, served.url.replace("127.0.0.1", "localhost")
        )
        redirect = (await adapter.webwx.login(uuid, 0)).redirect_uri
        await adapter.close()

        base, _, query = redirect.partition("?")
        assert "/" not in query
        assert base == f"{served.url}/cgi-bin/mmwebwx-bin/webwxnewloginpage"


async def test_pictures_of_the_code_and_of_people_are_jpegs() -> None:
    import aiohttp

    async with serving() as served, aiohttp.ClientSession() as http:
        adapter = adapter_at(served)
        await adapter.login(lambda step: None)
        cookie = {"Cookie": "; ".join(f"{k}={v}" for k, v in adapter.webwx.ready.cookies.items())}
        for path in (
            "/qrcode/x==",
            "/cgi-bin/mmwebwx-bin/webwxgeticon?username=@a",
            "/cgi-bin/mmwebwx-bin/webwxgetheadimg",
        ):
            async with http.get(served.url + path, headers=cookie) as answer:
                data = await answer.read()
                assert ("image/jpeg", b"\xff\xd8\xff") == (answer.headers["Content-Type"], data[:3]), path
        await adapter.close()
