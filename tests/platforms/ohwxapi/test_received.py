"""Acts of people in the sandbox, as events of the account that receives them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from tests.platforms.ohwxapi.test_client import Sender, gateway, listening, user
from tests.support import Served
from yizhan.errors import ContentRefused, Rejected
from yizhan.model import Card, Event, EventKind, Forward, Mention, Quote, Segment, Target, Text
from yizhan.platforms.ohwxapi import wire
from yizhan.platforms.ohwxapi.client import Adapter
from yizhan.platforms.ohwxapi.server import Server
from yizhan.platforms.server import SaidMedia, SimulatedEvent
from yizhan.platforms.wechat_xml import parse_card

BOT, GROUP = "wxid_sandbox", "10001@chatroom"
PNG, GIF = b"\x89PNG\r\n\x1a\n" + bytes(50), b"GIF89a" + bytes(50)
SILK = b"\x02#!SILK_V3" + b"\x02\x00ab" * 50


@dataclass
class Scene:
    """A gateway with one account that listens."""

    served: Served
    adapter: Adapter
    sender: Sender
    next: Callable[[], Awaitable[Event]]

    @property
    def server(self) -> Server:
        assert isinstance(self.served.server, Server)
        return self.served.server

    async def play(
        self, event: str, sender: str = "wxid_alice", *, kind: EventKind | None = None, **more: Any
    ) -> Event:
        """Play an event and return it as the account receives it; `kind`: the first of that kind."""
        await self.server.event(SimulatedEvent(event, sender, **more))
        received = await self.next()
        while kind is not None and received.kind is not kind:
            received = await self.next()
        return received

    async def media(self, data: bytes, kind: Any, name: str = "") -> SaidMedia:
        return SaidMedia(await self.served.world.blobs.add(data), kind, name)

    async def bytes_of(self, forward: Segment | None) -> bytes:
        assert isinstance(forward, Forward)
        return b"".join([chunk async for chunk in self.adapter.open_reference(forward.reference)])


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with gateway(rules={"echo.own": False}) as (served, adapter, sender):
        async with listening(adapter, served) as next_event:
            yield Scene(served, adapter, sender, next_event)


def segments_of(event: Event) -> tuple[Segment, ...]:
    assert event.message is not None
    return event.message.segments


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


async def test_an_answer_to_a_message_of_the_account_addresses_it(scene: Scene) -> None:
    (own,) = await scene.sender.send(Target("ohwxapi.main", "group", GROUP), "the plan")
    answer = await scene.play("message", to=GROUP, text="thanks", quote=own.id)
    said = await scene.play("message", "wxid_bob", to=GROUP, text="mine", addressed=False)
    other = await scene.play("message", to=GROUP, text="no", quote=said.id)

    quote, text = segments_of(answer)
    assert isinstance(quote, Quote)
    assert (own.id, "the plan", BOT) == (quote.message_id, quote.text, quote.sender)
    assert Text("thanks") == text
    assert (True, False) == (answer.mentioned, other.mentioned)


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
    (card,) = segments_of(await scene.play("message", card=Card("Talk", kind="chat_record"), lines=lines))

    assert isinstance(card, Card)
    assert ["see the plan", "[文件] plan.txt", "[图片]"] == [line.text for line in card.lines]
    assert ["Alice", "Bob", "Bob"] == [line.sender_name for line in card.lines]
    assert [b"plan", PNG] == [await scene.bytes_of(line.media) for line in card.lines if line.media]
    await scene.sender.send(user(), card, *[line.media for line in card.lines if line.media])
    record, file, picture = [post for post in scene.served.world.select(platform="ohwxapi") if post.call != "say"]
    assert card.xml == record.extra["xml"]
    assert ("plan.txt", b"plan") == (file.name, file.blob and file.blob.read())
    assert PNG == (picture.blob and picture.blob.read())


@pytest.mark.parametrize("kind", ["song", "87"])
async def test_songs_and_other_cards_keep_everything_they_show(scene: Scene, kind: str) -> None:
    shown = Card("Night Ferry", "The Quay", "https://m.example.org/1", kind)

    (card,) = segments_of(await scene.play("message", card=shown))

    assert isinstance(card, Card)
    assert shown == msgspec.structs.replace(card, xml="")


async def test_media_have_name_size_and_duration(scene: Scene) -> None:
    found = [
        segments_of(await scene.play("message", media=[await scene.media(data, kind, name)], data=more))[0]
        for data, kind, name, more in (
            (SILK, "voice", "", ""),
            (b"plan", "file", "a.txt", ""),
            (GIF, "image", "", "sticker"),
        )
    ]
    voice, file, sticker = [segment for segment in found if isinstance(segment, Forward)]

    assert ("voice", len(SILK), 1000) == (voice.kind, voice.size, voice.duration_ms)
    assert ("a.txt", 4) == (file.name, file.size)
    assert ("sticker", len(GIF), 240, 240) == (sticker.kind, sticker.size, sticker.width, sticker.height)


async def test_emoji_codes_become_words(scene: Scene) -> None:
    event = await scene.play("message", text="well /::)/:rose done")

    assert (Text("well [微笑][玫瑰] done"),) == segments_of(event)


async def test_members_who_join_and_leave_are_events_with_person_and_group(scene: Scene) -> None:
    joined = await scene.play("member_joined", "wxid_bob", to=GROUP, kind=EventKind.MEMBER_JOINED)
    left = await scene.play("member_left", "wxid_bob", to=GROUP, kind=EventKind.MEMBER_LEFT)
    again = await scene.play("member_joined", "wxid_bob", to=GROUP, kind=EventKind.MEMBER_JOINED)
    said = await scene.play("message", text="after", kind=EventKind.MESSAGE)

    for event in (joined, left, again):
        assert ("wxid_bob", "Bob") == (event.person, event.person_name)
        assert f"ohwxapi.main/group/{GROUP}" == str(event.target)
    assert (Text("after"),) == segments_of(said)


async def test_a_friend_request_is_accepted_with_its_data(scene: Scene) -> None:
    person = scene.served.world.network("wechat").person("wxid_bob")
    person.friends = False
    event = await scene.play("friend_requested", "wxid_bob", text="It is Bob")
    await scene.adapter.run(wire.VERIFY_USER, msgspec.json.decode(event.data, type=wire.VerifyUser))

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
        ("group_added", {"to": GROUP}, EventKind.GROUP_ADDED),
        ("login_lost", {}, EventKind.LOGIN_LOST),
        ("raw", {"body": {"EventName": "ON_EVENT_SNS_NEW"}}, EventKind.OTHER),
    ],
)
async def test_other_acts_are_events_of_their_kind(
    scene: Scene, event: str, fields: dict[str, Any], kind: EventKind
) -> None:
    assert kind is (await scene.play(event, **fields)).kind


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<title>plan.txt</title>", "<title></title>"),
        ("<aeskey>{md5}</aeskey>", "<aeskey>00112233445566778899aabbccddeeff</aeskey>"),
        ("<totallen>4</totallen>", "<totallen>5</totallen>"),
        ("<md5>{md5}</md5>", "<md5>00112233445566778899aabbccddeeff</md5>"),
    ],
)
async def test_a_file_card_has_the_values_of_its_upload(scene: Scene, old: str, new: str) -> None:
    blob = await scene.served.world.blobs.add(b"plan")
    (file,) = segments_of(await scene.play("message", media=[SaidMedia(blob, "file", "plan.txt")]))
    assert isinstance(file, Forward)
    card = parse_card(file.reference["xml"]).xml
    changed = card.replace(old.format(md5=blob.md5), new)
    assert changed != card

    with pytest.raises(ContentRefused, match="AppMsgXml invalid"):
        await scene.adapter.run(
            wire.SEND_APP_MSG, wire.SendAppMsg(ToUserName="wxid_bob", AppMsgXml=changed, MsgType=49)
        )


@pytest.mark.parametrize("name", ["aeskey", "md5", "length"])
async def test_a_picture_is_sent_on_with_the_values_of_its_upload_only(scene: Scene, name: str) -> None:
    (picture,) = segments_of(await scene.play("message", media=[await scene.media(PNG, "image")]))
    assert isinstance(picture, Forward)
    xml = re.sub(f' {name}="[^"]*"', f' {name}="{"00" * 16 if name != "length" else 7}"', picture.reference["xml"])

    with pytest.raises(Rejected, match="ImageXml"):
        await scene.adapter.run(wire.SEND_IMAGE, wire.SendImage(ToUserName="wxid_bob", ImageXml=xml))


async def test_an_unknown_event_is_refused_with_those_that_exist(scene: Scene) -> None:
    with pytest.raises(LookupError, match="Did you mean recall"):
        await scene.server.event(SimulatedEvent("recal", "wxid_alice"))
    with pytest.raises(LookupError, match="EventName"):
        await scene.server.event(SimulatedEvent("raw", "wxid_alice", body={"x": 1}))
    with pytest.raises(LookupError, match="no message 'm1'"):
        await scene.server.event(SimulatedEvent("message", "wxid_alice", text="x", quote="m1"))
