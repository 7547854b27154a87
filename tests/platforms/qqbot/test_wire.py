"""The QQ bot's wire: signatures against the vendor's vectors, the envelope, frames."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from yizhan.errors import (
    Duplicate,
    HandleExpired,
    LoginNeeded,
    OutcomeUnknown,
    Rejected,
    TargetGone,
    Throttled,
    Unavailable,
    WindowClosed,
    WireMismatch,
)
from yizhan.platforms.qqbot.wire import FAULTS, GET_TOKEN, SEND_TO_USER, TOKEN_ENVELOPE
from yizhan.platforms.qqbot.wire.events import clock_seconds, clock_text
from yizhan.platforms.qqbot.wire.gateway import Frame, close_code, decode_frame, encode_frame
from yizhan.platforms.qqbot.wire.webhook import (
    acknowledged,
    answer,
    key_of,
    sign,
    signed_headers,
    validation,
    validation_answered,
    verify,
)
from yizhan.wire import Fault, HttpResponse, decode_response

SECRET = "DG5g3B4j9X2KOErG"
LONG_SECRET = "naOC0ocQE3shWLAfffVLB1rhYPG7"
PRETTY = '{\n  "op": 0,\n  "d": {},\n  "t": "GATEWAY_EVENT_NAME"\n}'
C2C = '{"op":0,"id":"C2C_MESSAGE_CREATE:abc","d":{"id":"ROBOT1.0_x","content":"hi"},"t":"C2C_MESSAGE_CREATE","s":1}'
AT = (
    '{"op":0,"id":"GROUP_AT_MESSAGE_CREATE:def","d":{"id":"ROBOT1.0_y","content":" 你好"},'
    '"t":"GROUP_AT_MESSAGE_CREATE","s":2}'
)

VECTORS = [
    # The first two are printed on the vendor's pages; the second holds for the pretty-printed body only.
    (
        SECRET,
        "1725442341",
        "Arq0D5A61EgUu4OxUvOp",
        "87befc99c42c651b3aac0278e71ada338433ae26fcb24307bdc5ad38c1adc2d0"
        "1bcfcadc0842edac85e85205028a1132afe09280305f13aa6909ffc2d652c706",
    ),
    (
        LONG_SECRET,
        "1725442341",
        PRETTY,
        "865ad13a61752ca65e26bde6676459cd36cf1be609375b37bd62af366e1dc25a"
        "8dc789ba7f14e017ada3d554c671a911bfdf075ba54835b23391d509579ed002",
    ),
    (
        SECRET,
        "1725442341",
        C2C,
        "ba9948cfcaef3342e569be5c6f0111b790935810a3d760eb80561588cb8f3fe3"
        "1a0937b10a9082f07a3fc65a8d4cf1d3feb2773aaad4bb4410055d79b581340c",
    ),
    (
        SECRET,
        "1725442342",
        AT,
        "1517d0bdcd217af8475b9bc0f86b5f5d86dd6c08c5ae7547dc15ab093bc1f221"
        "d8e3148bfb8ce888a4152433eec4485c693e2035b639fe6e73af7a6f78e3630c",
    ),
]


@pytest.mark.parametrize(("secret", "timestamp", "body", "signature"), VECTORS)
def test_signatures_equal_the_vendors_examples(secret: str, timestamp: str, body: str, signature: str) -> None:
    assert signature == sign(secret, timestamp, body.encode())
    headers = {"x-signature-ed25519": signature, "X-SIGNATURE-TIMESTAMP": timestamp}
    assert verify(secret, headers, body.encode())
    assert not verify(secret, headers, body.encode() + b" ")
    assert not verify("another", headers, body.encode())


@pytest.mark.parametrize(
    ("secret", "public"),
    [
        (LONG_SECRET, "d7c362fe78aef81ff23287b493628b5db02a3c4fe30b215e4d19609b5d76673a"),
        (SECRET, "8b28ded5630f9051c205dd04c6ec56ad0b08b8812b2fe30ee9aece0ab41926f3"),
    ],
)
def test_a_key_is_derived_from_the_repeated_secret(secret: str, public: str) -> None:
    assert public == key_of(secret).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


@pytest.mark.parametrize("signature", ["", "zz", "00", "ff" * 64, VECTORS[0][3][:-2], VECTORS[0][3] + "00"])
def test_a_malformed_signature_is_refused(signature: str) -> None:
    headers = {"X-Signature-Ed25519": signature, "X-Signature-Timestamp": "1725442341"}

    assert not verify(SECRET, headers, VECTORS[0][2].encode())


def pushed(body: bytes, timestamp: str = "1000", app_id: str = "1", secret: str = SECRET) -> Any:
    return answer("1", SECRET, signed_headers(app_id, secret, timestamp, body), body, now=1000.0)


def test_an_address_check_is_answered_with_the_vendors_signature() -> None:
    body = validation("Arq0D5A61EgUu4OxUvOp", "1725442341")

    answered = pushed(body)

    assert {"plain_token": "Arq0D5A61EgUu4OxUvOp", "signature": VECTORS[0][3]} == json.loads(answered.body)
    assert validation_answered(SECRET, "Arq0D5A61EgUu4OxUvOp", "1725442341", answered.body)
    assert not validation_answered(SECRET, "Arq0D5A61EgUu4OxUvOp", "1725442341", b"{}")


def test_an_address_check_without_a_signature_is_answered_and_signs_nothing_else() -> None:
    def check(plain_token: str, event_ts: str) -> int:
        return answer("102000001", SECRET, {}, validation(plain_token, event_ts), now=1725442341.0).status

    assert 200 == check("Arq0D5A61EgUu4OxUvOp", "1725442341")
    # With the signature of this one could push an event in the platform's name.
    assert 400 == check('{"op":0,"t":"C2C_MESSAGE_CREATE","d":{}}', "1725442341")
    assert 400 == check("token", "not a time")
    assert 401 == answer("102000001", SECRET, {}, b'{"op":0,"t":"C2C_MESSAGE_CREATE","d":{}}', now=1725442341.0).status


def test_a_signed_event_is_returned_and_acknowledged() -> None:
    answered = pushed(C2C.encode())

    assert (200, b'{"op":12,"d":0}', "C2C_MESSAGE_CREATE") == (answered.status, answered.body, answered.event.t)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"body": b"{"}, 400),
        ({"body": b'{"op":13,"d":{}}'}, 400),
        ({"body": b'{"op":13,"d":[1]}'}, 400),
        ({"body": b"[]"}, 400),
        ({"body": b'{"op":1,"d":7}'}, 200),
        ({"body": C2C.encode(), "timestamp": "600"}, 401),
        ({"body": C2C.encode(), "timestamp": "never"}, 401),
        ({"body": C2C.encode(), "secret": "another"}, 401),
        ({"body": C2C.encode(), "app_id": "2"}, 403),
    ],
)
def test_a_webhook_request_with_a_wrong_signature_time_or_body_is_refused(more: dict[str, Any], status: int) -> None:
    answered = pushed(**more)

    assert status == answered.status
    assert answered.event is None


@pytest.mark.parametrize(
    ("status", "body", "taken"),
    [
        (200, b'{"op":12,"d":0}', True),
        (200, b"", True),
        (204, b"", True),
        (200, b'{"code":0,"message":"success"}', True),
        (200, b"ok", True),
        (200, b'{"op": 12, "d": 1}', False),
        (500, b'{"op":12,"d":0}', False),
        (401, b"", False),
        (302, b"", False),
    ],
)
def test_any_2xx_is_an_acknowledgement(status: int, body: bytes, taken: bool) -> None:
    assert taken == acknowledged(status, body)


def unwrapped(status: int, body: Any, content_type: str = "application/json") -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode_response(SEND_TO_USER, HttpResponse(status, [("Content-Type", content_type)], data))


MEANINGS = [
    ({"code": 304080}, 400, HandleExpired),
    ({"code": 40054005, "err_code": 40054005}, 400, Duplicate),
    ({"code": 11242, "err_code": 40012002}, 401, LoginNeeded),
    ({"err_code": 40012002}, 401, LoginNeeded),
    ({"code": 11244}, 401, LoginNeeded),
    ({"code": 40034128}, 400, WindowClosed),
    ({"code": 40034005}, 400, WindowClosed),
    ({"code": 22009}, 429, Throttled),
    ({"code": 40034100}, 429, Throttled),
    ({"code": 40054004}, 400, TargetGone),
    ({"code": 304023, "data": {"message_audit": {"audit_id": "1"}}}, 202, OutcomeUnknown),
    ({"code": 50055001}, 500, Unavailable),
    # A code without documentation is a refusal under any status; an error under 200 is still an error.
    ({"code": 304041}, 500, Rejected),
    ({"code": 1000001}, 500, Rejected),
    ({"code": 999}, 502, Rejected),
    ({"code": 999}, 400, Rejected),
    ({"code": 999}, 503, Unavailable),
    ({"code": 999}, 429, Throttled),
    ({"code": 40034105}, 200, Rejected),
    ({"message": "?"}, 401, LoginNeeded),
]


@pytest.mark.parametrize(("body", "status", "meaning"), MEANINGS)
def test_a_refusal_becomes_the_error_class_of_its_code(body: Any, status: int, meaning: type[Exception]) -> None:
    with pytest.raises(Fault) as caught:
        unwrapped(status, body)

    assert issubclass(caught.value.row.means, meaning)


def test_err_code_is_read_before_code() -> None:
    with pytest.raises(Fault) as caught:
        unwrapped(400, {"code": 12345, "err_code": 40034002, "message": "x", "trace_id": "t"})

    assert (850019, "t") == (caught.value.row.code, caught.value.trace_id)


def test_the_html_page_of_the_proxy_is_read_as_its_refusal() -> None:
    with pytest.raises(Fault) as caught:
        unwrapped(413, b"<html>stgw</html>", "text/html")
    assert 413 == caught.value.row.code

    with pytest.raises(Fault) as caught:
        unwrapped(504, b"<html>gateway\n timeout</html>", "text/html")
    assert OutcomeUnknown is caught.value.row.means
    assert caught.value.message.startswith("<html>gateway timeout</html>; the answer is not the platform's")


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"<html>", b"{}", b'{"id":[1]}'])
def test_an_answer_of_another_shape_is_a_mismatch(body: bytes) -> None:
    with pytest.raises(WireMismatch):
        unwrapped(200, body)


@pytest.mark.parametrize("expires_in", ["7200", 7200, "756"])
def test_the_life_of_a_token_is_read_from_text_or_a_number(expires_in: Any) -> None:
    body = json.dumps({"access_token": "t", "expires_in": expires_in, "more": 1}).encode()

    assert expires_in == TOKEN_ENVELOPE.unwrap(GET_TOKEN, HttpResponse(200, (), body)).expires_in


def test_code_10004_means_another_thing_at_the_token_endpoint() -> None:
    robot = TOKEN_ENVELOPE.faults.find(10004)
    guild = FAULTS.find(10004)

    assert robot is not None
    assert guild is not None
    assert (LoginNeeded, TargetGone) == (robot.means, guild.means)


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (Frame(11), '{"op":11}'),
        (Frame(1, None), '{"op":1,"d":null}'),
        (Frame(9, False), '{"op":9,"d":false}'),
        (Frame(0, "", 3, "RESUMED"), '{"op":0,"d":"","s":3,"t":"RESUMED"}'),
    ],
)
def test_a_frame_is_written_as_the_platform_writes_it(frame: Frame, text: str) -> None:
    assert text == encode_frame(frame)
    assert frame == decode_frame(text)


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"op":"x"}', "{}", "[" * 100_000])
def test_a_broken_frame_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        decode_frame(text)


@pytest.mark.parametrize(
    ("code", "resume", "identify"),
    [
        (4001, False, False),
        (4004, False, True),
        (4006, False, True),
        (4008, True, True),
        (4009, True, True),
        (4013, False, False),
        (4900, False, True),
        (4913, False, True),
        (4914, False, False),
        (4915, False, False),
        (1000, True, True),
        (1006, True, True),
    ],
)
def test_a_close_code_tells_whether_to_resume_or_to_identify(code: int, resume: bool, identify: bool) -> None:
    row = close_code(code)

    assert (resume, identify) == (row.resume, row.identify)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-22T03:16:14+08:00", 1795288574),
        ("1795288574", 1795288574),
        (1795288574, 1795288574),
        ("x", 0),
        ("", 0),
    ],
)
def test_times_are_read_from_rfc_3339_text_and_from_unix_seconds(text: Any, seconds: int) -> None:
    assert seconds == clock_seconds(text)


def test_times_are_written_in_the_time_zone_of_china() -> None:
    assert "2026-11-22T03:16:14+08:00" == clock_text(1795288574)
