"""The client's connection, uploads, contacts and checks, in detail."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tests.platforms.webwechat.support import CountedClock, account, png, target
from yizhan.errors import TargetGone, UnknownTarget
from yizhan.http.router import Cut
from yizhan.model import File, Image, Quote, Sticker, Video, message_of
from yizhan.platforms.webwechat import PLATFORM, Settings, wire
from yizhan.platforms.webwechat.client.calls import WebWx
from yizhan.platforms.webwechat.client.session import Session, cookies_of, dump_session, load_session
from yizhan.platforms.webwechat.client.uploads import _page_date
from yizhan.platforms.webwechat.convert import Draft, compose
from yizhan.platforms.webwechat.convert.address_book import AddressBook
from yizhan.platforms.webwechat.wire.base import LOGGED_OUT, SYSTEM_ERROR
from yizhan.platforms.webwechat.wire.contacts import Contact
from yizhan.wire import Fault, HttpResponse

WX2 = Session(
    api="https://wx2.qq.com",
    cookies={"a": "1", "b": "2"},
    skey="@k",
    sid="s",
    uin="77",
    pass_ticket="t",
    device_id="e1",
)


def webwx(**settings: Any) -> WebWx:
    return WebWx("webwechat.me", Settings(**settings), CountedClock())


# --- connection


def test_the_hosts_are_those_of_the_session_and_without_one_those_of_the_settings() -> None:
    connection = webwx(base_url="http://127.0.0.1:9/")
    connection.use(WX2)
    of_session = dict(connection.caller.bases)
    connection.use(None)

    assert ("https://wx2.qq.com", "https://file.wx2.qq.com") == (of_session["api"], of_session["file"])
    assert {"http://127.0.0.1:9"} == set(connection.caller.bases.values())


@pytest.mark.parametrize(("uin", "sent"), [("77", 77), ("u77", "u77")])
def test_a_numeric_uin_is_sent_as_a_number(uin: str, sent: int | str) -> None:
    connection = webwx()
    connection.use(load_session(dump_session(WX2)))
    connection.ready.uin = uin
    connection.identify(connection.ready)

    assert wire.Credentials(sent, "s", "@k", "e1") == connection.credentials


def test_a_request_is_signed_only_where_it_is_empty() -> None:
    connection = webwx(lang="en_US")
    connection.use(WX2)
    empty = connection.signed(wire.GetContact(seq=3))
    filled = connection.signed(wire.GetContact(skey="own", pass_ticket="own", lang="own"))

    assert ("@k", "t", "en_US", 3) == (empty.skey, empty.pass_ticket, empty.lang, empty.seq)
    assert ("own", "own", "own") == (filled.skey, filled.pass_ticket, filled.lang)


def test_ids_of_one_millisecond_count_up_by_one() -> None:
    connection = webwx()
    first, second = connection.unique_milliseconds(), connection.unique_milliseconds()
    connection.clock.at += 5  # type: ignore[attr-defined]

    assert (1_000_000_000, 1_000_000_001) == (first, second)
    assert 1_000_005_000 == connection.unique_milliseconds()


@pytest.mark.parametrize(
    ("cookies", "skey", "unsaved"),
    [({}, "", False), ({"a": "1"}, "@k", False), ({"a": "9"}, "", True), ({"c": "3"}, "", True), ({}, "@new", True)],
)
def test_a_session_is_unsaved_once_something_was_renewed(cookies: dict[str, str], skey: str, unsaved: bool) -> None:
    connection = webwx()
    connection.use(load_session(dump_session(WX2)))
    connection.renew(cookies, skey)

    assert unsaved == connection.unsaved
    assert {**WX2.cookies, **cookies} == connection.ready.cookies
    assert (skey or "@k") == connection.ready.skey


def test_the_session_digest_has_32_digits_and_depends_on_each_of_its_parts() -> None:
    variants = [WX2]
    for name in ("api", "sid", "uin", "home"):
        other = load_session(dump_session(WX2))
        assert other is not None
        setattr(other, name, "other")
        variants.append(other)

    assert {32} == {len(session.identity) for session in variants}
    assert 5 == len({session.identity for session in variants})
    assert 2 == len({session.scope for session in variants}), "the scope depends on the login alone"
    assert len("login:") + 16 == len(WX2.scope)


def test_deleted_and_empty_cookies_are_left_out() -> None:
    headers = [("Set-Cookie", "a=1; Path=/"), ("set-cookie", " b = 2 "), ("Set-Cookie", "c=; Max-Age=0"), ("X", "d=4")]

    assert {"a": "1", "b": "2"} == cookies_of(HttpResponse(200, headers))


# --- uploads


def test_the_date_of_an_upload_is_that_of_china() -> None:
    assert "Thu Jan 01 1970 08:00:00 GMT+0800 (CST)" == _page_date(0)
    assert "Sun Mar 01 2026 00:30:00 GMT+0800 (CST)" == _page_date(1_772_296_200)


async def test_uploads_are_numbered_and_have_ids_of_their_own() -> None:
    async with account() as me:
        await me.send(Image(me.media(png(), "image", "png")))
        await me.send(File(me.media(bytes(600_000), "file", "bin"), "a.bin"))
        forms = [e.http.parts for e in me.served.exchanges if e.endpoint == "webwxuploadmedia"]
        fields = [{part.name: part.value for part in form} for form in forms]
        ids = [json.loads(str(field["uploadmediarequest"]))["ClientMediaId"] for field in fields]

        assert ["WU_FILE_0", "WU_FILE_1", "WU_FILE_1"] == [field["id"] for field in fields]
        assert [("2", "0"), ("2", "1")] == [(field["chunks"], field["chunk"]) for field in fields[1:]]
        assert "chunk" not in fields[0]
        assert ids[0] < ids[1] == ids[2]


async def test_a_chunk_is_tried_three_times() -> None:
    async with account() as me:
        me.adapter.webwx.clock = CountedClock()

        async def before(exchange: Any) -> None:
            if exchange.endpoint == "webwxuploadmedia":
                raise Cut

        me.served.before = before  # type: ignore[method-assign]
        with pytest.raises(Exception, match="webwxuploadmedia"):
            await me.send(File(me.media(b"x", "file", "txt"), "a.txt"))

        assert 3 == me.served.calls("webwxuploadmedia")
        assert 2 == me.adapter.webwx.clock.slept


# --- contacts


def test_an_ambiguous_name_lists_at_most_five_contacts() -> None:
    book = AddressBook()
    book.add(Contact(UserName=f"@{n}", NickName="Al") for n in range(9))
    with pytest.raises(UnknownTarget, match="9 contacts are called 'Al'") as refused:
        book.find("user", "Al")

    assert 5 == str(refused.value).count("(Al)")


def test_ambiguous_rooms_are_called_rooms() -> None:
    book = AddressBook()
    book.add(Contact(UserName=f"@@{n}", NickName="team") for n in range(2))

    with pytest.raises(UnknownTarget, match="2 rooms are called 'team'"):
        book.find("group", "team")
    assert "there is no room called 'tea'. Did you mean team?" in str(book.not_found("webwechat.me", "group", "tea"))


async def test_unknown_names_reread_the_address_book_three_times_and_then_after_half_a_minute() -> None:
    async with account() as me:
        for seconds, reads in ((0, 1), (0, 2), (0, 3), (0, 3), (29, 3), (2, 4), (0, 4)):
            me.served.world.clock.advance(seconds)
            with pytest.raises(TargetGone):
                await me.send("hi", to="Nobody at all")
            assert reads == me.served.calls("webwxgetcontact")


# --- parts


@pytest.mark.parametrize(
    ("segments", "summaries"),
    [
        (("hello",), ["text 5 chars"]),
        ((Quote("7", "x", "Al"), "yes"), ["quote, text 3 chars"]),
        ((Sticker(md5="ab" * 16),), ["sticker by md5"]),
    ],
)
def test_parts_have_short_summaries(segments: Any, summaries: list[str]) -> None:
    rules = PLATFORM.rules().overridden({"card.fresh": True})
    parts = compose(message_of(*segments), target("Alice"), rules, "login:1")

    assert summaries == [part.summary for part in parts]


async def test_parts_of_media_tell_their_size() -> None:
    async with account() as me:
        media = [me.media(bytes(size), "video", "mp4") for size in (1500, 99_999, 100_000, 2_500_000)]
        parts = me.adapter.compose(message_of(*map(Video, media)), target("Alice"))

        assert ["video 1.5 kB", "video 100.0 kB", "video 0.1 MB", "video 2.5 MB"] == [part.summary for part in parts]


def test_a_draft_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Draft("webwxsendmsg", 1).content = "x"  # type: ignore[misc]


# --- checks


async def test_a_check_of_an_ended_login_names_the_reason_and_the_remedy() -> None:
    async with account() as me:
        me.server.end_session(next(iter(me.server.sessions.values())), LOGGED_OUT)
        (finding,) = await me.adapter.check()

        assert ("login", False, "yizhan login webwechat.main") == (finding.what, finding.ok, finding.remedy)
        assert "the session does not exist: logged out (code 1100, HTTP 200)" == finding.detail


async def test_a_check_of_a_service_in_trouble_looks_elsewhere_than_at_the_login() -> None:
    async with account() as me:

        async def before(exchange: Any) -> None:
            raise Fault(SYSTEM_ERROR)

        me.served.before = before  # type: ignore[method-assign]
        (finding,) = await me.adapter.check()

        assert ("service", False) == (finding.what, finding.ok)
        assert "base_url" in finding.remedy
        assert "system error" in finding.detail
