"""The table of answers: HTTP status × body × whether the call acts, the same for every platform."""

from __future__ import annotations

from typing import Any

import pytest

from yizhan.errors import (
    LoginNeeded,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Throttled,
    Unavailable,
    WireMismatch,
)
from yizhan.http.client import Caller
from yizhan.platforms.spec import platforms
from yizhan.wire import Endpoint, HttpResponse

BASE = "https://platform.example"
HTML = b"<html>oops</html>"
CUT = b'{"data":{"sta'


def sending_calls() -> dict[str, Endpoint[Any, Any]]:
    """Return one call that sends text, by platform."""
    from yizhan.platforms.ilink.wire import SEND_MESSAGE
    from yizhan.platforms.ohwxapi.wire import SEND_MSG
    from yizhan.platforms.qqbot.wire import SEND_TO_USER
    from yizhan.platforms.webwechat.wire import SEND_MSG as WEB_SEND
    from yizhan.platforms.wechatsdk.wire import SEND_TEXT
    from yizhan.platforms.wecom.wire import SEND

    return {
        "qqbot": SEND_TO_USER,
        "webwechat": WEB_SEND,
        "wechatsdk": SEND_TEXT,
        "ohwxapi": SEND_MSG,
        "ilink": SEND_MESSAGE,
        "wecom": SEND,
    }


def reading_calls() -> dict[str, Endpoint[Any, Any]]:
    """Return one call that may be repeated, by platform."""
    from yizhan.platforms.ilink.wire import GET_UPDATES
    from yizhan.platforms.ohwxapi.wire import GET_CONTACT
    from yizhan.platforms.qqbot.wire import GET_GATEWAY
    from yizhan.platforms.webwechat.wire import SYNC
    from yizhan.platforms.wechatsdk.wire import SELF_PROFILE
    from yizhan.platforms.wecom.wire import UPLOAD

    return {
        "qqbot": GET_GATEWAY,
        "webwechat": SYNC,
        "wechatsdk": SELF_PROFILE,
        "ohwxapi": GET_CONTACT,
        "ilink": GET_UPDATES,
        "wecom": UPLOAD,
    }


SENDING, READING = sending_calls(), reading_calls()
REFUSALS: dict[str, tuple[bytes, type[PlatformError]]] = {
    "qqbot": (b'{"code":304999,"message":"a code that no page names"}', Rejected),
    "webwechat": (b'{"BaseResponse":{"Ret":1100,"ErrMsg":""}}', LoginNeeded),
    "wechatsdk": (b'{"error_code":10000,"data":{"status":-9,"desc":"?"}}', Rejected),
    "ohwxapi": (b'{"CgiBaseResponse":{"Ret":-2,"ErrMsg":"to user not found"},"ResponseData":{}}', PlatformError),
    "wecom": (b'{"errcode":93000,"errmsg":"invalid webhook url, hint: [1]"}', LoginNeeded),
    "ilink": (b'{"ret":-14,"errmsg":"session timeout"}', LoginNeeded),
}
ANY_STATUS = [200, 201, 202, 204, 299, 303, 400, 404, 408, 413, 429, 499, 500, 502, 503, 504, 520]

# status, headers, body; the error of a call that acts; of one that does not.
WITHOUT_BODY: list[tuple[int, str, type[PlatformError], type[PlatformError]]] = [
    (101, "", OutcomeUnknown, Unavailable),
    (199, "", OutcomeUnknown, Unavailable),
    (200, "", WireMismatch, WireMismatch),
    (201, "", WireMismatch, WireMismatch),
    (202, "", WireMismatch, WireMismatch),
    (299, "", WireMismatch, WireMismatch),
    (301, "https://elsewhere.example/", Rejected, Rejected),
    (302, "https://elsewhere.example/", Rejected, Rejected),
    (302, "http://platform.example/", Rejected, Rejected),
    (301, f"{BASE}/done", OutcomeUnknown, Rejected),
    (302, "/done", OutcomeUnknown, Rejected),
    (302, "", OutcomeUnknown, Rejected),
    (303, "https://elsewhere.example/", OutcomeUnknown, Rejected),
    (303, "/done", OutcomeUnknown, Rejected),
    (304, "", OutcomeUnknown, Rejected),
    (307, "/elsewhere", Rejected, Rejected),
    (308, "https://elsewhere.example/", Rejected, Rejected),
    (400, "", Rejected, Rejected),
    (401, "", LoginNeeded, LoginNeeded),
    (403, "", Rejected, Rejected),
    (404, "", Rejected, Rejected),
    (405, "", Rejected, Rejected),
    (408, "", OutcomeUnknown, Unavailable),
    (409, "", OutcomeUnknown, Rejected),
    (413, "", Rejected, Rejected),
    (422, "", OutcomeUnknown, Rejected),
    (429, "", Throttled, Throttled),
    (499, "", OutcomeUnknown, Unavailable),
    (500, "", OutcomeUnknown, Unavailable),
    (502, "", OutcomeUnknown, Unavailable),
    (503, "", Unavailable, Unavailable),
    (504, "", OutcomeUnknown, Unavailable),
    (520, "", OutcomeUnknown, Unavailable),
    (599, "", OutcomeUnknown, Unavailable),
]


def error_of(call: Endpoint[Any, Any], answer: HttpResponse) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        Caller("a.me", BASE).read(call, answer)
    return caught.value


def test_every_platform_is_in_the_table() -> None:
    assert set(platforms()) == set(SENDING) == set(READING) == set(REFUSALS)
    assert all(call.acts for call in SENDING.values())
    assert not any(call.acts for call in READING.values())


@pytest.mark.parametrize("platform", SENDING)
@pytest.mark.parametrize("body", [HTML, b"", CUT, b"[]", b"null", b'{"error":"upstream"}'], ids=repr)
@pytest.mark.parametrize(("status", "location", "acting", "reading"), WITHOUT_BODY)
def test_an_answer_without_the_platforms_body_means_the_same_everywhere(
    platform: str, body: bytes, status: int, location: str, acting: type[PlatformError], reading: type[PlatformError]
) -> None:
    if status in range(200, 300) and platform == "ilink" and body in (b"", b'{"error":"upstream"}'):
        pytest.skip("an iLink success may be empty; its sender looks for the message id")
    answer = HttpResponse(status, [("Location", location), ("Content-Type", "application/json")], body)

    assert acting is type(error_of(SENDING[platform], answer))
    if not (status in range(200, 300) and body in (b"", b'{"error":"upstream"}')):
        assert reading is type(error_of(READING[platform], answer))


@pytest.mark.parametrize("platform", SENDING)
@pytest.mark.parametrize("status", ANY_STATUS)
def test_a_refusal_in_the_platforms_words_is_a_refusal_under_any_status(platform: str, status: int) -> None:
    body, means = REFUSALS[platform]

    error = error_of(SENDING[platform], HttpResponse(status, [("Content-Type", "text/html")], body))

    if platform == "qqbot" and status in (429, 503):
        means = {429: Throttled, 503: Unavailable}[status]
    assert isinstance(error, means)
    assert not isinstance(error, (OutcomeUnknown, WireMismatch))


@pytest.mark.parametrize("body", [b'{"code":502,"message":"Bad Gateway"}', b'{"code":"INTERNAL","message":"x"}'])
def test_a_gateways_json_is_not_the_platforms_refusal(body: bytes) -> None:
    assert OutcomeUnknown is type(error_of(SENDING["qqbot"], HttpResponse(502, [], body)))


def test_an_undocumented_refusal_of_a_lookup_under_500_is_tried_again() -> None:
    answer = HttpResponse(500, [], b'{"code":987654,"message":"busy"}')

    assert Unavailable is type(error_of(READING["qqbot"], answer))
    assert Rejected is type(error_of(SENDING["qqbot"], answer))


@pytest.mark.parametrize("platform", SENDING)
def test_deeply_nested_json_is_a_mismatch(platform: str) -> None:
    deep = b'{"data":' + b"[" * 200_000 + b"]" * 200_000 + b"}"

    assert WireMismatch is type(error_of(SENDING[platform], HttpResponse(200, [], deep)))
    assert OutcomeUnknown is type(error_of(SENDING[platform], HttpResponse(502, [], deep)))


def test_a_redirect_names_the_other_host_and_no_secret() -> None:
    answer = HttpResponse(307, [("Location", "https://user:pw@elsewhere.example:8443/x?ticket=secret")], b"")

    error = error_of(SENDING["qqbot"], answer)

    assert "https://elsewhere.example:8443" in str(error)
    assert "base_url" in str(error)
    assert "secret" not in str(error)
    assert "pw" not in str(error)
