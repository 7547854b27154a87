"""Malformed requests are answered in QQ's own words, without a crash and without a 500 of ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.platforms.qqbot.support import CHANNEL, GROUP, PNG, USER, Plain, plain_of

SEND = f"/v2/users/{USER}/messages"
FILES = f"/v2/groups/{GROUP}/files"
PREPARE = f"/v2/users/{USER}/upload_prepare"
FINISH = f"/v2/users/{USER}/upload_part_finish"


@pytest.fixture
async def plain() -> AsyncIterator[Plain]:
    async with plain_of() as plain:
        yield plain


def in_the_platforms_shape(answer: tuple[int, Any, Any]) -> bool:
    status, body, headers = answer
    keys = {"code", "err_code", "message", "trace_id"}
    return (
        400 <= status < 500
        and isinstance(body, dict)
        and keys <= body.keys()
        and headers["X-Tps-trace-ID"] == body["trace_id"]
        and "application/json" == headers["Content-Type"]
    )


BROKEN = [b"", b"{", b"[]", b'"x"', b"null", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"\x00" * 100, b"{}x"]


@pytest.mark.parametrize("path", [SEND, FILES, PREPARE, FINISH, "/users/@me/dms", f"/channels/{CHANNEL}/messages"])
@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
async def test_a_broken_body_is_a_bad_form_body(plain: Plain, path: str, body: bytes) -> None:
    assert in_the_platforms_shape(await plain("POST", path, body))
    assert [] == plain.served.world.posts


WRONG = [
    (SEND, {"msg_type": "text", "content": "x"}),
    (SEND, {"msg_type": 99, "content": "x"}),
    (SEND, {"msg_type": -1, "content": "x"}),
    (SEND, {"msg_type": 10**30, "content": "x"}),
    (SEND, {"msg_type": 1.5, "content": "x"}),
    (SEND, {"content": {"a": 1}}),
    (SEND, {"content": ["x"]}),
    (SEND, {"content": 5}),
    (SEND, {"content": ""}),
    (SEND, {"content": None}),
    (SEND, {"content": "x", "msg_seq": -1}),
    (SEND, {"content": "x", "msg_seq": "one"}),
    (SEND, {"content": "x", "msg_id": "nope"}),
    (SEND, {"content": "x", "msg_id": {"$ne": None}}),
    (SEND, {"content": "x", "event_id": "nope"}),
    (SEND, {"content": "x", "keyboard": {"content": {"rows": "many"}}}),
    (SEND, {"content": "x", "keyboard": {"content": {"rows": [1, 2]}}}),
    (SEND, {"content": "x", "keyboard": {"content": {"rows": [{"buttons": [{}] * 6}]}}}),
    (SEND, {"content": "x", "keyboard": {"content": {"rows": [{"buttons": []}] * 6}}}),
    (SEND, {"content": "x", "keyboard": []}),
    (SEND, {"content": "x", "message_reference": {}}),
    (SEND, {"content": "x", "is_wakeup": True, "msg_id": "nope"}),
    (SEND, {"content": "x" * 20_000}),
    (SEND, {"msg_type": 2, "markdown": {}}),
    (SEND, {"msg_type": 2, "markdown": {"content": 5}}),
    (SEND, {"msg_type": 2, "markdown": {"content": "a", "custom_template_id": "b"}}),
    (SEND, {"msg_type": 2, "markdown": {"content": "a"}, "content": "b"}),
    (SEND, {"msg_type": 2, "markdown": "a"}),
    (SEND, {"msg_type": 3, "ark": {"template_id": 1}}),
    (SEND, {"msg_type": 3}),
    (SEND, {"msg_type": 4, "embed": {}}),
    (SEND, {"msg_type": 6}),
    (SEND, {"msg_type": 6, "input_notify": {"input_type": 2, "input_second": 5}}),
    (SEND, {"msg_type": 6, "input_notify": {"input_type": 1, "input_second": None}}),
    (SEND, {"msg_type": 6, "input_notify": {"input_type": 1, "input_second": 61}}),
    (SEND, {"msg_type": 7}),
    (SEND, {"msg_type": 7, "media": {}}),
    (SEND, {"msg_type": 7, "media": {"file_info": ""}}),
    (SEND, {"msg_type": 7, "media": {"file_info": "x" * 5000}}),
    (SEND, {"msg_type": 7, "media": "x"}),
    (f"/v2/groups/{GROUP}/messages", {"msg_type": 6, "input_notify": {"input_type": 1, "input_second": 5}}),
    (f"/v2/groups/{GROUP}/messages", {"content": "x", "is_wakeup": True}),
    ("/v2/users/nobody/messages", {"content": "x"}),
    ("/v2/groups/nobody/messages", {"content": "x"}),
    (f"/v2/groups/{CHANNEL}/messages", {"content": "x"}),
    ("/v2/users/..%2F..%2Fetc/messages", {"content": "x"}),
    ("/v2/users/%00/messages", {"content": "x"}),
    (FILES, {}),
    (FILES, {"file_type": 1}),
    (FILES, {"file_type": 0, "url": "http://127.0.0.1/"}),
    (FILES, {"file_type": 5, "file_data": "aGk="}),
    (FILES, {"file_type": 1, "url": "", "file_data": ""}),
    (FILES, {"file_type": 1, "file_data": "not base64!"}),
    (FILES, {"file_type": 1, "file_data": "data:image/png;base64,aGk="}),
    (FILES, {"file_type": 1, "file_data": 5}),
    (FILES, {"file_type": 1, "file_data": ["aGk="]}),
    (FILES, {"file_type": 1, "file_data": "aGk="}),
    (FILES, {"file_type": 1, "url": "/etc/passwd"}),
    (FILES, {"file_type": 1, "url": "file:///etc/passwd"}),
    (FILES, {"file_type": 1, "url": "http://10.0.0.1/a.png"}),
    (FILES, {"file_type": 1, "url": "http://example.com/a.png"}),
    (FILES, {"file_type": 1, "url": "http://127.0.0.1:1/a.png"}),
    (FILES, {"file_type": 1, "url": "http://[::ffff:10.0.0.1]/a.png"}),
    (FILES, {"file_type": 1, "url": "http://"}),
    (FILES, {"file_type": 1, "url": "http://127.0.0.1:99999/"}),
    (FILES, {"file_type": 1, "url": "http://127.0.0.1\r\nHost: x/"}),
    (FILES, {"file_type": 1, "url": 5}),
    (FILES, {"upload_id": "nope"}),
    (PREPARE, {"file_type": 1, "file_size": "many", "file_name": "a"}),
    (PREPARE, {"file_type": 1, "file_size": -5, "file_name": "a"}),
    (PREPARE, {"file_type": 1, "file_size": 0, "file_name": "a"}),
    (PREPARE, {"file_type": 1, "file_size": "9" * 400, "file_name": "a"}),
    (PREPARE, {"file_type": 1, "file_size": 10**14, "file_name": "a"}),
    (PREPARE, {"file_type": 9, "file_size": 5, "file_name": "a"}),
    (PREPARE, {"file_size": 5, "file_name": "a"}),
    (FINISH, {"upload_id": "nope", "part_index": 1, "block_size": 5, "md5": "x"}),
    (FINISH, {"upload_id": "nope", "part_index": "one", "block_size": 5, "md5": "x"}),
    (f"/v2/users/{USER}/stream_messages", {"input_mode": "x", "input_state": 1, "index": 0, "content_raw": "a"}),
    (f"/v2/users/{USER}/stream_messages", {"input_mode": "append"}),
    (
        f"/v2/users/{USER}/stream_messages",
        {"input_mode": "append", "input_state": 1, "index": 0, "content_raw": "a", "stream_msg_id": "nope"},
    ),
    ("/users/@me/dms", {"recipient_id": "nobody", "source_guild_id": "1"}),
    ("/dms/nowhere/messages", {"content": "x"}),
    ("/channels/nowhere/messages", {"content": "x"}),
    (f"/channels/{GROUP}/messages", {"content": "x"}),
    (f"/channels/{CHANNEL}/messages", {}),
    (f"/channels/{CHANNEL}/messages", {"file_image": "x"}),
    (f"/channels/{CHANNEL}/messages", {"image": "http://example.com/a.png"}),
    (f"/channels/{CHANNEL}/messages", {"content": "x", "msg_id": "nope"}),
    ("/v2/media-images/prepare", {"file_name": "a", "file_size": -1, "content_type": "image/png"}),
    ("/v2/media-images/prepare", {"file_name": "a", "file_size": 5, "content_type": "text/html"}),
    ("/v2/media-images/complete", {"upload_id": "nope"}),
]


@pytest.mark.parametrize(("path", "body"), WRONG, ids=[f"{n}" for n in range(len(WRONG))])
async def test_a_wrong_request_is_refused_in_the_platforms_words(plain: Plain, path: str, body: Any) -> None:
    assert in_the_platforms_shape(await plain("POST", path, body))
    assert [] == plain.served.world.posts


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SEND, {"content": "x", "message_reference": {"message_id": "a", "ignore_get_message_error": None}}),
        (SEND, {"content": "x", "msg_type": None, "keyboard": None, "media": None, "msg_seq": None}),
        (SEND, {"content": "x", "media": {"file_info": None}}),
        (f"/channels/{CHANNEL}/messages", {"content": "x", "message_reference": {"message_id": "a", "x": None}}),
    ],
)
async def test_null_means_absent_at_any_depth(plain: Plain, path: str, body: Any) -> None:
    assert 200 == (await plain("POST", path, body))[0]


@pytest.mark.parametrize(
    "path",
    [
        f"/v2/users/{USER}/messages/nope",
        f"/v2/groups/{GROUP}/messages/nope",
        f"/v2/users/nobody/messages/{'x' * 3000}",
        f"/channels/{CHANNEL}/messages/nope",
        f"/channels/{CHANNEL}/messages/nope?hidetip=perhaps",
        "/dms/nowhere/messages/nope",
        "/v2/media-images/nope/delete",
    ],
)
async def test_recalling_an_unknown_message_is_refused(plain: Plain, path: str) -> None:
    assert in_the_platforms_shape(await plain("DELETE", path))


async def test_a_group_on_the_users_path_is_an_invalid_request(plain: Plain) -> None:
    status, body, _ = await plain("POST", f"/v2/users/{GROUP}/messages", {"content": "x"})

    assert (500, "invalid request") == (status, body["message"])


async def test_a_body_over_the_limit_of_the_proxy_is_answered_with_an_html_page() -> None:
    async with plain_of(rules={"files.proxy_max_bytes": 1000}) as plain:
        small = await plain("POST", SEND, {"content": "x" * 100})
        large = await plain("POST", SEND, {"content": "x" * 1000})

    assert 200 == small[0]
    assert (413, "text/html") == (large[0], large[2]["Content-Type"])
    assert b"stgw" in large[1]


async def test_a_body_over_the_memory_limit_is_answered_with_the_same_page(plain: Plain) -> None:
    status, _, headers = await plain("POST", SEND, b'{"content":"' + b"x" * (3 << 20) + b'"}')

    assert (413, "text/html") == (status, headers["Content-Type"])


async def test_a_thousand_form_fields_are_refused(plain: Plain) -> None:
    form = aiohttp.FormData()
    for number in range(1000):
        form.add_field(f"field{number}", "x", content_type="text/plain")

    assert in_the_platforms_shape(await plain("POST", f"/channels/{CHANNEL}/messages", form))


@pytest.mark.parametrize(
    "body",
    [b"", b"--b", b"--b\r\n", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n", b"\x00" * 1000],
)
async def test_a_broken_multipart_body_is_refused(plain: Plain, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}

    assert in_the_platforms_shape(await plain("POST", f"/channels/{CHANNEL}/messages", body, headers=headers))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\system.ini", "system.ini"),
        ("/absolute.txt", "absolute.txt"),
        ("a\x00b\r\n.txt", "ab.txt"),
        ("季度 报告（终）.pdf", "季度 报告（终）.pdf"),
        ("..", ""),
    ],
)
async def test_a_file_name_with_a_path_is_cut_to_its_last_part(plain: Plain, given: str, kept: str) -> None:
    body = {"file_type": 4, "file_data": "aGk=", "file_name": given, "srv_send_msg": True}
    status, _, _ = await plain("POST", FILES, body)

    assert 200 == status
    assert kept == plain.served.world.posts[0].name


@pytest.mark.parametrize(
    ("headers", "token", "code"),
    [
        ({}, "", 11241),
        ({"Authorization": "QQBot nope"}, "", 11244),
        ({"Authorization": "Bot 102000001.abc"}, "", 11245),
        ({"Authorization": "Bearer abc"}, "", 11243),
        ({"Authorization": "QQBot "}, "", 11243),
    ],
)
async def test_a_call_without_a_token_is_refused(plain: Plain, headers: dict[str, str], token: str, code: int) -> None:
    status, body, _ = await plain("GET", "/users/@me", headers=headers, token=token)

    assert (401, code) == (status, body["code"])


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b'{"appId":102000001,"clientSecret":"DG5g3B4j9X2KOErG"}', "application/json", 100002),
        (b"appId=102000001&clientSecret=DG5g3B4j9X2KOErG", "application/json", 100002),
        (b'{"appId":"102000001","clientSecret":"DG5g3B4j9X2KOErG"}', "text/plain", 100007),
        (b'{"appId":"1","clientSecret":"DG5g3B4j9X2KOErG"}', "application/json", 100007),
        (b'{"appId":"102000001","clientSecret":"wrong"}', "application/json", 100016),
        (b"{}", "application/json", 100002),
        (b"[" * 9999, "application/json", 100002),
    ],
)
async def test_a_refused_secret_may_come_under_status_200(
    plain: Plain, body: bytes, content_type: str, code: int
) -> None:
    headers = {"Content-Type": content_type}
    status, answer, _ = await plain("POST", "/app/getAppAccessToken", body, headers=headers, token="")

    assert (200, {"code", "message"}, code) == (status, answer.keys(), answer["code"])


async def test_unknown_fields_and_nulls_change_nothing(plain: Plain) -> None:
    body = {
        "openid": USER,
        "content": "x",
        "timestamp": 1795288574,
        "msg_id": None,
        "media": None,
        "bot_appid": "1",
        "msg_type": None,
        "unknown": {"deep": [1, {"er": None}]},
    }
    status, answer, _ = await plain("POST", SEND, json.dumps(body).encode())

    assert 200 == status
    assert answer["id"].startswith("ROBOT1.0_")


async def test_numbers_may_be_text(plain: Plain) -> None:
    status, _, _ = await plain("POST", SEND, {"content": "x", "msg_type": "0", "msg_seq": "3"})

    assert 200 == status


async def test_an_unsigned_or_wrong_part_is_refused_by_the_storage(plain: Plain) -> None:
    prepared = (await plain("POST", PREPARE, {"file_type": 4, "file_size": 5, "file_name": "a", "md5": "x"}))[1]
    url = prepared["parts"][0]["presigned_url"].removeprefix(plain.served.url)

    assert 403 == (await plain("PUT", url + "0", b"12345"))[0]
    assert 403 == (await plain("PUT", url.replace("partNumber=1", "partNumber=²"), b"12345"))[0]
    assert 400 == (await plain("PUT", url, b"123456"))[0]
    assert 400 == (await plain("PUT", url))[0]
    assert 200 == (await plain("PUT", url, b"12345"))[0]


@pytest.mark.parametrize("head", ['; filename="a.png"\r\nContent-Type: application/octet-stream', ""])
@pytest.mark.parametrize("padding", [0, 1_500_000])
async def test_a_picture_part_is_accepted_with_and_without_a_file_name(plain: Plain, head: str, padding: int) -> None:
    picture = PNG + bytes(padding)
    body = (
        b'--b\r\nContent-Disposition: form-data; name="content"\r\n\r\nhi\r\n'
        + f'--b\r\nContent-Disposition: form-data; name="file_image"{head}\r\n\r\n'.encode()
        + picture
        + b"\r\n--b--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    status, _, _ = await plain("POST", f"/channels/{CHANNEL}/messages", body, headers=headers)

    assert 200 == status
    (post,) = plain.served.world.posts
    assert ("image", "hi") == (post.kind, post.text)
    assert post.blob is not None
    assert picture == post.blob.read()
