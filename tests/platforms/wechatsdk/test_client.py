"""The client end against the sandbox: uploads, sends, recalls, and the stream of events."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.platforms.wechatsdk.support import adapter_of, listening, media_of, send
from tests.support import PATIENCE, MemoryStateStore, context, serve
from yizhan.errors import (
    ConfigError,
    HandleExpired,
    LoginNeeded,
    NotAllowed,
    OutcomeUnknown,
    Rejected,
    TargetGone,
    Throttled,
    Unavailable,
    WireMismatch,
)
from yizhan.http.tcp_dial import send_tcp
from yizhan.model import (
    BytesContent,
    EventKind,
    File,
    Forward,
    Image,
    Mention,
    Message,
    MiniProgram,
    Receipt,
    SendKey,
    State,
    Sticker,
    Target,
    Text,
    Video,
    Voice,
)
from yizhan.platforms.adapter import MediaNeed
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.wechat_xml import parse_card
from yizhan.platforms.wechatsdk import PLATFORM, Settings, wire
from yizhan.platforms.wechatsdk.client import Adapter
from yizhan.platforms.wechatsdk.client.folder import SharedFolder
from yizhan.platforms.wechatsdk.client.listen import Listener, Registration
from yizhan.platforms.wechatsdk.client.tcp import TcpListener
from yizhan.platforms.wechatsdk.server import Server
from yizhan.runtime.clock import SystemClock
from yizhan.wire import Fault, HttpResponse, decode_response

RULES = PLATFORM.rules()
BOB = Target("wechatsdk.main", "user", "wxid_bob")
GROUP = Target("wechatsdk.main", "group", "10001@chatroom")
PNG, GIF = b"\x89PNG\r\n\x1a\n" + bytes(50), b"GIF89a" + bytes(50)
SILK = b"\x02#!SILK_V3" + b"\x02\x00ab" * 50


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "outcome"),
    [
        ({"error_code": 10000, "data": {"status": 0, "msgSvrID": 2**63 + 1}}, 200, str(2**63 + 1)),
        ({"error_code": 0, "data": {"status": 0, "szMsgSvrID": "5"}}, 200, "5"),
        ({"data": {"status": 0, "msgSvrID": "7"}}, 200, "7"),
        ({"error_code": 10004, "description": "x"}, 200, LoginNeeded),
        ({"error_code": 10002, "description": "secretKey invalid", "data": {}}, 200, LoginNeeded),
        ({"error_code": 10002, "description": "other"}, 200, Rejected),
        ({"error_code": 77, "description": "new"}, 200, Rejected),
        ({"error_code": 10000, "data": {"status": -1, "desc": "user not found: x"}}, 200, TargetGone),
        ({"error_code": 10000, "data": {"status": -1, "desc": "fileid not exists"}}, 200, HandleExpired),
        ({"error_code": 10000, "data": {"status": -1, "desc": "operation too frequent"}}, 200, Throttled),
        ({"error_code": 10000, "data": {"status": -9, "desc": "?"}}, 200, Rejected),
        ({"error_code": 10000}, 200, WireMismatch),
        ({"error_code": 10000, "data": [1]}, 200, WireMismatch),
        ([], 200, WireMismatch),
        ({}, 503, Unavailable),
        ({}, 404, Rejected),
    ],
)
def test_answers_arrive_as_their_meaning(body: Any, status: int, outcome: Any) -> None:
    http = HttpResponse(status, [], json.dumps(body).encode())

    if isinstance(outcome, str):
        assert outcome == decode_response(wire.SEND_TEXT, http).id
        return
    with pytest.raises((Fault, WireMismatch)) as caught:
        decode_response(wire.SEND_TEXT, http)
    assert outcome is (caught.value.row.means if isinstance(caught.value, Fault) else type(caught.value))


# --- sending ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("segment", "data", "kind"),
    [
        (Image(media_of(PNG, "image", "png", name="a.png")), PNG, "image"),
        (Video(media_of(b"video", "video", "mp4", name="a.mp4")), b"video", "video"),
        (Voice(media_of(SILK, "voice", "silk", duration_ms=1000)), SILK, "voice"),
        (File(media_of(b"file"), "报告 \u202e1.pdf"), b"file", "file"),
        (Sticker(media_of(GIF, "image", "gif", name="s.gif")), GIF, "sticker"),
    ],
)
async def test_media_arrives_as_it_was_and_is_placed_once(segment: Any, data: bytes, kind: str) -> None:
    async with serve(PLATFORM) as served, adapter_of(served) as adapter:
        handles: dict[Any, Any] = {"content": BytesContent(data)}
        for target in (BOB, GROUP):
            await send(adapter, Message((segment,)), target, handles)

        posts = list(served.world.select(platform="wechatsdk"))
        assert [(kind, data), (kind, data)] == [(post.kind, post.blob and post.blob.read()) for post in posts]
        assert served.calls("cdn_upload") == (0 if kind == "sticker" else 1)
        if kind == "file":
            assert "报告 1.pdf" == posts[0].name


async def test_a_mini_program_shows_its_cover_which_is_placed_once_as_a_cover() -> None:
    async with serve(PLATFORM) as served, adapter_of(served) as adapter:
        cover = msgspec.structs.replace(media_of(PNG, "image", "png"), width=500, height=400)
        card = Message((MiniProgram("wx1", "gh_1@app", "Order", media=cover),))
        handles: dict[Any, Any] = {"content": BytesContent(PNG)}
        for target in (BOB, GROUP):
            await send(adapter, card, target, handles)

        (upload,) = [e.http for e in served.exchanges if e.endpoint == "cdn_upload"]
        assert wire.CDN_COVER == json.loads(b"".join(upload.body))["fileType"]  # type: ignore[arg-type]
        for post in served.world.select(platform="wechatsdk", call="send_xml"):
            shown = parse_card(post.extra["xml"])
            stored = served.server.cdn.find(shown.text("appattach/cdnthumburl"))  # type: ignore[attr-defined]
            assert (cover.md5, cover.md5) == (stored.blob.md5, shown.text("md5"))
            assert (500, 400) == (shown.number("appattach/cdnthumbwidth"), shown.number("appattach/cdnthumbheight"))


async def test_a_message_is_withdrawn_and_a_chat_marked_as_read() -> None:
    async with serve(PLATFORM) as served, adapter_of(served) as adapter:
        (part,) = adapter.compose(Message((Text("x"),)), BOB)
        sent = await adapter.send(part, {}, BOB, SendKey(1, 1), Message((Text("x"),)))
        await adapter.recall(sent, BOB, Receipt("d", str(BOB), State.SENT))
        await adapter.mark_read(BOB)

        assert [True] == [post.recalled for post in served.world.select(platform="wechatsdk")]
        assert 1 == served.calls("mark_read")


async def test_an_expired_handle_is_reported_as_expired() -> None:
    async with serve(PLATFORM, rules={"handle.seconds": 60}) as served, adapter_of(served) as adapter:
        message, handles = Message((File(media_of(b"f")),)), {"content": BytesContent(b"f")}
        await send(adapter, message, BOB, handles)
        served.world.clock.advance(61)

        with pytest.raises(HandleExpired):
            await send(adapter, message, BOB, handles)


async def test_an_answer_without_an_id_leaves_the_outcome_unknown() -> None:
    async with serve(PLATFORM) as served, adapter_of(served) as adapter:

        async def answer(_exchange: Any) -> HttpResponse:
            return HttpResponse(200, [], b'{"error_code":10000,"data":{"status":0,"desc":""}}')

        served.before = answer  # type: ignore[method-assign]
        (part,) = adapter.compose(Message((Text("x"),)), BOB)

        with pytest.raises(OutcomeUnknown, match="no message id"):
            await adapter.send(part, {}, BOB, SendKey(1, 1), Message((Text("x"),)))


async def test_the_accounts_key_is_on_every_call() -> None:
    async with serve(PLATFORM) as served, adapter_of(served, secret_key="k") as adapter:
        assert isinstance(served.server, Server)
        served.server.account.secret = "k"
        assert "wxid_sandbox" in await adapter.login(lambda _step: None)
        served.server.account.secret = "other"

        with pytest.raises(LoginNeeded, match="secretKey"):
            await adapter.login(lambda _step: None)
        (finding,) = await adapter.check()
        assert (False, True) == (finding.ok, "secret_key" in finding.remedy)


# --- the shared folder ------------------------------------------------------------------------------------------------


async def test_a_client_that_does_not_see_the_file_is_explained(tmp_path: Path) -> None:
    need = MediaNeed(media_of(b"x", name="a.txt"), "account", "file")
    settings = {"shared_folder": str(tmp_path), "client_folder": "Z:\\elsewhere"}
    async with serve(PLATFORM) as served, adapter_of(served, **settings) as adapter:
        with pytest.raises(Rejected, match=r"shared_folder.*client_folder"):
            await adapter.upload(need, BytesContent(b"x"), BOB)

        assert [] == list(tmp_path.iterdir())


async def test_a_folder_that_both_sides_see_goes_by_its_name_over_there() -> None:
    async with serve(PLATFORM) as served:
        assert isinstance(served.server, Server)
        drive = served.server.folders.drive
        settings = {"shared_folder": str(drive / "share"), "client_folder": "C:\\share\\"}
        async with adapter_of(served, **settings) as adapter:
            await send(adapter, Message((File(media_of(b"x", name="a.txt")),)), BOB, {"content": BytesContent(b"x")})

            (told,) = [e.http for e in served.exchanges if e.endpoint == "cdn_upload"]
            path = json.loads(told.body[0])["filePath"]  # type: ignore[arg-type]
            assert path.startswith("C:\\share\\")
            assert path.endswith("\\a.txt")


@pytest.mark.parametrize(
    ("theirs", "path"),
    [("Z:\\s", "Z:\\s\\d\\n"), ("\\\\h\\s", "\\\\h\\s\\d\\n"), ("/mnt/s/", "/mnt/s/d/n"), ("Z:", "Z:\\d\\n")],
)
def test_paths_are_written_as_the_other_machine_writes_them(theirs: str, path: str) -> None:
    assert path == SharedFolder("/tmp", theirs)._over_there("d", "n")


async def test_names_of_media_cannot_leave_the_folder(tmp_path: Path) -> None:
    folder = SharedFolder(str(tmp_path), "")

    shared = await folder.place(BytesContent(b"x"), "../../evil\x00.sh", "ab" * 32, None)

    assert shared.ours.parent.parent == tmp_path
    assert "evil.sh" == shared.ours.name
    folder.remove(shared)
    assert [] == list(tmp_path.iterdir())


# --- receiving --------------------------------------------------------------------------------------------------------


async def test_text_mentions_and_withdrawals_arrive_as_events() -> None:
    async with serve(PLATFORM) as served, adapter_of(served) as adapter, listening(adapter) as events:
        assert isinstance(served.server, Server)
        first = await served.server.say("wxid_alice", GROUP.id, text="@Sandbox\u2005look:\nhere")
        served.server.event_source.withdraw(first)
        said, taken = await anext(events), await anext(events)

        assert said.message is not None
        assert said.reply is not None
        assert (Mention("wxid_sandbox", "Sandbox", own=True), Text("look:\nhere")) == said.message.segments
        assert (first, "wxid_alice", "Alice", GROUP.id) == (
            said.id,
            said.sender,
            said.sender_name,
            said.target and said.target.id,
        )
        assert (EventKind.RECALL, first) == (taken.kind, taken.reply and taken.reply.id)


async def test_a_voice_message_can_be_fetched_and_sent_on() -> None:
    async with serve(PLATFORM) as served, adapter_of(served) as adapter, listening(adapter) as events:
        blob = await served.world.blobs.add(SILK)
        await served.server.say("wxid_alice", "bot", media=blob, kind="voice")
        event = await anext(events)
        assert event.message is not None
        (forward,) = event.message.segments
        assert isinstance(forward, Forward)

        assert SILK == b"".join([chunk async for chunk in adapter.open_reference(forward.reference)])
        await send(adapter, event.message, BOB, {})
        (post,) = served.world.select(call="forward_voice")
        assert 1000 == post.extra["milliseconds"]


async def test_a_file_is_sent_on_under_another_name() -> None:
    async with serve(PLATFORM) as served, adapter_of(served) as adapter, listening(adapter) as events:
        blob = await served.world.blobs.add(b"data")
        await served.server.say("wxid_alice", "bot", media=blob, kind="file", name="old.txt")
        event = await anext(events)
        assert event.message is not None
        (forward,) = event.message.segments
        assert isinstance(forward, Forward)
        await send(adapter, Message((msgspec.structs.replace(forward, name="new.pdf"),)), BOB, {})

        (post,) = served.world.select(call="send_xml")
        assert ("new.pdf", b"data") == (post.name, post.blob and post.blob.read())


async def test_tcp_data_that_is_no_push_is_left_out_and_the_next_push_arrives() -> None:
    async with serve(PLATFORM) as served, adapter_of(served, events="tcp") as adapter, listening(adapter) as events:
        (handler,) = (await adapter.call(wire.LIST_HANDLERS, wire.Request())).data
        for junk in (b"", b"\x05", b"\x05\0\0\0ab", b"\xff\xff\xff\xff", b"\x01\0\0\0{", b"\0\0\0\0"):
            await send_tcp(handler.host, int(handler.port), junk)
        await served.server.say("wxid_bob", "bot", text="after all")
        event = await anext(events)

        assert event.message is not None
        assert (wire.BY_TCP, "after all") == (handler.protocol, event.message.text)


def test_a_tcp_listener_is_reached_where_the_account_says() -> None:
    def handler(url: str) -> wire.AddHandler:
        return TcpListener(Settings(callback_url=url), lambda _: None).handler

    assert ("192.0.2.7", 9000) == (handler("tcp://192.0.2.7:9000").host, handler("tcp://192.0.2.7:9000").port)
    with pytest.raises(ConfigError, match="tcp://HOST:PORT"):
        handler("tcp://192.0.2.7:x")


async def test_a_tcp_listener_is_taken_away_at_the_end_and_an_address_that_is_taken_is_an_error() -> None:
    async with serve(PLATFORM) as served, adapter_of(served, events="tcp") as adapter:
        async with listening(adapter):
            (handler,) = (await adapter.call(wire.LIST_HANDLERS, wire.Request())).data
            settings = {"events": "tcp", "listen_port": int(handler.port)}
            other = Adapter(context(PLATFORM, served, {"base_url": served.url, **settings}))
            with pytest.raises(ConfigError, match="Choose another port"):
                await anext(other.events())
            await other.close()

        assert [] == (await adapter.call(wire.LIST_HANDLERS, wire.Request())).data


async def test_a_stranger_who_writes_becomes_a_contact_and_can_be_written_to() -> None:
    async with serve(PLATFORM) as served, adapter_of(served) as adapter, listening(adapter) as events:
        await adapter.call(wire.DELETE_CONTACT, wire.OneUser(userName="wxid_bob"))
        await served.server.say("wxid_bob", "bot", text="It is me")
        event = await anext(events)
        with pytest.raises(NotAllowed):
            await send(adapter, Message((Text("hi"),)), BOB, {})
        await adapter.call(wire.ACCEPT_FRIEND, msgspec.json.decode(event.data, type=wire.AcceptFriend))

        assert await send(adapter, Message((Text("hi"),)), BOB, {})
        assert event.message is not None
        assert (EventKind.FRIEND_REQUESTED, "wxid_bob", "Bob") == (event.kind, event.person, event.person_name)
        assert "It is me" == event.message.text


async def test_a_client_that_started_anew_is_registered_with_again() -> None:
    async with serve(PLATFORM) as served, adapter_of(served) as adapter, listening(adapter) as events:
        served.server.reset()
        adapter.registration.done.clear()
        served.world.clock.advance(31)
        await asyncio.wait_for(adapter.registration.done.wait(), 30)
        await served.server.say("wxid_bob", "bot", text="still there?")
        event = await anext(events)

        assert event.message is not None
        assert "still there?" == event.message.text
        assert 2 == served.calls("add_handler")


async def test_a_lost_login_is_reported_once() -> None:
    async with serve(PLATFORM) as served, adapter_of(served) as adapter, listening(adapter) as events:
        await adapter.call(wire.LOGOUT, wire.Request())
        event = await anext(events)

        assert EventKind.LOGIN_LOST == event.kind


async def test_a_listener_left_over_from_a_crash_is_removed() -> None:
    async with serve(PLATFORM) as served:
        assert isinstance(served.server, Server)
        state_store = MemoryStateStore()
        old = "ws://127.0.0.1:9/wechatSDK/old"
        other = "http://127.0.0.1:9/another-program"
        served.server.pushes.register(wire.BY_WEBSOCKET, old)
        served.server.pushes.register(wire.BY_HTTP, other)
        await state_store.put("handler", f"{served.url}\n{old}".encode())
        adapter = Adapter(context(PLATFORM, served, {"base_url": served.url}, state_store=state_store))
        async with listening(adapter):
            urls = [h.url for h in (await adapter.call(wire.LIST_HANDLERS, wire.Request())).data]
        left = [h.url for h in (await adapter.call(wire.LIST_HANDLERS, wire.Request())).data]
        await adapter.close()

        assert old not in urls
        assert 2 == len(urls)
        assert [other] == left


async def test_a_left_over_handler_that_is_not_removed_keeps_no_events_away() -> None:
    calls: list[str] = []
    old = wire.Handler(protocol=wire.BY_HTTP, url="http://127.0.0.1:9/old", cookie="1")

    async def call(endpoint: Any, request: Any) -> Any:
        calls.append(endpoint.name)
        if endpoint is wire.REMOVE_HANDLER:
            raise Rejected("the client keeps it")
        return wire.Handlers(data=[old]) if endpoint is wire.LIST_HANDLERS else None

    state_store = MemoryStateStore()
    await state_store.put("handler", b"http://api\nhttp://127.0.0.1:9/old")
    registration = Registration(call, "http://api", state_store, SystemClock())
    listener = Listener(Settings(), lambda push: None)
    async with registration.of(listener, lambda why: None):
        await asyncio.wait_for(registration.done.wait(), PATIENCE)

    assert calls.index(wire.REMOVE_HANDLER.name) < calls.index(wire.ADD_HANDLER.name)


async def test_a_handler_registered_at_another_api_is_left_alone() -> None:
    async with serve(PLATFORM) as served:
        assert isinstance(served.server, Server)
        other = "ws://127.0.0.1:9/wechatSDK/other"
        served.server.pushes.register(wire.BY_WEBSOCKET, other)
        state_store = MemoryStateStore()
        await state_store.put("handler", f"http://127.0.0.1:8888\n{other}".encode())
        adapter = Adapter(context(PLATFORM, served, {"base_url": served.url}, state_store=state_store))
        async with listening(adapter):
            urls = [h.url for h in (await adapter.call(wire.LIST_HANDLERS, wire.Request())).data]
        await adapter.close()

        assert other in urls


async def test_pushes_of_another_program_are_taken_and_nonsense_is_left_out() -> None:
    async with serve(PLATFORM) as served, adapter_of(served, events="off") as adapter:
        for nonsense in (b"{", b"[]", b'{"pushType":"x"}', {"pushType": 1, "data": {"type": []}}, b"\xff", "[" * 9999):
            adapter.receive_push(nonsense)  # type: ignore[arg-type]
        adapter.receive_push({"pushType": 1, "data": {"type": 49, "content": "<msg><appmsg", "from": "wxid_a"}})
        adapter.receive_push({"pushType": 1, "data": {"type": 1, "content": "hi", "from": "wxid_a", "msgSvrID": 5}})
        events = adapter.events()
        broken, event = await anext(events), await anext(events)

        assert broken.message is not None
        assert event.message is not None
        assert ("<msg><appmsg", "hi", "5") == (broken.message.text, event.message.text, event.id)
        assert 0 == served.calls("add_handler")


async def test_null_is_unknown_and_pushes_without_an_id_are_distinguished() -> None:
    async with serve(PLATFORM) as served, adapter_of(served, events="off") as adapter:
        unknown = dict.fromkeys(("talkerInfo", "chatroomMemberInfo", "reserved1", "szMsgSvrID", "isSender"))
        for words in ("one", "two", "two"):
            notice = {"type": 10000, "from": "10001@chatroom", "content": words, "msgSvrID": 0, "createtime": 7}
            adapter.receive_push({"pushType": 1, "robot": None, "type": None, "data": {**notice, **unknown}})
        events = adapter.events()
        heard = [await anext(events) for _ in range(3)]

        assert ["one", "two", "two"] == [event.message.text for event in heard if event.message]
        assert heard[0].id != heard[1].id == heard[2].id


# --- logging in -------------------------------------------------------------------------------------------------------


async def test_a_login_shows_a_code_and_waits_for_the_phone() -> None:
    async with serve(PLATFORM, options=ServerOptions(manual_logins=True)) as served, adapter_of(served) as adapter:
        steps: list[Any] = []
        shown = asyncio.Event()

        def show(step: Any) -> None:
            steps.append(step)
            shown.set()

        waiting = asyncio.ensure_future(adapter.login(show))
        await asyncio.wait_for(shown.wait(), 30)
        await served.server.login(steps[0].qr.rpartition("/")[2], "confirm")
        served.world.clock.advance(3)

        assert "Sandbox (wxid_sandbox)" == await asyncio.wait_for(waiting, 30)
        assert ["qr", "confirmed"] == [step.state for step in steps]


async def test_a_login_without_confirmation_ends() -> None:
    async with serve(PLATFORM, options=ServerOptions(manual_logins=True)) as served, adapter_of(served) as adapter:
        shown = asyncio.Event()
        waiting = asyncio.ensure_future(adapter.login(lambda _step: shown.set()))
        await asyncio.wait_for(shown.wait(), 30)
        served.world.clock.advance(500)

        with pytest.raises(LoginNeeded, match="was not confirmed"):
            await asyncio.wait_for(waiting, 30)


async def test_a_check_looks_at_the_api_the_login_and_the_folder() -> None:
    async with serve(PLATFORM) as served, adapter_of(served) as adapter:
        assert [True, True, True] == [finding.ok for finding in await adapter.check()]
    async with serve(PLATFORM) as served, adapter_of(served, base_url="http://127.0.0.1:9") as adapter:
        (finding,) = await adapter.check()
        assert (False, True) == (finding.ok, "base_url" in finding.remedy)
