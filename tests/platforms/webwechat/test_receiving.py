"""Our client receives from our sandbox, and other clients download from it."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import aiohttp
import msgspec
import pytest
from PIL import Image as Picture

from tests.platforms.webwechat.support import MP4, Account, CountedClock, account, png, target
from tests.support import MemoryStateStore, until
from yizhan.errors import Rejected, Unavailable, Unsupported
from yizhan.model import ContactCard, Event, EventKind, Forward, Link, Native, Quote, Text, message_of
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.client.receive import MAX_REFUSED_SYNCS, Position
from yizhan.platforms.webwechat.client.session import load_session
from yizhan.platforms.webwechat.wire.base import BAD_PARAMETER, TOO_FREQUENT
from yizhan.platforms.webwechat.wire.content import is_token, unescape_content
from yizhan.platforms.webwechat.wire.session import KeyValue, SyncKeys
from yizhan.wire import Fault, HttpResponse

PREFIX = "/cgi-bin/mmwebwx-bin"


async def test_messages_arrive_as_events_in_order() -> None:
    async with account() as me:
        one = await me.server.say("wxid_alice", "bot", text="hi <b>\n&")
        two = await me.server.say("wxid_bob", "10001@chatroom", text="to all")
        three = await me.server.say("Alice", "产品群", text="by name")
        first, second, third = [await me.next() for _ in range(3)]

        assert [one, two, three] == [first.id, second.id, third.id]
        assert (target("Alice"), "Alice", message_of("hi <b>\n&")) == (first.target, first.sender, first.message)
        assert (target("产品群", "group"), "Bob", "Bob") == (second.target, second.sender, second.sender_name)
        assert "Alice" == third.sender


async def test_a_person_with_a_remark_is_named_by_it() -> None:
    async with account() as me:
        await me.server.say("wxid_zhangwei", "bot", text="hi")
        event = await me.next()
        await me.send("back", to=event.target)

        assert "张工" == event.sender == event.target.id  # type: ignore[union-attr]
        assert "张伟" == me.served.world.posts[-1].target


@pytest.mark.parametrize(
    ("kind", "data"), [("image", png()), ("video", MP4), ("voice", b"ID3 speech"), ("file", "内容".encode() * 99)]
)
async def test_media_of_an_event_can_be_downloaded(kind: Any, data: bytes) -> None:
    async with account() as me:
        blob = await me.served.world.blobs.add(data)
        await me.server.say("wxid_alice", "bot", media=blob, kind=kind, name="../报告 1.txt")
        event = await me.next()
        assert event.message is not None
        (segment,) = event.message.segments
        pieces = [piece async for piece in me.adapter.open_reference(segment.reference)]  # type: ignore[union-attr]

        assert data == b"".join(pieces)
        assert ("报告 1.txt" if kind == "file" else "") == segment.name  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["image", "video", "voice"])
async def test_media_with_an_opaque_token_can_be_downloaded(kind: Any) -> None:
    async with account(content__media="token") as me:
        blob = await me.served.world.blobs.add(b"some bytes")
        await me.server.say("wxid_alice", "bot", media=blob, kind=kind)
        event = await me.next()
        (segment,) = event.message.segments  # type: ignore[union-attr]
        fetched = b"".join([chunk async for chunk in me.adapter.open_reference(segment.reference)])  # type: ignore[union-attr]

        assert is_token(event.raw["Content"])
        assert b"some bytes" == fetched


async def test_text_and_media_of_one_person_are_two_messages() -> None:
    async with account() as me:
        blob = await me.served.world.blobs.add(png())
        await me.server.say("wxid_alice", "bot", text="look", media=blob, kind="image")
        first, second = await me.next(), await me.next()

        assert message_of("look") == first.message
        assert "image" == second.message.segments[0].kind  # type: ignore[union-attr]


async def test_a_link_arrives_as_a_link_segment() -> None:
    async with account() as me:
        await me.server.say("wxid_alice", "bot", text="https://x.y/?a=1&b=2", kind="link", name="A & B")
        event = await me.next()

        assert (Link("https://x.y/?a=1&b=2", "A & B"),) == event.message.segments  # type: ignore[union-attr]


async def test_a_recall_event_names_the_message() -> None:
    async with account() as me:
        id = await me.server.say("wxid_alice", "10001@chatroom", text="oops")
        await me.next()
        await me.server.take_back(id)
        event = await me.next()

        assert (EventKind.RECALL, id, target("产品群", "group")) == (event.kind, event.about, event.target)
        assert '<![CDATA["Alice" 撤回了一条消息]]>' in unescape_content(event.raw["Content"])


async def test_new_people_and_rooms_are_events() -> None:
    async with account() as me:
        await me.server.say("wxid_alice", "bot", text="receiving has begun")
        await me.next()
        (person,) = me.server.people("user", 1)
        (room,) = me.server.people("group", 1)
        first, second = await me.next(), await me.next()

        assert (EventKind.FRIEND_ADDED, target(person)) == (first.kind, first.target)
        assert (EventKind.GROUP_ADDED, target(room, "group")) == (second.kind, second.target)


async def test_a_stranger_s_friend_request_arrives_and_can_be_accepted() -> None:
    async with account() as me:
        me.served.world.network("wechat").add_person("wxid_new", "Newman", friends=False)
        await me.server.say("wxid_new", "bot", text="I am Newman")
        event = await me.next()
        people = [msgspec.json.decode(event.data, type=wire.VerifyUserEntry)]
        await me.adapter.call(wire.VERIFY_USER, wire.VerifyUser(Opcode=wire.ACCEPT, VerifyUserList=people))

        assert (EventKind.FRIEND_REQUESTED, message_of("I am Newman"), 37) == (
            event.kind,
            event.message,
            event.raw["MsgType"],
        )
        assert me.served.world.network("wechat").people["wxid_new"].friends
        await me.send("welcome", to="Newman")


async def far_room(me: Account) -> str:
    """A room that is in the address book only, without its members; one of them is no contact."""
    network = me.served.world.network("wechat")
    network.add_person("wxid_far", "Farah", friends=False)
    me.server.people("group", 30)
    return network.add_group("79@chatroom", "far", ["wxid_far", "wxid_bob"]).id


async def test_a_speaker_is_named_even_if_the_room_is_listed_without_members() -> None:
    async with account() as me:
        room = await far_room(me)
        for text in ("one", "two"):
            await me.server.say("wxid_far", room, text=text)
        one, two = await me.next(), await me.next()

        assert ("Farah", target("far", "group"), message_of("one")) == (one.sender_name, one.target, one.message)
        assert "Farah" == two.sender_name
        assert 1 == me.served.calls("webwxbatchgetcontact")


async def test_a_message_arrives_even_if_its_speaker_cannot_be_looked_up() -> None:
    async with account() as me:
        room = await far_room(me)

        async def before(exchange: Any) -> HttpResponse | None:
            if exchange.endpoint == "webwxbatchgetcontact":
                raise Fault(TOO_FREQUENT)
            return None

        me.served.before = before  # type: ignore[method-assign]
        await me.server.say("wxid_far", room, text="hi")

        assert message_of("hi") == (await me.next()).message


async def test_accounts_of_the_sandbox_can_write_to_each_other() -> None:
    async with account() as me:
        other = Account(me.served)
        await other.adapter.login(lambda step: None)
        await me.adapter._contacts.refresh()
        (sent,) = await me.send("hello <me2>", to="me2")
        room = target("产品群", "group")
        await me.send("to the room", to=room)
        one, two = await other.next(), await other.next()
        await me.adapter.recall(sent, target("me2"), None)  # type: ignore[arg-type]
        three = await other.next()
        await other.adapter.close()

        assert (message_of("hello <me2>"), "me") == (one.message, one.sender)
        assert (room, "me", message_of("to the room")) == (two.target, two.sender, two.message)
        assert (EventKind.RECALL, sent.id) == (three.kind, three.about)


async def between_two(me: Account, *segments: Any, to: Any = "me2") -> Event:
    """Return the event at another account of a message that `me` sends."""
    other = Account(me.served)
    await other.adapter.login(lambda step: None)
    await me.adapter._contacts.refresh()
    await me.send(*segments, to=to)
    event = await other.next()
    await other.adapter.close()
    return event


async def test_a_location_arrives_as_its_label_and_a_forward_segment() -> None:
    xml = '<msg><location x="31.2" y="121.4" scale="16" label="街道1号 &amp; 2号" poiname="Park"/></msg>'
    async with account() as me:
        event = await between_two(me, Forward("location", {"content": xml}))
        label, forward = event.message.segments  # type: ignore[union-attr]

        assert Text("街道1号 & 2号") == label
        assert ("location", xml) == (forward.kind, forward.reference["content"])


async def test_a_contact_card_arrives_with_the_person_it_recommends() -> None:
    async with account() as me:
        event = await between_two(me, ContactCard("wxid_bob", "Bob & Co", "bobby"))
        (card,) = event.message.segments  # type: ignore[union-attr]

        assert ("wxid_bob", "Bob & Co", "bobby") == (card.username, card.nickname, card.alias)
        assert "wxid_bob" == event.raw["RecommendInfo"]["UserName"]


@pytest.mark.parametrize("to", [target("me2"), target("产品群", "group")], ids=["user", "group"])
async def test_a_quote_card_arrives_as_a_quote(to: Any) -> None:
    async with account(client_rules={"card.fresh": True}) as me:
        event = await between_two(me, Quote("7", "three or four?", "Alice", "Ada"), "four", to=to)
        quote, answer = event.message.segments  # type: ignore[union-attr]

        assert (Quote("7", "three or four?", "Alice", "Ada"), Text("four")) == (quote, answer)
        assert ["quote"] == [post.kind for post in me.served.world.posts]


@pytest.mark.parametrize(("type_", "kind"), [(5, "link"), (33, "mini_program"), (19, "chat_record"), (999, "card")])
async def test_a_card_arrives_under_its_own_type(type_: int, kind: str) -> None:
    xml = f"<appmsg><title>T</title><type>{type_}</type><url>https://x.y</url><appattach></appattach></appmsg>"
    async with account() as me:
        event = await between_two(me, Native("webwxsendappmsg", {"Type": type_, "Content": xml}))
        (post,) = me.served.world.posts

        assert (0 if type_ == 19 else type_, "T") == (event.raw["AppMsgType"], event.raw["FileName"])
        assert (kind, "T", xml) == (post.kind, post.text, post.extra["xml"])


async def held(me: Account, polls: int) -> None:
    """Return once the server holds so many polls."""
    for _ in range(60_000):
        if me.server.held_polls >= polls:
            return
        await asyncio.sleep(0.001)
    raise AssertionError("no poll is being held")


async def test_a_held_poll_returns_on_a_new_message() -> None:
    async with account(synccheck__hold_seconds=30) as me:
        inited = await me.adapter.webwx.webwxinit()
        await me.adapter.webwx.webwxsync(inited.SyncKey)
        polls = [asyncio.ensure_future(me.adapter.webwx.synccheck(inited.SyncKey)) for _ in range(2)]
        await held(me, 2)
        await me.server.say("wxid_alice", "bot", text="wake up")

        assert ["2", "2"] == await asyncio.wait_for(asyncio.gather(*polls), 60)


async def test_a_sync_check_that_is_not_held_repeats_once_a_second() -> None:
    async with account(synccheck__hold_seconds=0) as me:
        me.adapter.webwx.clock = CountedClock(5)
        with pytest.raises(TimeoutError, match="slept enough"):
            await me.next()

        # The first brings the phone's list of chats.
        assert 1 + 5 == me.served.calls("synccheck")


async def test_a_poll_times_out_and_reports_contact_changes() -> None:
    async with account() as me:
        key = (await me.adapter.webwx.webwxinit()).SyncKey
        quiet = await me.adapter.webwx.synccheck(key)
        me.server.people("user", 1)
        changed = await me.adapter.webwx.synccheck(key)

        assert ("0", "4") == (quiet, changed)


async def test_a_held_poll_reports_that_the_login_ended() -> None:
    async with account(synccheck__hold_seconds=30, login__same_account=True) as me:
        inited = await me.adapter.webwx.webwxinit()
        await me.adapter.webwx.webwxsync(inited.SyncKey)
        waiting = asyncio.ensure_future(me.next())
        await held(me, 1)
        other = Account(me.served)
        await other.adapter.login(lambda step: None)
        event = await waiting
        await other.adapter.close()

        assert EventKind.LOGIN_LOST == event.kind
        assert "1101" in event.raw["reason"]


async def test_a_lost_login_is_reported_once_even_after_a_recent_check() -> None:
    async with account(synccheck__hold_seconds=600) as me:
        lost = asyncio.ensure_future(me.next())
        await held(me, 1)
        assert all(finding.ok for finding in await me.adapter.check())
        me.server.end_session(next(iter(me.server.sessions.values())), wire.FAULTS.find(1100))
        assert EventKind.LOGIN_LOST == (await lost).kind
        following = asyncio.ensure_future(me.next())
        await me.adapter.login(lambda step: None)
        await me.server.say("wxid_alice", "bot", text="after")

        assert message_of("after") == (await following).message


async def test_receiving_continues_after_a_new_login() -> None:
    async with account() as me:
        me.server.end_session(next(iter(me.server.sessions.values())), wire.FAULTS.find(1100))
        lost = await me.next()
        await me.adapter.login(lambda step: None)
        await me.server.say("wxid_alice", "bot", text="back")
        event = await me.next()

        assert (EventKind.LOGIN_LOST, message_of("back")) == (lost.kind, event.message)


async def test_messages_that_arrive_while_the_program_is_down_are_received() -> None:
    state_store = MemoryStateStore()
    async with account(state_store=state_store) as me:
        await me.server.say("wxid_alice", "bot", text="one")
        first = await me.next()
        await me.adapter.close()
        await me.server.say("wxid_alice", "bot", text="two")
        again = Account(me.served, state_store)
        # The first had not been followed by another, so that it may come twice: repeats are known by their id.
        events = [await again.next(), await again.next()]
        await again.adapter.close()

        assert [first.id] == [e.id for e in events if e.message == first.message]
        assert message_of("two") == events[1].message


async def test_renewed_cookies_and_skeys_are_used_and_stored() -> None:
    state_store = MemoryStateStore()
    async with account(state_store=state_store) as me:

        async def after(exchange: Any) -> None:
            if exchange.endpoint == "webwxsync":
                answer = exchange.response
                answer.headers = [*answer.headers, ("Set-Cookie", "webwx_data_ticket=gSnew; Path=/")]
                answer.body = answer.data.replace(b'"SKey": ""', b'"SKey": "@crypt_new"')

        me.served.after = after  # type: ignore[method-assign]
        for text in ("one", "two"):
            await me.server.say("wxid_alice", "bot", text=text)
            await me.next()
        next(iter(me.server.sessions.values())).skey = "@crypt_new"
        await me.send("answer")
        sent = next(e.http for e in me.served.exchanges if e.endpoint == "webwxsendmsg")
        kept = load_session(state_store.get("session"))

        assert b'"Skey":"@crypt_new"' in b"".join(p for p in sent.body if isinstance(p, bytes))
        assert "gSnew" == sent.cookies()["webwx_data_ticket"]
        assert kept is not None
        assert ("@crypt_new", "gSnew") == (kept.skey, kept.cookies["webwx_data_ticket"])


@pytest.mark.parametrize("kept", [None, b"{broken", b"\xff"])
async def test_a_session_without_a_position_receives_from_now_on(kept: bytes | None) -> None:
    state_store = MemoryStateStore()
    async with account(state_store=state_store, synccheck__hold_seconds=600) as me:
        await me.adapter.close()
        await state_store.put("sync", kept)
        again = Account(me.served, state_store)
        following = asyncio.ensure_future(again.next())
        await held(me, 1)
        await me.server.say("wxid_alice", "bot", text="new")
        event = await following
        await again.adapter.close()

        assert message_of("new") == event.message
        assert state_store.get("sync")


async def test_a_position_that_is_refused_again_and_again_is_given_up() -> None:
    state_store = MemoryStateStore()
    async with account(state_store=state_store) as me:
        await me.server.say("wxid_alice", "bot", text="first")
        await me.next()
        me.adapter.webwx.clock = CountedClock()

        async def before(exchange: Any) -> None:
            if exchange.endpoint == "webwxsync" and refused["left"]:
                refused["left"] -= 1
                raise Fault(BAD_PARAMETER)

        refused = {"left": MAX_REFUSED_SYNCS}
        me.served.before = before  # type: ignore[method-assign]
        await me.server.say("wxid_alice", "bot", text="blocked")
        following = asyncio.ensure_future(me.next())
        await until(lambda: not refused["left"] and state_store.get("sync") and me.server.held_polls)
        await me.server.say("wxid_alice", "bot", text="after")

        assert message_of("after") == (await following).message


async def test_a_position_of_another_login_is_not_used() -> None:
    state_store = MemoryStateStore()
    async with account(state_store=state_store) as me:
        key = me.adapter._receiver.position()
        await state_store.put("sync", msgspec.json.encode(Position("login:other", SyncKeys(1, [KeyValue(2, 1)]))))
        unused = me.adapter._receiver.position()
        await state_store.put("sync", msgspec.json.encode(Position(me.adapter.webwx.ready.scope, key or SyncKeys())))

        assert (None, key) == (unused, me.adapter._receiver.position())


async def test_an_old_sync_key_repeats_messages_and_an_invalid_one_returns_none() -> None:
    async with account() as me:
        key = (await me.adapter.webwx.webwxinit()).SyncKey
        await me.server.say("wxid_alice", "bot", text="one")
        first, second = await me.adapter.webwx.webwxsync(key), await me.adapter.webwx.webwxsync(key)
        absurd = await me.adapter.webwx.webwxsync(SyncKeys(1, [KeyValue(2, 10**15)]))

        assert [m.MsgId for m in first.AddMsgList] == [m.MsgId for m in second.AddMsgList]
        assert first.SyncKey == first.SyncCheckKey
        assert [] == absurd.AddMsgList


async def test_many_changes_come_in_pages() -> None:
    async with account() as me:
        key = (await me.adapter.webwx.webwxinit()).SyncKey
        me.server.people("user", 250)
        pages = []
        for _ in range(3):
            page = await me.adapter.webwx.webwxsync(key)
            key = page.SyncKey
            pages.append((page.ModContactCount, page.ContinueFlag))

        assert 250 <= sum(count for count, _ in pages)
        assert [1, 1, 0] == [more for _, more in pages]


async def test_the_phone_replies_to_a_ready_page_with_its_chats() -> None:
    async with account() as me:
        key = (await me.adapter.webwx.webwxinit()).SyncKey
        await me.adapter.webwx.webwxstatusnotify(3, me.adapter.webwx.ready.me)
        (message,) = (await me.adapter.webwx.webwxsync(key)).AddMsgList

        assert (51, 4) == (message.MsgType, message.StatusNotifyCode)
        assert message.StatusNotifyUserName.startswith("filehelper,@")
        assert "&lt;username&gt;filehelper,wxid_alice," in message.Content


# --- downloads as other clients ask for them


async def get(me: Account, path: str, **headers: str) -> tuple[int, Any, bytes]:
    saved = me.adapter.webwx.ready
    headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in saved.cookies.items())
    async with (
        aiohttp.ClientSession() as http,
        http.get(me.served.url + PREFIX + path, headers=headers, allow_redirects=False) as answer,
    ):
        return answer.status, answer.headers, await answer.read()


@pytest.mark.parametrize("name", ["MsgID", "msgid", "MsgId"])
async def test_pictures_are_found_by_either_id_in_any_spelling(name: str) -> None:
    async with account() as me:
        blob = await me.served.world.blobs.add(png())
        id = await me.server.say("wxid_alice", "bot", media=blob, kind="image")
        status, headers, data = await get(me, f"/webwxgetmsgimg?{name}={id}&skey=")

        assert (200, "image/jpeg", blob.read()) == (status, headers["Content-Type"], data)


@pytest.mark.parametrize(("size", "expected"), [((300, 200), (100, 67)), ((40, 50), (40, 50)), ((10, 400), (2, 100))])
async def test_thumbnails_fit_into_a_hundred_pixels(size: tuple[int, int], expected: tuple[int, int]) -> None:
    async with account() as me:
        blob = await me.served.world.blobs.add(png(*size))
        id = await me.server.say("wxid_alice", "bot", media=blob, kind="image")
        _, _, data = await get(me, f"/webwxgetmsgimg?MsgID={id}&type=slave")

        assert expected == Picture.open(io.BytesIO(data)).size
        event = await me.next()
        assert expected == (event.raw["ImgWidth"], event.raw["ImgHeight"])


async def test_a_file_that_is_not_a_picture_has_a_gray_thumbnail() -> None:
    async with account() as me:
        blob = await me.served.world.blobs.add(MP4)
        id = await me.server.say("wxid_alice", "bot", media=blob, kind="video")
        _, _, data = await get(me, f"/webwxgetmsgimg?msgid={id}&type=slave")

        assert "JPEG" == Picture.open(io.BytesIO(data)).format


@pytest.mark.parametrize(
    ("asked", "status", "content_range", "part"),
    [
        ("bytes=0-", 206, "bytes 0-2023/2024", slice(0, None)),
        ("bytes=4-7", 206, "bytes 4-7/2024", slice(4, 8)),
        ("bytes=-24", 206, "bytes 2000-2023/2024", slice(2000, None)),
        ("bytes=2000-9999", 206, "bytes 2000-2023/2024", slice(2000, None)),
        ("bytes=2024-", 416, "bytes */2024", slice(0, 0)),
        ("lines=1", 200, None, slice(0, None)),
        (None, 200, None, slice(0, 0)),
    ],
)
async def test_a_video_is_served_in_ranges_and_empty_without_one(
    asked: str | None, status: int, content_range: str | None, part: slice
) -> None:
    async with account() as me:
        blob = await me.served.world.blobs.add(MP4)
        id = await me.server.say("wxid_alice", "bot", media=blob, kind="video")
        given = await get(me, f"/webwxgetvideo?msgid={id}&skey=", **({"Range": asked} if asked else {}))

        assert (status, content_range, MP4[part]) == (given[0], given[1].get("Content-Range"), given[2])


async def test_an_empty_download_is_an_error() -> None:
    async with account() as me:

        async def before(exchange: Any) -> HttpResponse:
            return HttpResponse(200, [("Content-Type", "video/mp4")])

        me.served.before = before  # type: ignore[method-assign]
        reference = {"scope": me.adapter.webwx.ready.scope, "msg_type": 43, "msg_id": "1"}
        with pytest.raises(Rejected, match="returned no bytes"):
            [piece async for piece in me.adapter.open_reference(reference)]


async def test_references_without_bytes_are_refused() -> None:
    async with account() as me:
        scope = me.adapter.webwx.ready.scope
        for reference, error in (
            ({"scope": "login:old", "msg_type": 3}, Unsupported),
            ({"scope": scope, "msg_type": 1}, Unsupported),
            ({"scope": scope, "msg_type": 3, "msg_id": "1"}, Unavailable),
            ({"scope": scope, "msg_type": 49, "media_id": "@crypt_0"}, Unavailable),
        ):
            with pytest.raises(error):
                [piece async for piece in me.adapter.open_reference(reference)]


async def test_files_need_the_data_ticket_and_previews_the_media_id() -> None:
    async with account() as me:
        media = me.media(png(), "image", "png", name='a"b.png')
        from yizhan.model import Image

        await me.send(Image(media))
        session = next(iter(me.server.sessions.values()))
        (id,) = session.media
        from urllib.parse import quote

        one = await get(me, f"/webwxpreview?fun=preview&mediaid={quote(id, safe='')}")
        path = f"/webwxgetmedia?sender=@x&mediaid={quote(id, safe='')}&filename=x&pass_ticket=undefined"
        ticket = quote(me.adapter.webwx.ready.cookies["webwx_data_ticket"], safe="")
        two = await get(me, f"{path}&webwx_data_ticket={ticket}")
        refused = [await get(me, path), await get(me, f"{path}&webwx_data_ticket=gSinvented")]

        assert png() == one[2] == two[2]
        assert all(b'"Ret": -14' in answer[2] for answer in refused)
        assert two[1]["Content-Disposition"].startswith('attachment; filename="a')


async def test_link_checks_redirect_to_the_link() -> None:
    async with account() as me:
        status, headers, _ = await get(me, "/webwxcheckurl?requrl=https%3A%2F%2Fexample.com%2Fa&skey=x")
        refused = await get(me, "/webwxcheckurl?requrl=javascript:alert(1)")

        assert (302, "https://example.com/a") == (status, headers["Location"])
        assert b'"Ret": 1' in refused[2]


# --- rooms and remarks


async def test_rooms_can_be_created_and_changed() -> None:
    async with account() as me:
        await me.adapter._contacts.refresh()
        alice, bob, zhang = [await me.adapter._contacts.user_name(target(name)) for name in ("Alice", "Bob", "张工")]
        members = [wire.MemberName(alice), wire.MemberName(bob)]
        made = await me.adapter.call(wire.CREATE_ROOM, wire.CreateRoom(MemberList=members, Topic="计划"))
        for fun, change in (
            ("addmember", {"AddMemberList": zhang}),
            ("delmember", {"DelMemberList": alice}),
            ("modtopic", {"NewTopic": "新计划"}),
        ):
            request = wire.UpdateRoom(ChatRoomName=made.ChatRoomName, fun=fun, **change)
            await me.adapter.call(wire.UPDATE_ROOM, request)
        (room,) = await me.adapter.webwx.webwxbatchgetcontact([made.ChatRoomName])
        event = await me.next()

        assert ("新计划", ["me", "Bob", "张伟"]) == (room.NickName, [m.NickName for m in room.MemberList])
        assert EventKind.GROUP_ADDED == event.kind
        await me.send("hi", to=target("新计划", "group"))
        assert "新计划" == me.served.world.posts[-1].target


async def test_a_pin_without_a_remark_erases_the_remark() -> None:
    async with account() as me:
        await me.send("hi")
        alice = str(me.adapter._contacts.book.find("user", "Alice"))
        people = me.served.world.network("wechat").people
        await me.adapter.call(wire.OPLOG, wire.OpLog(UserName=alice, RemarkName="爱丽丝"))
        remark = people["wxid_alice"].remark
        await me.adapter.call(wire.OPLOG, wire.OpLog(CmdId=wire.PIN, OP=1, UserName=alice))

        assert ("爱丽丝", "") == (remark, people["wxid_alice"].remark)


async def test_a_reset_ends_all_sessions() -> None:
    async with account() as me:
        await me.send("hi")
        me.server.reset()

        assert {} == me.server.sessions
        with pytest.raises(Exception, match="1100"):
            await me.send("hi", to="filehelper")
        assert Text("hi") == message_of("hi").segments[0]
