"""Received media on their way to others: by reference where it reaches, else fetched once."""

from __future__ import annotations

from typing import Any, cast

import pytest

from yizhan.accounts.received_media import ReceivedMedia
from yizhan.accounts.registry import Accounts, OpenAccount
from yizhan.errors import (
    LoginNeeded,
    MediaTooLarge,
    Rejected,
    StorageError,
    Throttled,
    Unavailable,
    Unsupported,
    YizhanError,
)
from yizhan.model import File, Forward, Image, Kind, Media, Message, Segment, Sticker, Target, Text, Video, Voice
from yizhan.sending.forwarding import reachable

HERE = Target("webwechat.me", "user", "Alice")
THERE = Target("qqbot.main", "user", "ANN")
PICTURE = Forward("image", {"id": "1"}, "a.png", account=HERE.account)


class FakeAccounts:
    """Accounts whose wires send every reference on but those of the kinds in `kept_back`; and the downloads."""

    def __init__(self, *kept_back: str, kind: Kind = "image", error: YizhanError | None = None) -> None:
        self.kept_back = kept_back
        self.media = Media("0" * 64, "", 0, 9, kind, "", "", name="fetched")
        self.error = error
        self.fetched: list[Forward] = []
        self.adapter = self

    async def use(self, name: str) -> OpenAccount:
        return cast(OpenAccount, self)

    def compose(self, message: Message, target: Target) -> list[Any]:
        for segment in message.segments:
            if isinstance(segment, Forward) and segment.kind in self.kept_back:
                raise Unsupported("not by reference")
        return []

    async def save(self, forward: Forward) -> Media:
        self.fetched.append(forward)
        if self.error is not None:
            raise self.error
        return self.media

    async def sent(self, *segments: Segment, to: tuple[Target, ...]) -> tuple[tuple[Segment, ...], str]:
        message, note = await reachable(Message(segments), to, cast(Accounts, self), cast(ReceivedMedia, self))
        return message.segments, note


async def test_a_reference_that_reaches_every_target_is_kept() -> None:
    accounts = FakeAccounts()

    assert ((Text("see"), PICTURE), "") == await accounts.sent(Text("see"), PICTURE, to=(HERE, HERE))
    assert [] == accounts.fetched


async def test_a_reference_that_misses_one_target_is_downloaded_once_for_all() -> None:
    accounts = FakeAccounts()

    segments, note = await accounts.sent(Text("see"), PICTURE, to=(HERE, THERE, THERE))

    assert (Text("see"), Image(accounts.media, "a.png")) == segments
    assert [PICTURE] == accounts.fetched
    assert "fetched once from webwechat.me" in note


async def test_only_a_reference_that_its_own_wire_cannot_forward_is_downloaded() -> None:
    accounts = FakeAccounts("video", kind="video")
    film = Forward("video", {"id": "2"}, account=HERE.account)

    segments, _ = await accounts.sent(PICTURE, film, to=(HERE,))

    assert (PICTURE, Video(accounts.media, "fetched")) == segments


@pytest.mark.parametrize(
    ("kind", "found", "becomes"),
    [
        ("image", "image", Image),
        ("image", "file", File),
        ("voice", "voice", Voice),
        ("voice", "file", File),
        ("video", "image", File),
        ("file", "image", File),
    ],
)
async def test_downloaded_media_keep_their_kind_if_the_bytes_are_of_it(
    kind: Kind, found: Kind, becomes: type[Segment]
) -> None:
    (segment,), _ = await FakeAccounts(kind=found).sent(Forward(kind, {}, account=HERE.account), to=(THERE,))

    assert becomes is type(segment)


async def test_a_sticker_stays_a_sticker_where_all_targets_take_stickers() -> None:
    sticker = Forward("sticker", {}, account=HERE.account)
    (everywhere,), _ = await FakeAccounts("sticker").sent(sticker, to=(HERE, THERE))
    (not_everywhere,), _ = await FakeAccounts("sticker").sent(sticker, to=(HERE, Target("ilink.me", "user", "Bob")))

    assert (Sticker, Image) == (type(everywhere), type(not_everywhere))


@pytest.mark.parametrize(
    "error",
    [Unavailable("later"), Throttled("slower"), LoginNeeded("log in again"), StorageError("the disk is full")],
    ids=lambda error: type(error).__name__,
)
async def test_a_passing_failure_of_a_download_is_raised_as_it_is(error: YizhanError) -> None:
    with pytest.raises(type(error)) as caught:
        await FakeAccounts(error=error).sent(PICTURE, to=(THERE,))

    assert error is caught.value


@pytest.mark.parametrize("error", [Rejected("it is gone"), MediaTooLarge("9 bytes are too many")])
async def test_a_permanent_failure_of_a_download_is_refused_with_its_reason(error: YizhanError) -> None:
    with pytest.raises(Unsupported, match=f"cannot be fetched either: {error} Leave it out"):
        await FakeAccounts(error=error).sent(PICTURE, to=(THERE,))
