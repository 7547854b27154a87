"""The client end against our own gateway, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support import Served, context, serve
from yizhan.errors import (
    HandleExpired,
    LoginNeeded,
    MediaTooLarge,
    NotAllowed,
    OutcomeUnknown,
    TargetGone,
    Throttled,
    Unavailable,
    Unsupported,
)
from yizhan.model import (
    BytesContent,
    ContactCard,
    Event,
    EventKind,
    File,
    Forward,
    Image,
    Link,
    Media,
    Mention,
    Message,
    MiniProgram,
    Native,
    PlatformId,
    Quote,
    Receipt,
    SendKey,
    State,
    Sticker,
    Target,
    Text,
    Video,
    Voice,
    message_of,
)
from yizhan.platforms.adapter import LoginStep
from yizhan.platforms.ohwxapi import PLATFORM, wire
from yizhan.platforms.ohwxapi.client import Adapter
from yizhan.platforms.ohwxapi.server import Server, sockets
from yizhan.platforms.server import ServerOptions
from yizhan.wire import Fault

KEY = SendKey(1, 1)
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20
MP4 = b"\x00\x00\x00\x18ftypmp42" + b"v" * 5000
SILK = b"\x02#!SILK_V3" + b"s" * 500


def media(data: bytes, kind: Any = "file", format: str = "txt", name: str = "", duration_ms: int = 0) -> Media:
    sha256, md5 = hashlib.sha256(data).hexdigest(), hashlib.md5(data).hexdigest()
    return Media(sha256, md5, 0, len(data), kind, "x/y", format, duration_ms=duration_ms, name=name)


def user(id: str = "wxid_alice") -> Target:
    return Target("ohwxapi.main", "user", id)


GROUP = Target("ohwxapi.main", "group", "10001@chatroom")


class Sender:
    """Sends whole messages the way the path does: one handle per need, kept."""

    def __init__(self, adapter: Adapter, data: dict[str, bytes]) -> None:
        self.adapter = adapter
        self.data = data
        self.handles: dict[Any, Any] = {}

    async def send(self, target: Target, *content: Any) -> list[PlatformId]:
        message = message_of(*content)
        return [await self.part(part, target, message) for part in self.adapter.compose(message, target)]

    async def part(self, part: Any, target: Target, message: Message) -> PlatformId:
        for need in part.needs:
            if need not in self.handles:
                content = BytesContent(self.data[need.media.sha256])
                self.handles[need] = await self.adapter.upload(need, content, target)
        return await self.adapter.send(part, self.handles, target, KEY, message)


@asynccontextmanager
async def gateway(
    *, settings: dict[str, Any] | None = None, rules: dict[str, Any] | None = None, **extra: Any
) -> AsyncIterator[tuple[Served, Adapter, Sender]]:
    manual = extra.pop("manual_logins", False)
    async with serve(PLATFORM, rules=rules, options=ServerOptions(manual, extra)) as served:
        data = {hashlib.sha256(d).hexdigest(): d for d in (PNG, MP4, SILK, b"plan")}
        chosen = {"wxid": "wxid_sandbox", "base_url": served.url, **(settings or {})}
        adapter = Adapter(context(PLATFORM, served, chosen, media=data, rules=rules))
        try:
            yield served, adapter, Sender(adapter, data)
        finally:
            await adapter.close()


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until `condition` holds."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - a condition of another task, looked at whenever it has run
            await asyncio.sleep(0)


def listeners(served: Served) -> int:
    assert isinstance(served.server, Server)
    return len(served.server.sockets._listeners)


@asynccontextmanager
async def listening(adapter: Adapter, served: Served) -> AsyncIterator[Any]:
    """Events from the moment that the gateway knows who listens."""
    queue: asyncio.Queue[Event] = asyncio.Queue()
    others = listeners(served)

    async def hear() -> None:
        async for event in adapter.events():
            queue.put_nowait(event)

    task = asyncio.create_task(hear())
    await until(lambda: listeners(served) > others)

    async def next_event() -> Event:
        return await asyncio.wait_for(queue.get(), 30)

    try:
        yield next_event
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(params=["http", "socket"])
async def both(request: Any) -> AsyncIterator[tuple[Served, Adapter, Sender]]:
    async with gateway(settings={"commands": request.param}) as made:
        yield made


async def test_every_kind_of_message_arrives_over_http_and_over_the_socket(both: Any) -> None:
    served, _, sender = both
    content = [
        Text("hello"),
        Image(media(PNG, "image", "png")),
        File(media(b"plan", name="plan.txt")),
        Video(media(MP4, "video", "mp4")),
        Voice(media(SILK, "voice", "silk", duration_ms=2300)),
        Sticker(md5="ab" * 16),
        Link("https://example.org/a?b=1&c=2", "Title & more", "words"),
        MiniProgram("wx0011", "gh_a@app", "Coffee"),
        ContactCard("wxid_bob", "Bob"),
        Quote("7301234567890123456", "three?", "wxid_alice", "Alice"),
        Text("yes"),
    ]

    ids = await sender.send(user(), *content)

    posts = list(served.world.select(platform="ohwxapi"))
    kinds = ["text", "image", "file", "video", "voice", "sticker", "link", "mini_program", "contact_card", "quote"]
    assert kinds == [post.kind for post in posts]
    assert [post.message_id for post in posts] == [sent.id for sent in ids]
    assert [PNG, b"plan", MP4, SILK] == [post.blob.read() for post in posts if post.blob]
    assert "plan.txt" == posts[2].name
    assert "wxid_alice" == posts[0].target


async def test_one_upload_serves_two_hundred_people() -> None:
    async with gateway() as (served, _, sender):
        people = served.server.people("user", 200)
        file = File(media(b"plan", name="plan.txt"))

        for id in people:
            await sender.send(user(id), file)

        posts = list(served.world.select(platform="ohwxapi", kind="file"))
        assert 200 == len({post.target for post in posts})
        assert {b"plan"} == {post.blob.read() for post in posts if post.blob}
        assert 1 == served.calls("CdnUpload")


async def test_another_name_for_the_same_file_needs_no_second_upload() -> None:
    async with gateway() as (served, _, sender):
        await sender.send(user(), File(media(b"plan", name="plan.txt")))
        await sender.send(user(), File(media(b"plan", name="plan.txt"), name="计划 <b> & co.PDF"))

        names = [post.name for post in served.world.select(platform="ohwxapi")]
        assert ["plan.txt", "计划 _b_ & co.PDF"] == names
        assert 1 == served.calls("CdnUpload")


async def test_a_file_card_is_passed_on_byte_for_byte_when_the_name_is_the_same() -> None:
    async with gateway() as (served, _, sender):
        await sender.send(user(), File(media(b"plan", name="plan.txt")))

        (handle,) = sender.handles.values()
        (post,) = served.world.select(platform="ohwxapi")
        assert handle.token == post.extra["xml"]
        assert handle.token.startswith('<appmsg appid=""  sdkver="0"><title>plan.txt</title>')


async def test_mentions_name_members_and_show_their_nicks() -> None:
    async with gateway() as (served, _, sender):
        await sender.send(GROUP, Mention("wxid_alice", "Alice"), Text("see "), Mention("all"))

        (post,) = served.world.select(platform="ohwxapi")
        assert "@Alice\u2005see @所有人\u2005" == post.text
        assert ["wxid_alice", "notify@all"] == post.extra["mentioned"]


async def test_a_sent_message_can_be_withdrawn_for_two_minutes() -> None:
    async with gateway() as (served, adapter, sender):
        first, second = [(await sender.send(user(), Text(word)))[0] for word in ("one", "two")]
        receipt = Receipt("d", str(user()), State.SENT)

        await adapter.recall(first, user(), receipt)
        served.world.clock.advance(121)

        assert [True, False] == [post.recalled for post in served.world.select(platform="ohwxapi")]
        with pytest.raises(NotAllowed, match="revoke time out"):
            await adapter.recall(second, user(), receipt)


async def test_a_refusal_of_the_gateway_arrives_as_its_meaning() -> None:
    async with gateway(rules={"handle.seconds": 60}) as (served, adapter, sender):
        with pytest.raises(TargetGone, match="to user not found"):
            await sender.send(user("wxid_nobody"), Text("hi"))
        await sender.send(user(), Image(media(PNG, "image", "png")))
        served.world.clock.advance(61)
        with pytest.raises(HandleExpired):
            await sender.send(user(), Image(media(PNG, "image", "png")))
        await adapter.run(wire.LOGOUT, wire.NoParameters())
        with pytest.raises(LoginNeeded, match="offline"):
            await sender.send(user(), Text("hi"))


async def test_a_handle_ends_when_the_rules_say_so() -> None:
    async with gateway(rules={"handle.seconds": 60}) as (served, _, sender):
        await sender.send(user(), Image(media(PNG, "image", "png")))

        (handle,) = sender.handles.values()
        assert handle.expires_at == pytest.approx(served.world.now() + 60, abs=5)
        assert "account" == handle.scope


async def test_too_many_sends_are_throttled_in_the_careful_profile() -> None:
    async with gateway(rules={"limit.send.count": 2}) as (served, adapter, sender):
        message = message_of("hi")
        (limit,) = adapter.limits(message, user())
        await sender.send(user(), Text("1"))
        await sender.send(user(), Text("2"))
        with pytest.raises(Throttled):
            await sender.send(user(), Text("3"))
        served.world.clock.advance(60)
        await sender.send(user(), Text("4"))

    assert (2, 60.0) == (limit.count, limit.per_seconds)


@pytest.mark.parametrize("commands", ["http", "socket"])
async def test_any_command_can_be_called_by_its_endpoint(commands: str) -> None:
    async with gateway(settings={"commands": commands}) as (served, adapter, _sender):
        request = wire.SEND_MSG.asking(adapter.wxid, wire.SendMsg(ToUserName=user().id, Content="raw", MsgType=1))
        await adapter.call(wire.SEND_MSG, request)

        assert ["raw"] == [post.text for post in served.world.select(platform="ohwxapi", call="SendMsg")]


async def test_success_without_a_message_id_is_not_called_sent() -> None:
    async with gateway() as (_, adapter, sender):
        (part,) = adapter.compose(message_of("hi"), user())

        async def nothing(*_: Any, **__: Any) -> wire.Sent:
            return wire.Sent()

        adapter.run = nothing  # type: ignore[method-assign]
        with pytest.raises(OutcomeUnknown, match="no message id"):
            await sender.part(part, user(), message_of("hi"))


async def test_native_commands_go_through_by_name_and_number() -> None:
    async with gateway() as (served, _, sender):
        await sender.send(user(), Native("SendMsg", {"Content": "by name", "MsgType": 1}))
        await sender.send(user(), Native("522", {"Content": "by number", "MsgType": 1}))
        (answer,) = await sender.send(GROUP, Native("GetContact", {"Wxid": ["wxid_bob"]}))

        assert ["by name", "by number"] == [post.text for post in served.world.select(platform="ohwxapi")]
        assert "Bob" == answer.extra["answer"][0]["NickName"]


async def test_a_message_arrives_as_an_event_and_its_media_can_be_fetched() -> None:
    async with gateway() as (served, adapter, _):
        async with listening(adapter, served) as next_event:
            text_id = await served.server.say("wxid_alice", "bot", text="hello bot")
            text = await next_event()
            blob = await served.world.blobs.add(b"x" * 3_000_001)
            await served.server.say("wxid_bob", "10001@chatroom", media=blob, kind="file", name="../a.bin")
            file = await next_event()
            reference = file.message.segments[0]
            data = b"".join([chunk async for chunk in adapter.open_reference(reference.reference)])

    assert (text_id, EventKind.MESSAGE, user(), "wxid_alice") == (text.id, text.kind, text.target, text.sender)
    assert (Text("hello bot"),) == text.message.segments
    assert text_id == text.reply.id
    assert ("file", "a.bin") == (reference.kind, reference.name)
    assert (GROUP, "wxid_bob") == (file.target, file.sender)
    assert b"x" * 3_000_001 == data


@pytest.mark.parametrize(
    ("kind", "data"), [("image", PNG), ("video", MP4), ("file", b"plan"), ("voice", SILK)], ids=lambda v: str(v)[:5]
)
async def test_received_media_are_fetched_by_their_reference(both: Any, kind: Any, data: bytes) -> None:
    served, adapter, _ = both
    async with listening(adapter, served) as next_event:
        blob = await served.world.blobs.add(data)
        await served.server.say("wxid_alice", "bot", media=blob, kind=kind, name="x.y")
        event = await next_event()

    (forward,) = event.message.segments
    assert kind == forward.kind
    assert data == b"".join([chunk async for chunk in adapter.open_reference(forward.reference)])


@pytest.mark.parametrize(("kind", "data"), [("image", PNG), ("video", MP4), ("file", b"plan")])
async def test_a_received_message_is_sent_on_without_download_or_upload(kind: Any, data: bytes) -> None:
    async with gateway() as (served, adapter, sender):
        async with listening(adapter, served) as next_event:
            blob = await served.world.blobs.add(data)
            await served.server.say("wxid_alice", "bot", media=blob, kind=kind, name="x.y")
            event = await next_event()

        await sender.send(user("wxid_bob"), *event.message.segments)

        post = list(served.world.select(platform="ohwxapi"))[-1]
        assert (kind, "wxid_bob", data) == (post.kind, post.target, post.blob.read())
        assert 0 == served.calls("CdnUpload") + served.calls("CdnDownload")


async def test_a_reference_of_another_platform_is_refused_with_the_remedy() -> None:
    async with gateway() as (_, adapter, _sender):
        with pytest.raises(Unsupported, match="Save it"):
            adapter.compose(message_of(Forward("image", {"platform": "wechatsdk", "xml": "<x/>"})), user())


async def test_ones_own_messages_come_back_as_sent_and_never_as_messages() -> None:
    async with gateway() as (served, adapter, sender):
        async with listening(adapter, served) as next_event:
            (sent,) = await sender.send(GROUP, Text("mine"))
            event = await next_event()

    assert (EventKind.SENT, sent.id, GROUP) == (event.kind, event.id, event.target)
    assert event.reply is None


async def test_a_mention_of_the_account_is_separated_from_the_text() -> None:
    async with gateway() as (served, adapter, _):
        async with listening(adapter, served) as next_event:
            await served.server.say("wxid_alice", "10001@chatroom", text="hey @Yizhan look")
            event = await next_event()

    assert (Text("hey "), Mention("wxid_sandbox", "Yizhan", own=True), Text("look")) == event.message.segments
    assert "Alice" == event.sender_name


async def test_two_accounts_behind_one_gateway_hear_their_own() -> None:
    async with gateway(accounts=["wxid_one", "wxid_two"], settings={"wxid": "wxid_two"}) as (served, two, _):
        chosen = {"wxid": "wxid_one", "base_url": served.url, "security_code": "558-000-000"}
        one = Adapter(context(PLATFORM, served, chosen, name="one"))
        async with listening(one, served) as next_one, listening(two, served) as next_two:
            await served.server.say("wxid_alice", "wxid_one", text="for one")
            await served.server.say("wxid_alice", "wxid_two", text="for two")
            await one.run(wire.SEND_MSG, wire.SendMsg(ToUserName="wxid_two", Content="from one", MsgType=1))
            heard_two = [await next_two(), await next_two()]
            heard_one = [await next_one(), await next_one()]
        await one.close()

    assert ["for two", "from one"] == [e.message.text for e in heard_two if e.message]
    assert "wxid_one" == heard_two[1].sender
    assert ["for one", "from one"] == [e.message.text for e in heard_one if e.message]
    assert EventKind.SENT == heard_one[1].kind


async def test_a_broken_line_is_opened_again() -> None:
    async with gateway() as (served, adapter, _):
        async with listening(adapter, served) as next_event:
            await served.server.close()
            await until(lambda: not listeners(served))

            def opened_again() -> bool:
                served.world.clock.advance(1)
                return bool(listeners(served))

            await until(opened_again)
            await served.server.say("wxid_alice", "bot", text="again")
            event = await next_event()

    assert "again" == event.message.text


async def test_a_listener_that_does_not_keep_up_is_disconnected_and_connects_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "WAITING", 3)
    async with gateway() as (served, adapter, _), listening(adapter, served) as next_event:
        for n in range(9):
            served.server.sockets.push("wxid_sandbox", wire.EventData(Reason=f"{n}", EventName="ON_EVENT_TEST"))
        await until(lambda: adapter.line._socket is None)

        def opened_again() -> bool:
            served.world.clock.advance(1)
            return bool(listeners(served))

        await until(opened_again)
        await served.server.say("wxid_alice", "bot", text="after all")
        while (event := await next_event()).kind is not EventKind.MESSAGE:
            pass

    assert "after all" == event.message.text


async def test_a_lost_login_is_an_event() -> None:
    async with gateway() as (served, adapter, _sender):
        async with listening(adapter, served) as next_event:
            await adapter.run(wire.LOGOUT, wire.NoParameters())
            event = await next_event()
        findings = await adapter.check()

    assert EventKind.LOGIN_LOST == event.kind
    assert [True, False] == [finding.ok for finding in findings]


async def test_a_withdrawn_message_is_an_event_for_the_other_side() -> None:
    async with gateway(accounts=["wxid_one", "wxid_two"], settings={"wxid": "wxid_two"}) as (served, two, _):
        one = Adapter(context(PLATFORM, served, {"wxid": "wxid_one", "base_url": served.url}, name="one"))
        async with listening(two, served) as next_event:
            sent = await one.run(wire.SEND_MSG, wire.SendMsg(ToUserName="wxid_two", Content="oops", MsgType=1))
            await one.recall(PlatformId(sent.NewMsgIdExt), user("wxid_two"), Receipt("d", "t", State.SENT))
            said, withdrawn = await next_event(), await next_event()
        await one.close()

    assert EventKind.RECALL == withdrawn.kind
    assert said.id == withdrawn.reply.id


async def test_login_asks_the_phone_and_waits() -> None:
    steps: list[LoginStep] = []
    async with gateway(manual_logins=True) as (served, adapter, _):
        assert "wxid_sandbox" == await adapter.login(steps.append)
        assert [] == steps
        await adapter.run(wire.LOGOUT, wire.NoParameters())
        task = asyncio.create_task(adapter.login(steps.append))
        await until(lambda: bool(steps))
        (uuid,) = served.server.accounts.logins
        await served.server.login(uuid, "confirm")
        served.world.clock.advance(3)

        assert "wxid_sandbox" == await task
        assert ["scanned", "confirmed"] == [step.state for step in steps]


async def test_an_unknown_account_is_logged_in_by_a_code() -> None:
    steps: list[LoginStep] = []
    settings = {"wxid": "wxid_brand_new", "login_seconds": 10}
    async with gateway(manual_logins=True, settings=settings) as (served, adapter, _):
        task = asyncio.create_task(adapter.login(steps.append))
        await until(lambda: bool(steps))
        assert steps[0].qr.startswith("http://weixin.qq.com/x/")
        served.world.clock.advance(11)

        with pytest.raises(LoginNeeded, match="not confirmed"):
            await task
    assert ["qr", "expired"] == [step.state for step in steps]


async def test_media_goes_as_base64_so_that_nothing_is_shared() -> None:
    async with gateway() as (served, _, sender):
        await sender.send(user(), Voice(media(SILK, "voice", "silk", duration_ms=1)))
        await sender.send(user(), File(media(b"plan", name="plan.txt")))

        bodies = [b"".join(p for p in e.http.body if isinstance(p, bytes)) for e in served.exchanges]
        assert base64.b64encode(SILK) in bodies[0]
        assert b'"VoiceTime":1' in bodies[0]
        assert b'"FileBase64":"' + base64.b64encode(b"plan") in bodies[1]


async def test_a_gateway_that_answers_with_a_path_needs_a_shared_folder(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_bytes(b"shared")
    async with gateway() as (served, adapter, _):

        async def path_only(_: Any, __: Any) -> wire.Downloaded:
            return wire.Downloaded("C:\\gateway\\in.txt", 6, "x")

        served.server.cdn.download = path_only  # type: ignore[attr-defined]
        served.server.router.routes[("POST", "/v2/cdndownload")].clear()
        served.server._on(wire.CDN_DOWNLOAD, path_only)  # type: ignore[attr-defined]
        reference = {"type": 34, "xml": "<msg><voicemsg/></msg>"}
        with pytest.raises(Unsupported, match="download_folder"):
            [chunk async for chunk in adapter.open_reference(reference)]
        chosen = {"wxid": "wxid_sandbox", "base_url": served.url, "download_folder": str(tmp_path)}
        sharing = Adapter(context(PLATFORM, served, chosen, name="sharing"))
        data = b"".join([chunk async for chunk in sharing.open_reference(reference)])
        await sharing.close()

    assert b"shared" == data


async def test_a_refused_download_is_a_platform_error() -> None:
    xml = f'<msg><img aeskey="{"a" * 32}" cdnmidimgurl="{"30" * 89}"/></msg>'
    async with gateway() as (_, adapter, _sender):
        with pytest.raises(HandleExpired, match="fileid not found"):
            [chunk async for chunk in adapter.open_reference({"type": 3, "xml": xml})]


async def test_a_file_too_large_for_a_frame_is_refused_before_anything_is_stored() -> None:
    async with gateway(settings={"commands": "socket"}, rules={"socket.max_bytes": 3000}) as (_, adapter, _sender):
        picture = Image(media(PNG, "image", "png"))
        with pytest.raises(MediaTooLarge, match=r"socket\.max_bytes.*commands = 'http'"):
            adapter.compose(message_of(picture), user())
        rule = adapter.media_rule(picture, user())

        assert rule is not None
        assert 0 < rule.max_bytes < 3000 * 3 // 4


async def test_media_that_just_fit_into_a_frame_are_sent_in_one() -> None:
    size = (40_000 - 1024) // 4 * 3
    data = bytes(size)
    settings, rules = {"commands": "socket"}, {"socket.max_bytes": 40_000}
    async with gateway(settings=settings, rules=rules) as (served, _, sender):
        sender.data[hashlib.sha256(data).hexdigest()] = data
        await sender.send(user(), File(media(data, "file", "bin"), "a name of some length " * 5 + ".bin"))

        (post,) = served.world.select(platform="ohwxapi", call="SendAppMsg")
        assert size == post.blob.size


async def test_a_gateway_that_is_not_there_is_found_out_by_a_check() -> None:
    async with gateway(settings={"base_url": "http://127.0.0.1:9"}) as (_, adapter, sender):
        (finding,) = await adapter.check()
        with pytest.raises(Unavailable, match="Nothing was sent"):
            await sender.send(user(), Text("hi"))

    assert not finding.ok
    assert "base_url" in finding.remedy


async def test_a_command_over_a_line_that_breaks_has_an_unknown_outcome() -> None:
    async with gateway(settings={"commands": "socket"}) as (served, adapter, sender):

        async def never(_: Any, __: Any) -> wire.Sent:
            await served.server.close()
            await asyncio.Event().wait()
            raise AssertionError

        served.server.router.routes[("POST", "/v2/api")].clear()
        served.server._on(wire.SEND_MSG, never)  # type: ignore[attr-defined]
        with pytest.raises(OutcomeUnknown, match="may have been carried out"):
            await sender.send(user(), Text("hi"))
        assert {} == adapter.line._asked


async def test_the_client_waits_longer_than_the_gateway_does(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: dict[int, float] = {}
    async with gateway() as (served, _, _sender):
        for seconds in (10, 90):
            chosen = {"wxid": "wxid_sandbox", "base_url": served.url, "timeout": seconds}
            adapter = Adapter(context(PLATFORM, served, chosen))

            async def call(command: Any, request: Any, *, seconds: int = seconds, **_: Any) -> None:
                waited[seconds] = command.timeout
                assert str(seconds) == request.timeout

            monkeypatch.setattr(adapter.caller, "call", call)
            await adapter.run(wire.GET_PROFILE, wire.GetProfile())
            await adapter.close()

    assert wire.GET_PROFILE.timeout == waited[10]
    assert waited[90] > 90


async def test_a_transport_error_of_the_gateway_leaves_sends_unknown_and_uploads_repeatable() -> None:
    async with gateway() as (served, _, sender):

        async def lost(_: Any, __: Any) -> Any:
            raise Fault(wire.TRANSPORT)

        for path, command in (("/v2/api", wire.SEND_MSG), ("/v2/cdnupload", wire.CDN_UPLOAD)):
            served.server.router.routes[("POST", path)].clear()
            served.server._on(command, lost)  # type: ignore[attr-defined]
        with pytest.raises(OutcomeUnknown):
            await sender.send(user(), Text("hi"))
        with pytest.raises(Unavailable, match="Trying again is safe"):
            await sender.send(user(), Image(media(PNG, "image", "png")))
