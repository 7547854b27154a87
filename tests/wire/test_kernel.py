"""The wire kernel: each end reads the other's writing; over a real socket too."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import pytest
from aiohttp import web
from msgspec import Struct

from yizhan.errors import LoginNeeded, OutcomeUnknown, Throttled, Unavailable
from yizhan.http.client import Caller
from yizhan.http.router import Call, Cut, Exchange, Router
from yizhan.model import BytesContent
from yizhan.wire import (
    JSON,
    MULTIPART,
    Base64,
    Endpoint,
    Fault,
    FaultCode,
    FaultTable,
    FormPart,
    Header,
    HttpRequest,
    HttpResponse,
    MalformedRequest,
    Path,
    Query,
    RawAnswer,
    Whole,
    as_struct,
    declare_secrets,
    decode_javascript,
    decode_request,
    decode_xml,
    encode_request,
    encode_xml,
    json_object,
    mask_text,
    mask_value,
)

BUSY = FaultCode(7, "busy", http=429, means=Throttled, retry_after=3)
LOGIN = FaultCode(8, "log in", http=401, means=LoginNeeded)
BAD = FaultCode(9, "bad request", http=400)


class Plain:
    faults = FaultTable([BUSY, LOGIN, BAD])

    def wrap(self, endpoint: Any, answer: Any) -> HttpResponse:
        return HttpResponse(200, [("Content-Type", "application/json")], JSON.encode(answer)[0][0])

    def fail(self, endpoint: Any, fault: Fault) -> HttpResponse:
        body = JSON.encode({"code": fault.row.code, "message": fault.message})[0][0]
        return HttpResponse(fault.http, [("Content-Type", "application/json")], body)

    def unwrap(self, endpoint: Any, http: HttpResponse) -> Any:
        body = json_object(endpoint, http)
        if http.status != 200:
            raise Fault(self.faults.row(body.get("code"), http=http.status), body.get("message", ""), http=http.status)
        return as_struct(endpoint, http, body)

    def malformed(self, endpoint: Any, error: MalformedRequest) -> Fault:
        return Fault(BAD, str(error))


PLAIN = Plain()


class Send(Struct, omit_defaults=True):
    to: Annotated[str, Path()]
    text: str
    lang: Annotated[str | None, Query()] = None
    auth: Annotated[str | None, Header("Authorization")] = None
    seq: int = 0
    data: Any = None


class Sent(Struct):
    id: str
    seq: int = 0


class Upload(Struct, omit_defaults=True):
    kind: str
    request: dict[str, Any]
    filename: Any


class Put(Struct):
    name: Annotated[str, Path()]
    body: Annotated[Any, Whole()]


SEND = Endpoint("send", "POST", "/to/{to}/messages", Send, Sent, PLAIN, "the page", acts=True, target="to")
UPLOAD = Endpoint("upload", "POST", "/upload", Upload, Sent, PLAIN, "the page", codec=MULTIPART)
PUT = Endpoint("put", "PUT", "/put/{name}", Put, RawAnswer, PLAIN, "the page")


def test_a_request_reads_back_what_it_wrote() -> None:
    request = Send("a/b 张%", "你好", lang="zh", auth="QQBot x", seq=3)
    http = encode_request(SEND, request)

    assert "/to/a%2Fb%20%E5%BC%A0%25/messages" == http.path
    http.params = {"to": "a/b 张%"}
    assert request == decode_request(SEND, http)


def test_fields_with_their_default_are_left_out() -> None:
    (body,) = encode_request(SEND, Send("x", "hi")).body

    assert b'{"text":"hi"}' == body


def test_null_means_absent_and_numbers_may_be_text() -> None:
    http = HttpRequest("POST", "", params={"to": "x"}, body=(b'{"text":"hi","seq":"4","data":null,"other":1}',))

    assert Send("x", "hi", seq=4) == decode_request(SEND, http)


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe", b'{"text":5}', b"{}", b"[" * 5000])
def test_a_bad_body_is_malformed_and_nothing_else(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        decode_request(SEND, HttpRequest("POST", "", params={"to": "x"}, body=(body,)))


def test_a_placeholder_without_a_field_fails_at_import() -> None:
    with pytest.raises(TypeError, match="the path has"):
        Endpoint("x", "GET", "/a/{nothing}", Send, Sent, PLAIN, "the page")


def test_media_in_json_is_referred_to_not_copied() -> None:
    content = BytesContent(b"x" * 10)
    pieces = encode_request(SEND, Send("x", "hi", data=Base64(content))).body

    assert [b'{"text":"hi","data":"', Base64(content), b'"}'] == list(pieces)


def test_javascript_and_xml_answers() -> None:
    assert {"QRLogin.code": "200", "QRLogin.uuid": "abc=="} == decode_javascript(
        b'window.QRLogin.code = 200; window.QRLogin.uuid = "abc==";'
    )
    assert {"code": "201", "userAvatar": "data:img/jpg;base64,xx"} == decode_javascript(
        b"window.code=201;window.userAvatar = 'data:img/jpg;base64,xx';"
    )
    assert {"retcode": "0", "selector": "2"} == decode_javascript(b'window.synccheck={retcode:"0",selector:"2"}')
    assert {"ret": "0", "msg": "a<b"} == decode_xml(encode_xml("error", {"ret": "0", "msg": "a<b"}))
    with pytest.raises(ValueError, match="readable"):
        decode_xml(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')


@pytest.fixture
def declared() -> None:
    declare_secrets("skey", "sid")


@pytest.mark.usefixtures("declared")
def test_secrets_are_masked() -> None:
    text = mask_text('{"access_token":"abcdef123","x":1} Authorization: QQBot zzzzzzzz skey=@crypt_1&a=b')

    assert "abcdef123" not in text
    assert "zzzzzzzz" not in text
    assert "@crypt_1" not in text
    assert "a=b" in text


@pytest.mark.usefixtures("declared")
def test_secrets_in_xml_are_masked() -> None:
    assert "<error><ret>0</ret><skey>***</skey></error>" == mask_text("<error><ret>0</ret><skey>@c_1</skey></error>")


@pytest.mark.usefixtures("declared")
def test_secrets_in_addresses_within_json_are_masked() -> None:
    value = {"url": "/head?seq=1&skey=@crypt_1&x=2", "xml": ["<a><sid>s</sid></a>"], "text": "sid=1", "sid": "s"}

    assert {"url": "/head?seq=1&skey=***&x=2", "xml": ["<a><sid>***</sid></a>"], "text": "sid=1", "sid": "***"} == (
        mask_value(value)
    )


def test_a_strict_endpoint_refuses_fields_that_its_struct_lacks() -> None:
    strict = replace(SEND, strict=True)

    with pytest.raises(MalformedRequest, match=r"no field 'txet'\. Did you mean text"):
        decode_request(strict, HttpRequest("POST", "", params={"to": "x"}, body=(b'{"text":"hi","txet":"ho"}',)))
    with pytest.raises(MalformedRequest, match=r"no query parameter 'Lang'\. Did you mean lang"):
        decode_request(strict, HttpRequest("POST", "", [("Lang", "zh")], params={"to": "x"}, body=(b'{"text":"hi"}',)))


class Kept:
    """Where the router puts streamed files."""

    def __init__(self) -> None:
        self.files: list[bytes] = []

    async def keep(self, chunks: Any, /) -> BytesContent:
        data = b"".join([chunk async for chunk in chunks])
        self.files.append(data)
        return BytesContent(data)


class Watch:
    def __init__(self) -> None:
        self.seen: list[Exchange] = []
        self.cut_after = False

    async def before(self, exchange: Exchange) -> HttpResponse | None:
        return None

    async def after(self, exchange: Exchange) -> None:
        if self.cut_after:
            raise Cut

    def done(self, exchange: Exchange) -> None:
        self.seen.append(exchange)


@pytest.fixture
async def served() -> Any:
    kept, watch = Kept(), Watch()
    router = Router("test", PLAIN, kept)
    router.observer = watch

    @router.on(SEND)
    async def send(call: Call[Send]) -> Sent:
        if call.request.to == "busy":
            raise Fault(BUSY)
        if call.request.to == "bug":
            raise RuntimeError("oh")
        return Sent(call.request.text, call.request.seq)

    @router.on(UPLOAD)
    async def upload(call: Call[Upload]) -> Sent:
        assert {"Uin": 1} == call.request.request
        return Sent(call.request.filename.filename, call.request.filename.value.size)

    @router.on(PUT)
    async def put(call: Call[Put]) -> HttpResponse:
        return HttpResponse(200, [("ETag", f'"{call.request.body.size}"')])

    app = web.Application()
    router.mount(app)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    caller = Caller("test.me", f"http://127.0.0.1:{port}")
    yield caller, watch, kept
    await caller.close()
    await runner.cleanup()


async def test_a_call_over_a_socket(served: Any) -> None:
    caller, watch, _ = served

    assert Sent("hi", 5) == await caller.call(SEND, Send("a/b", "hi", seq=5))
    assert "a/b" == watch.seen[0].target


async def test_a_fault_arrives_as_its_meaning(served: Any) -> None:
    caller, _, _ = served

    with pytest.raises(Throttled) as caught:
        await caller.call(SEND, Send("busy", "hi"))
    assert 3 == caught.value.retry_after
    assert "busy" in str(caught.value)


async def test_files_stream_through_multipart_with_their_names(served: Any) -> None:
    caller, _, kept = served
    sent = []
    data = bytes(range(256)) * 9000
    part = FormPart("filename", BytesContent(data), '报告 "1".pdf', "application/pdf")

    answer = await caller.call(UPLOAD, Upload("doc", {"Uin": 1}, part), progress=sent.append)

    assert len(data) == answer.seq == sum(sent)
    assert "报告 %221%22.pdf" == answer.id
    assert [data] == kept.files


async def test_a_whole_body_is_streamed(served: Any) -> None:
    caller, _, kept = served

    answer = await caller.exchange(PUT, Put("x", BytesContent(b"z" * 3_000_000)))

    assert '"3000000"' == answer.header("etag")
    assert 3_000_000 == len(kept.files[0])


async def test_a_line_cut_after_acting_leaves_the_outcome_unknown(served: Any) -> None:
    caller, watch, _ = served
    watch.cut_after = True

    with pytest.raises(OutcomeUnknown):
        await caller.call(SEND, Send("x", "hi"))
    with pytest.raises(Unavailable):
        await caller.exchange(PUT, Put("x", BytesContent(b"z")))


async def test_a_bug_in_a_handler_is_not_an_answer_of_the_platform(served: Any) -> None:
    caller, _, _ = served

    with pytest.raises(OutcomeUnknown):
        await caller.call(SEND, Send("bug", "hi"))
    assert Sent("ok", 0) == await caller.call(SEND, Send("x", "ok"))


async def test_a_refused_connection_means_that_nothing_was_sent() -> None:
    caller = Caller("test.me", "http://127.0.0.1:9")

    with pytest.raises(Unavailable, match="Nothing was sent"):
        await caller.call(SEND, Send("x", "hi"))
    await caller.close()
