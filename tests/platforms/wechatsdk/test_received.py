"""Acts of people in the sandbox, as events of the account that receives them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from tests.platforms.wechatsdk.support import adapter_of, listening, send
from tests.support import Served, serve
from yizhan.model import Card, Event, EventKind, Forward, Mention, Message, Quote, Segment, Target, Text
from yizhan.platforms.server import SaidMedia, SimulatedEvent
from yizhan.platforms.wechatsdk import PLATFORM, convert, wire
from yizhan.platforms.wechatsdk.client import Adapter
from yizhan.platforms.wechatsdk.server import Server

BOT, BOB, GROUP = "wxid_sandbox", Target("wechatsdk.main", "user", "wxid_bob"), "10001@chatroom"
PNG, GIF = b"\x89PNG\r\n\x1a\n" + bytes(50), b"GIF89a" + bytes(50)
SILK = b"\x02#!SILK_V3" + b"\x02\x00ab" * 50


@dataclass
class Scene:
    """A sandbox with one account that listens."""

    served: Served
    adapter: Adapter
    events: AsyncIterator[Event]

    @property
    def server(self) -> Server:
        assert isinstance(self.served.server, Server)
        return self.served.server

    async def play(self, event: str, sender: str = "wxid_alice", **fields: Any) -> Event:
        """Play an event and return it as the account receives it."""
        await self.server.event(SimulatedEvent(event, sender, **fields))
        return await anext(self.events)

    async def media(self, data: bytes, kind: Any, name: str = "") -> SaidMedia:
        return SaidMedia(await self.served.world.blobs.add(data), kind, name)

    async def bytes_of(self, forward: Segment | None) -> bytes:
        assert isinstance(forward, Forward)
        return b"".join([chunk async for chunk in self.adapter.open_reference(forward.reference)])


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with serve(PLATFORM) as served, adapter_of(served) as adapter, listening(adapter) as events:
        yield Scene(served, adapter, events)


def segments_of(event: Event) -> tuple[Segment, ...]:
    assert event.message is not None
    return event.message.segments


# --- mentions ---


@pytest.mark.parametrize(
    ("fields", "mentioned", "rest"),
    [
        ({"text": "look"}, True, "look"),
        ({"text": "look", "addressed": False}, False, "look"),
        ({"text": "look", "mentions": ["all"]}, True, ""),
        ({"text": "look", "mentions": ["wxid_bob"], "addressed": False}, False, ""),
        ({"text": "look", "mentions": ["wxid_bob", "bot"]}, True, ""),
    ],
)
async def test_a_message_in_a_group_says_whether_it_addresses_the_account(
    scene: Scene, fields: dict[str, Any], mentioned: bool, rest: str
) -> None:
    event = await scene.play("message", to=GROUP, **fields)

    assert mentioned is event.mentioned
    assert event.message is not None
    if rest:
        assert (Text(rest),) == event.message.without_own_mention().segments
    own = [segment for segment in segments_of(event) if isinstance(segment, Mention) and segment.own]
    assert all(segment.user == BOT for segment in own)


def test_a_mention_counts_by_its_id_also_where_the_text_does_not_show_it() -> None:
    data = {"type": 1, "from": GROUP, "content": "wxid_bob:\nhello", "msgSvrID": 5, "isChatroomMsg": 1}
    source = f"<msgsource><atuserlist><![CDATA[,{BOT}]]></atuserlist></msgsource>"
    push = {"pushType": 1, "robot": {"userName": BOT}, "data": {**data, "reserved1": source}}

    (event,) = convert.parse(push, "wechatsdk.main", 1.0)

    assert event.mentioned
    assert (Text("hello"),) == segments_of(event)


async def test_an_answer_to_a_message_of_the_account_addresses_it(scene: Scene) -> None:
    own = await send(scene.adapter, Message((Text("the plan"),)), Target("wechatsdk.main", "group", GROUP), {})
    answer = await scene.play("message", to=GROUP, text="thanks", quote=own, addressed=False)
    said = await scene.play("message", "wxid_bob", to=GROUP, text="mine", addressed=False)
    other = await scene.play("message", to=GROUP, text="no", quote=said.id, addressed=False)

    quote, text = segments_of(answer)
    assert isinstance(quote, Quote)
    assert (own, "the plan", BOT) == (quote.message_id, quote.text, quote.sender)
    assert Text("thanks") == text
    assert (True, False) == (answer.mentioned, other.mentioned)


def test_own_messages_do_not_address_the_account() -> None:
    source = f"<msgsource><atuserlist>{BOT}</atuserlist></msgsource>"
    data = {"type": 1, "from": GROUP, "content": "x", "msgSvrID": 5, "isSender": 1, "reserved1": source}

    (event,) = convert.parse({"pushType": 1, "robot": {"userName": BOT}, "data": data}, "wechatsdk.main", 1.0)

    assert not event.mentioned


# --- quotes, cards, media ---


@pytest.mark.parametrize(
    ("kind", "data", "name", "words"),
    [
        ("image", PNG, "", "[图片]"),
        ("file", b"plan", "plan.txt", "plan.txt"),
        ("voice", SILK, "", "[语音]"),
        ("video", b"film", "", "[视频]"),
    ],
)
async def test_quoted_media_can_be_saved(scene: Scene, kind: str, data: bytes, name: str, words: str) -> None:
    first = await scene.play("message", media=[await scene.media(data, kind, name)])
    event = await scene.play("message", text="this one", quote=first.id)

    quote, text = segments_of(event)
    assert isinstance(quote, Quote)
    (media,) = quote.media
    assert (words, "wxid_alice", "Alice", first.at) == (quote.text, quote.sender, quote.sender_name, quote.at)
    assert (kind, data) == (media.kind, await scene.bytes_of(media))
    assert Text("this one") == text


async def test_a_chat_record_has_lines_with_their_files_and_is_sent_on_unchanged(scene: Scene) -> None:
    lines = [
        SimulatedEvent("message", "wxid_alice", text="see the plan"),
        SimulatedEvent("message", "wxid_bob", media=[await scene.media(b"plan", "file", "plan.txt")]),
        SimulatedEvent("message", "wxid_bob", media=[await scene.media(PNG, "image")]),
    ]
    event = await scene.play("message", card=Card("Talk", kind="chat_record"), lines=lines)

    (card,) = segments_of(event)
    assert isinstance(card, Card)
    assert "chat_record" == card.kind
    assert ["see the plan", "[文件] plan.txt", "[图片]"] == [line.text for line in card.lines]
    assert ["Alice", "Bob", "Bob"] == [line.sender_name for line in card.lines]
    assert [b"plan", PNG] == [await scene.bytes_of(line.media) for line in card.lines if line.media]
    await send(scene.adapter, Message((card,)), BOB, {})
    (post,) = scene.served.world.select(call="send_xml")
    assert card.xml == post.extra["xml"]


async def test_a_file_of_a_chat_record_is_sent_on_without_an_upload(scene: Scene) -> None:
    line = SimulatedEvent("message", "wxid_bob", media=[await scene.media(b"plan", "file", "plan.txt")])
    (card,) = segments_of(await scene.play("message", lines=[line]))
    assert isinstance(card, Card)
    assert card.lines[0].media is not None

    await send(scene.adapter, Message((card.lines[0].media,)), BOB, {})

    (post,) = scene.served.world.select(call="send_xml")
    assert ("plan.txt", b"plan") == (post.name, post.blob and post.blob.read())
    assert 0 == scene.served.calls("cdn_upload")


@pytest.mark.parametrize("kind", ["song", "87"])
async def test_songs_and_other_cards_keep_everything_they_show(scene: Scene, kind: str) -> None:
    shown = Card("Night Ferry", "The Quay", "https://m.example.org/1", kind)

    (card,) = segments_of(await scene.play("message", card=shown))

    assert isinstance(card, Card)
    assert shown == msgspec.structs.replace(card, xml="")


async def test_media_have_name_size_and_duration(scene: Scene) -> None:
    voice, file, sticker = [
        segments_of(await scene.play("message", media=[await scene.media(data, kind, name)], data=more))[0]
        for data, kind, name, more in (
            (SILK, "voice", "", ""),
            (b"plan", "file", "a.txt", ""),
            (GIF, "image", "", "sticker"),
        )
    ]

    assert isinstance(voice, Forward)
    assert isinstance(file, Forward)
    assert isinstance(sticker, Forward)
    assert ("voice", len(SILK), 1000) == (voice.kind, voice.size, voice.duration_ms)
    assert ("a.txt", 4) == (file.name, file.size)
    assert ("sticker", len(GIF), 240, 240) == (sticker.kind, sticker.size, sticker.width, sticker.height)
    await send(scene.adapter, Message((sticker,)), BOB, {})
    assert 1 == len(list(scene.served.world.select(call="send_known_sticker")))


async def test_emoji_codes_become_words(scene: Scene) -> None:
    event = await scene.play("message", text="well /::)/:rose done /:version")

    assert (Text("well [微笑][玫瑰] done /:version"),) == segments_of(event)


# --- other events ---


async def test_members_who_join_and_leave_are_events_with_person_and_group(scene: Scene) -> None:
    left = await scene.play("member_left", "wxid_bob", to=GROUP)
    joined = await scene.play("member_joined", "wxid_bob", to=GROUP)

    assert [EventKind.MEMBER_LEFT, EventKind.MEMBER_JOINED] == [left.kind, joined.kind]
    for event in (left, joined):
        assert ("wxid_bob", "Bob") == (event.person, event.person_name)
        assert f"wechatsdk.main/group/{GROUP}" == str(event.target)


def test_each_of_several_members_is_an_event_of_its_own() -> None:
    members = [{"userName": "wxid_a", "nickName": "A"}, {"userName": "wxid_b", "nickName": None}]
    push = {"pushType": 5, "pushTime": 9, "data": {"chatroomUserName": GROUP, "subType": 1, "members": members}}

    events = convert.parse(push, "wechatsdk.main", 1.0)

    assert [("wxid_a", "A"), ("wxid_b", "")] == [(event.person, event.person_name) for event in events]
    assert 2 == len({event.id for event in events})


async def test_a_friend_request_is_accepted_with_its_data(scene: Scene) -> None:
    person = scene.served.world.network("wechat").person("wxid_bob")
    person.friends = False
    event = await scene.play("friend_requested", "wxid_bob", text="It is Bob")
    await scene.adapter.call(wire.ACCEPT_FRIEND, msgspec.json.decode(event.data, type=wire.AcceptFriend))

    assert (EventKind.FRIEND_REQUESTED, "wxid_bob", "Bob") == (event.kind, event.person, event.person_name)
    assert (Text("It is Bob"),) == segments_of(event)
    assert person.friends


async def test_a_withdrawal_names_the_message(scene: Scene) -> None:
    said = await scene.play("message", to=GROUP, text="oops")
    event = await scene.play("recall", message_id=said.id)

    assert (EventKind.RECALL, said.id, GROUP) == (event.kind, event.about, event.target and event.target.id)


@pytest.mark.parametrize(
    ("event", "fields", "kind"),
    [
        ("group_removed", {"to": GROUP}, EventKind.GROUP_REMOVED),
        ("group_added", {"to": GROUP}, EventKind.GROUP_ADDED),
        ("sent", {"to": "wxid_bob", "text": "typed"}, EventKind.SENT),
        ("login_lost", {}, EventKind.LOGIN_LOST),
        ("raw", {"body": {"pushType": 2, "data": {"step": 1}}}, EventKind.OTHER),
    ],
)
async def test_other_acts_are_events_of_their_kind(
    scene: Scene, event: str, fields: Mapping[str, Any], kind: EventKind
) -> None:
    assert kind is (await scene.play(event, **fields)).kind


async def test_an_unknown_event_is_refused_with_those_that_exist(scene: Scene) -> None:
    with pytest.raises(LookupError, match="Did you mean recall"):
        await scene.server.event(SimulatedEvent("recal", "wxid_alice"))
    with pytest.raises(LookupError, match="pushType"):
        await scene.server.event(SimulatedEvent("raw", "wxid_alice", body={"x": 1}))
    with pytest.raises(LookupError, match="no message 'm1'"):
        await scene.server.event(SimulatedEvent("message", "wxid_alice", text="x", quote="m1"))
