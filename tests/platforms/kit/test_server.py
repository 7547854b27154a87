"""The base of the serving ends, with the envelope and the limits of both ends."""

from __future__ import annotations

import pytest

from tests.platforms.kit.robot import (
    BAD_TYPE,
    BAD_TYPE_HERE,
    ENVELOPE,
    FAULTS,
    SEND,
    TOO_LARGE,
    TOO_OFTEN,
    UPLOAD,
    Done,
    Send,
    Server,
    Upload,
    Uploaded,
    rules,
)
from yizhan.errors import WireMismatch
from yizhan.model import File, Forward, Image, Message, Text
from yizhan.platforms.adapter import Limit
from yizhan.platforms.kit.limits import limits_of
from yizhan.platforms.kit.shelf import Shelf
from yizhan.platforms.server import ServerOptions
from yizhan.testing.conformance.samples import PAPER, PICTURE
from yizhan.wire import (
    BodyTooLarge,
    Endpoint,
    Fault,
    HttpResponse,
    MalformedRequest,
    decode_response,
    encode_request,
    encode_response,
)
from yizhan.world import TurnableClock, World


@pytest.fixture
def server() -> Server:
    world = World(clock=TurnableClock())
    world.network("wechat").add_person("ann")
    return Server(world, rules(), ServerOptions())


async def ask(server: Server, endpoint: Endpoint, request: object) -> object:  # type: ignore[type-arg]
    return decode_response(endpoint, await server.router.answer(encode_request(endpoint, request)))


async def test_the_methods_named_in_calls_answer_and_their_records_are_in_the_world(server: Server) -> None:
    (group,) = server.people("group", 1)

    assert Done() == await ask(server, SEND, Send(group, "hello"))

    (post,) = server.world.posts
    assert ("robot", "send", group, "group", "hello") == (
        post.platform,
        post.call,
        post.target,
        post.target_kind,
        post.text,
    )


async def test_the_limit_of_the_rules_is_the_servers_window(server: Server) -> None:
    first, second = server.people("group", 2)
    for _ in range(2):
        await ask(server, SEND, Send(first, "hello"))
    with pytest.raises(Fault) as caught:
        await ask(server, SEND, Send(first, "hello"))
    assert TOO_OFTEN is caught.value.row

    await ask(server, SEND, Send(second, "hello"))
    server.world.clock.advance(60)
    await ask(server, SEND, Send(first, "hello"))
    server.rules = rules(limits=False)
    for _ in range(5):
        await ask(server, SEND, Send(first, "hello"))


async def test_an_upload_ends_with_its_time_and_with_a_reset(server: Server) -> None:
    (group,) = server.people("group", 1)
    http = encode_request(UPLOAD, Upload("k", b"bytes"))
    http.body = (await server.world.blobs.add(b"bytes"),)
    uploaded = decode_response(UPLOAD, await server.router.answer(http))
    assert isinstance(uploaded, Uploaded)

    await ask(server, SEND, Send(group, "x", media_id=uploaded.media_id))
    server.world.clock.advance(61)
    with pytest.raises(Fault, match="invalid media_id"):
        await ask(server, SEND, Send(group, "x", media_id=uploaded.media_id))

    server.reset()
    assert 0 == len(server.uploads)


async def test_people_are_heard_and_the_rest_has_answers_in_words(server: Server) -> None:
    assert server.world.find_post("robot", await server.say("ann", "bot", text="hi"))
    with pytest.raises(LookupError):
        await server.say("nobody", "bot", text="hi")
    with pytest.raises(LookupError):
        await server.say("ann", "no group", text="hi")
    with pytest.raises(LookupError, match="Robot has no QR login"):
        await server.login("u", "scan")
    with pytest.raises(LookupError, match="Robot has no webhooks"):
        await server.webhook("http://127.0.0.1:1")
    await server.close()


def test_limits_of_the_rules_apply_by_kind_and_to_every_send() -> None:
    send = Limit("send", "account", "send", 2, 60.0)
    image = Limit("image", "target", "image", 5, 600.0)

    assert [send] == limits_of(Message((Text("x"), File(PAPER))), rules())
    assert [send, image] == limits_of(Message((Image(PICTURE),)), rules())
    assert [send, image] == limits_of(Message((Forward("image", {}),)), rules())
    assert [] == limits_of(Message((Image(PICTURE),)), rules(limits=False))
    assert [] == limits_of(Message((Text("x"),)), rules(limit__send__count=0))


def test_an_envelope_is_a_value_that_reads_what_it_writes() -> None:
    assert ENVELOPE == type(ENVELOPE)(FAULTS, ENVELOPE.unreadable, "errcode", "errmsg", ENVELOPE.success, TOO_LARGE)
    assert b'{"errcode":0,"errmsg":"ok","media_id":"m"}' == encode_response(UPLOAD, Uploaded("m")).data
    assert Uploaded("m") == decode_response(UPLOAD, encode_response(UPLOAD, Uploaded("m")))
    with pytest.raises(Fault) as caught:
        decode_response(SEND, ENVELOPE.fail(SEND, Fault(TOO_OFTEN)))
    assert (TOO_OFTEN, "api freq out of limit") == (caught.value.row, caught.value.message)


@pytest.mark.parametrize("body", [b"{}", b'{"error":"upstream"}', b"[]", b"<html>", b'{"errcode":{}}'])
def test_an_answer_without_the_code_is_not_the_platforms(body: bytes) -> None:
    with pytest.raises(WireMismatch):
        decode_response(SEND, HttpResponse(200, [], body))


@pytest.mark.parametrize(
    ("words", "row"),
    [
        ("invalid message type", BAD_TYPE),
        ("invalid message type for groups, hint: 1", BAD_TYPE_HERE),
        ("other words", BAD_TYPE),
    ],
)
def test_rows_that_share_a_number_are_distinguished_by_their_words(words: str, row: object) -> None:
    assert row is FAULTS.worded(40008, words)


def test_a_malformed_request_is_answered_in_plain_words_and_a_large_one_by_its_own_row() -> None:
    assert "data format error: the body is not valid JSON" == str(
        ENVELOPE.malformed(SEND, MalformedRequest("the body is not valid JSON")).message
    )
    assert TOO_LARGE is ENVELOPE.malformed(SEND, BodyTooLarge("x")).row


def test_a_shelf_forgets_by_time_and_keeps_the_newest() -> None:
    clock = TurnableClock()
    shelf: Shelf[str] = Shelf(clock, most=2)
    shelf.put("a", "1")
    shelf.put("b", "2", seconds=10)
    assert ("1", "2") == (shelf.get("a"), shelf.get("b"))

    shelf.put("c", "3")
    clock.advance(11)

    assert (None, None, "3") == (shelf.get("a"), shelf.get("b"), shelf.get("c"))
