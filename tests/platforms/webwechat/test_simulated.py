"""Acts of people in the sandbox, as events of the account that receives them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.platforms.webwechat.support import MP4, Account, account, png, target
from yizhan.model import Card, Event, EventKind, Forward, Mention, Quote, Segment, Text
from yizhan.platforms.server import SaidMedia, SimulatedEvent

ROOM, GIF = "产品群", b"GIF89a" + bytes(50)


async def play(me: Account, event: str, sender: str = "Alice", **fields: Any) -> str:
    """Play an event and return its id. `media`: pairs of bytes and a kind."""
    blobs = me.served.world.blobs
    media = [SaidMedia(await blobs.add(data), kind, f"a.{kind}") for data, kind in fields.pop("media", ())]
    played: str = await me.server.event(SimulatedEvent(event, sender, media=media, **fields))
    return played


async def heard(me: Account, event: str, sender: str = "Alice", **fields: Any) -> Event:
    await play(me, event, sender, **fields)
    return await me.next()


def segments_of(event: Event) -> Sequence[Segment]:
    assert event.message is not None
    return event.message.segments


async def bytes_of(me: Account, segment: Segment) -> bytes:
    assert isinstance(segment, Forward)
    return b"".join([chunk async for chunk in me.adapter.open_reference(segment.reference)])


async def known(me: Account) -> None:
    """Let the account read its address book: until then, none of its people is new."""
    await heard(me, "message", text="hi")


@pytest.mark.parametrize(
    ("fields", "mentioned", "users"),
    [
        ({}, True, ["me"]),
        ({"addressed": False}, False, []),
        ({"mentions": ["all"]}, True, ["all"]),
        ({"mentions": ["wxid_bob"], "addressed": False}, False, ["Bob"]),
        ({"mentions": ["wxid_bob", "bot"]}, True, ["Bob", "me"]),
    ],
)
async def test_a_message_in_a_room_says_whom_it_mentions(
    fields: dict[str, Any], mentioned: bool, users: list[str]
) -> None:
    async with account() as me:
        event = await heard(me, "message", to=ROOM, text="look", **fields)

        assert mentioned is event.mentioned
        assert users == [segment.user for segment in segments_of(event) if isinstance(segment, Mention)]
        assert Text("look") == segments_of(event)[-1]
        assert (target(ROOM, "group"), "Alice") == (event.target, event.sender)


async def test_each_of_several_media_is_a_message_of_its_own() -> None:
    async with account() as me:
        picture = png()
        await play(me, "message", media=[(picture, "image"), (MP4, "video"), (b"paper", "file")])
        events = [await me.next() for _ in range(3)]

        found = [segment for event in events for segment in segments_of(event) if isinstance(segment, Forward)]
        assert ["image", "video", "file"] == [forward.kind for forward in found]
        assert [picture, MP4, b"paper"] == [await bytes_of(me, forward) for forward in found]


async def test_a_sticker_can_be_saved() -> None:
    async with account() as me:
        event = await heard(me, "message", media=[(GIF, "image")], data="sticker")

        (sticker,) = segments_of(event)
        assert isinstance(sticker, Forward)
        assert "sticker" == sticker.kind
        assert GIF == await bytes_of(me, sticker)


async def test_a_quote_holds_the_quoted_text_or_picture() -> None:
    async with account() as me:
        picture = png()
        said = await play(me, "message", text="is it ready?")
        shown = await play(me, "message", media=[(picture, "image")])
        for id in (said, shown):
            await play(me, "message", "Bob", text="yes", quote=id)
        events = [await me.next() for _ in range(4)]
        (words, answer), (seen, _) = [segments_of(event) for event in events[2:]]

        assert isinstance(words, Quote)
        assert (said, "is it ready?", "Alice") == (words.message_id, words.text, words.sender_name)
        assert Text("yes") == answer
        assert isinstance(seen, Quote)
        assert picture == await bytes_of(me, seen.media[0])


async def test_a_song_is_a_card_that_can_be_sent_on() -> None:
    async with account() as me:
        song = Card("夜曲", "周杰伦", "https://music.example.com/1", "song")
        (card,) = segments_of(await heard(me, "message", card=song))

        assert isinstance(card, Card)
        assert ("夜曲", "周杰伦", "song") == (card.title, card.description, card.kind)
        assert "<type>3</type>" in card.xml


async def test_a_chat_record_has_its_lines_and_their_pictures() -> None:
    async with account() as me:
        picture = png()
        blob = await me.served.world.blobs.add(picture)
        lines = [
            SimulatedEvent("message", "wxid_alice", text="see"),
            SimulatedEvent("message", "wxid_bob", media=[SaidMedia(blob, "image", "a.png")]),
        ]
        (card,) = segments_of(await heard(me, "message", lines=lines))

        assert isinstance(card, Card)
        assert [("Alice", "see"), ("Bob", "[图片] a.png")] == [(line.sender_name, line.text) for line in card.lines]


async def test_a_withdrawn_message_is_named() -> None:
    async with account() as me:
        id = await play(me, "message", text="oops")
        await play(me, "recall", message_id=id)
        _, event = await me.next(), await me.next()

        assert (EventKind.RECALL, id) == (event.kind, event.about)
        assert [True] == [post.recalled for post in me.served.world.posts]


async def test_words_written_on_the_phone_are_seen_as_sent() -> None:
    async with account() as me:
        event = await heard(me, "sent", text="by hand")

        assert (EventKind.SENT, target("Alice"), (Text("by hand"),)) == (event.kind, event.target, segments_of(event))


@pytest.mark.parametrize(
    ("event", "fields", "kind", "place"),
    [
        ("friend_requested", {"text": "it's me"}, EventKind.FRIEND_REQUESTED, None),
        ("friend_removed", {}, EventKind.FRIEND_REMOVED, target("Alice")),
        ("group_removed", {"to": ROOM}, EventKind.GROUP_REMOVED, target(ROOM, "group")),
        ("raw", {"body": {"MsgType": 10000, "Content": "a notice"}}, EventKind.OTHER, target("Alice")),
    ],
)
async def test_people_and_rooms_come_and_go(event: str, fields: dict[str, Any], kind: EventKind, place: Any) -> None:
    async with account() as me:
        await known(me)
        seen = await heard(me, event, **fields)

        assert kind is seen.kind
        assert place is None or place == seen.target


async def test_a_stranger_and_a_room_are_added() -> None:
    async with account() as me:
        me.served.world.network("wechat").add_person("wxid_eve", "Eve", friends=False)
        await known(me)
        await play(me, "group_removed", to=ROOM)
        await me.next()

        added, room = await heard(me, "friend_added", "Eve"), await heard(me, "group_added", to=ROOM)

        assert (EventKind.FRIEND_ADDED, target("Eve")) == (added.kind, added.target)
        assert (EventKind.GROUP_ADDED, target(ROOM, "group")) == (room.kind, room.target)


async def test_members_who_come_and_go_are_events() -> None:
    async with account() as me:
        # A message in the room has the account read its members: a change is told from then on.
        await heard(me, "message", to=ROOM, text="hi")
        left = await heard(me, "member_left", "Bob", to=ROOM)
        joined = await heard(me, "member_joined", "Bob", to=ROOM)

        room = target(ROOM, "group")
        assert (EventKind.MEMBER_LEFT, room, "Bob", "Bob") == (left.kind, left.target, left.person, left.person_name)
        assert (EventKind.MEMBER_JOINED, room, "Bob") == (joined.kind, joined.target, joined.person)
        assert EventKind.OTHER is (await me.next()).kind


async def test_a_login_that_is_lost_is_an_event() -> None:
    async with account() as me:
        await known(me)

        assert EventKind.LOGIN_LOST is (await heard(me, "login_lost")).kind


@pytest.mark.parametrize(
    ("event", "fields", "words"),
    [
        ("pressed", {}, "It has: message, recall"),
        ("message", {}, "has text, media, a card"),
        ("message", {"text": "x", "quote": "7"}, "no message '7'"),
        ("recall", {"message_id": "7"}, "no message '7'"),
        ("member_joined", {"to": "no such room"}, "no such room"),
        ("raw", {"body": {"MsgType": "x"}}, "MsgType"),
    ],
)
async def test_an_event_that_cannot_be_played_is_refused_in_words(
    event: str, fields: dict[str, Any], words: str
) -> None:
    async with account() as me:
        with pytest.raises(LookupError, match=words):
            await play(me, event, **fields)
