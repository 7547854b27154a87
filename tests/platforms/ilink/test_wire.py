"""iLink's pure pieces: headers, keys, ciphertext, cursor, faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from yizhan.errors import LoginNeeded, PlatformError, Rejected, TargetGone, Throttled, Unavailable, WindowClosed
from yizhan.model import BytesContent, read_all
from yizhan.platforms.ilink import CDN, VENDOR, Settings, wire
from yizhan.platforms.ilink.server.cursor import BadCursor, Cursor, read_cursor
from yizhan.platforms.ilink.wire.crypt import (
    BadCiphertext,
    Enciphered,
    deciphered,
    media_key,
    padded_size,
    read_key,
    write_key,
)
from yizhan.wire import (
    Endpoint,
    Fault,
    HttpResponse,
    decode_request,
    decode_response,
    encode_request,
    mask_text,
    mask_value,
)

KEY = bytes.fromhex("00112233445566778899aabbccddeeff")
ENDPOINTS = [value for value in vars(wire).values() if isinstance(value, Endpoint)]


@pytest.mark.parametrize(
    ("version", "number"),
    [("1.0.0", 65536), ("1.0.11", 65547), ("2.1.6", 131334), ("2.3.1", 131841), ("2.4.9", 132105), ("3", 196608)],
)
def test_the_version_header_packs_three_bytes(version: str, number: int) -> None:
    assert number == wire.client_version(version)


@pytest.mark.parametrize(
    ("number", "text"), [(7, "Nw=="), (305419896, "MzA1NDE5ODk2"), (4294967295, "NDI5NDk2NzI5NQ==")]
)
def test_the_uin_header_is_base64_of_decimal_text(number: int, text: str) -> None:
    assert text == wire.wechat_uin(number)


def test_a_post_carries_every_header_and_the_token_only_when_there_is_one() -> None:
    assert {
        "AuthorizationType": "ilink_bot_token",
        "X-WECHAT-UIN": "Nw==",
        "iLink-App-Id": "bot",
        "iLink-App-ClientVersion": "132105",
        "Authorization": "Bearer t",
    } == wire.post_headers(7, "t")
    assert "Authorization" not in wire.post_headers(7)
    assert "r" == wire.post_headers(7, route_tag="r")["SKRouteTag"]


@pytest.mark.parametrize(
    ("plain", "sealed"),
    [
        (b"", "00657ea140655a44782747705d422fad"),
        (b"hello", "9d86c8612e085e93a235794a708af7a9"),
        (b"0123456789abcdef", "aebdd39b144089d5e31cacd35b7a113a00657ea140655a44782747705d422fad"),
    ],
)
async def test_the_published_ciphertexts(plain: bytes, sealed: str) -> None:
    content = Enciphered(BytesContent(plain), KEY)

    assert sealed == (await read_all(content)).hex()
    assert len(sealed) // 2 == content.size == padded_size(len(plain))
    assert plain == await _opened(bytes.fromhex(sealed), len(sealed))


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 32, 33, 640, 4096])
@pytest.mark.parametrize("step", [1, 7, 16, 33, 5000])
async def test_ciphertext_in_any_pieces_opens_to_the_same_bytes(size: int, step: int) -> None:
    plain = bytes(i * 7 % 256 for i in range(size))
    sealed = await read_all(Enciphered(BytesContent(plain), KEY))

    assert plain == await _opened(sealed, step)


@pytest.mark.parametrize(
    ("start", "stop"), [(0, None), (0, 5), (5, 20), (16, 32), (17, 40), (30, 48), (47, 48), (48, 60), (3, 3)]
)
async def test_ciphertext_is_read_from_any_offset(start: int, stop: int | None) -> None:
    content = Enciphered(BytesContent(bytes(range(40))), KEY)
    whole = await read_all(content)

    assert whole[start:stop] == await read_all(content, start, stop)


class Counting:
    """Content that remembers how much of it was asked for at once."""

    size = 40 << 20

    def __init__(self) -> None:
        self.given = 0

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        end = self.size if stop is None else stop
        while start < end:
            piece = bytes(min(1 << 20, end - start))
            start += len(piece)
            self.given += len(piece)
            yield piece


async def test_a_large_file_is_enciphered_while_it_is_read() -> None:
    plain = Counting()
    largest = total = 0

    async for piece in Enciphered(plain, KEY).chunks():
        total += len(piece)
        largest = max(largest, len(piece))
        assert plain.given - total <= 1 << 20

    assert padded_size(plain.size) == total
    assert largest <= 1 << 20


@pytest.mark.parametrize("sealed", [b"", b"x" * 15, b"x" * 16, b"x" * 17, b"x" * 48])
async def test_ciphertext_of_another_key_is_refused(sealed: bytes) -> None:
    with pytest.raises(BadCiphertext):
        await _opened(sealed, 5)


async def _opened(sealed: bytes, step: int) -> bytes:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(sealed), step):
            yield sealed[at : at + step]

    return b"".join([piece async for piece in deciphered(pieces(), KEY)])


@pytest.mark.parametrize(
    "text", ["ABEiM0RVZneImaq7zN3u/w==", "ABEiM0RVZneImaq7zN3u/w", "MDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmY="]
)
def test_keys_are_read_in_either_form(text: str) -> None:
    assert KEY == read_key(text)


def test_keys_are_written_in_the_long_form_only() -> None:
    assert "MDAxMTIyMzM0NDU1NjY3Nzg4OTlhYWJiY2NkZGVlZmY=" == write_key(KEY)


@pytest.mark.parametrize("text", ["", "====", "AAAA", "not base64!", "w6TDtsO8", "MDAxMTIy", "eg" * 22])
def test_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="AES key"):
        read_key(text)


def test_one_content_has_one_key_per_account() -> None:
    assert media_key("token a", "ab" * 32) == media_key("token a", "ab" * 32)
    assert media_key("token a", "ab" * 32) != media_key("token b", "ab" * 32)
    assert media_key("token a", "ab" * 32) != media_key("token a", "cd" * 32)


def test_the_published_cursor() -> None:
    cursor = Cursor(3, 1790000000, 1)
    token = "0a1b2c3d4e5f@im.bot:060000abababababababab"
    text = "CgoIAxCA98TVBhgBEiowYTFiMmMzZDRlNWZAaW0uYm90OjA2MDAwMGFiYWJhYmFiYWJhYmFiYWI="

    assert "CAMQgPfE1QYYAQ==" == cursor.sync_buf()
    assert text == cursor.updates_buf(token)
    assert (cursor, token) == read_cursor(text)


@pytest.mark.parametrize("text", ["x", "AAAA", "CgA=", "CgoIAxCA98TVBhgBEio=", "EgA=", "////////////////", "CAE=", "é"])
def test_a_damaged_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursor):
        read_cursor(text)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_every_call_reads_back_what_it_wrote(endpoint: Endpoint[Any, Any]) -> None:
    request = _filled(endpoint.request)
    http = encode_request(endpoint, request)

    assert request == decode_request(endpoint, http)


def _filled(kind: Any) -> Any:
    values: dict[Any, Any] = {
        wire.QrStart: wire.QrStart("3", ["token"]),
        wire.QrPoll: wire.QrPoll("code", "1234"),
        wire.CdnUpload: wire.CdnUpload("a+/=", "key", b"bytes"),
        wire.CdnDownload: wire.CdnDownload("a+/="),
        wire.SendMessage: wire.SendMessage(
            wire.WeixinMessage(
                from_user_id="",
                to_user_id="u",
                item_list=[wire.MessageItem(type=4, file_item=wire.FileItem(wire.CDNMedia("p", "k", 1), "n", len="5"))],
            ),
            wire.BaseInfo("2.4.9", "yizhan/0.1"),
        ),
    }
    return values.get(kind) or kind(base_info=wire.BaseInfo("2.4.9", "yizhan/0.1"))


@pytest.mark.parametrize("row", wire.FAULTS.rows, ids=wire.FAULTS.name_of)
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: e.name)
def test_every_fault_arrives_as_it_was_raised(endpoint: Endpoint[Any, Any], row: Any) -> None:
    answer = endpoint.envelope.fail(endpoint, Fault(row))

    with pytest.raises(Fault) as caught:
        decode_response(endpoint, answer)
    assert (row.code, row.means) == (caught.value.row.code, caught.value.row.means)


@pytest.mark.parametrize(
    ("endpoint", "body", "means"),
    [
        (wire.SEND_MESSAGE, '{"ret":-2}', WindowClosed),
        (wire.SEND_MESSAGE, '{"ret":-2,"errmsg":"something new"}', WindowClosed),
        (wire.SEND_MESSAGE, '{"ret":"-2","errmsg":"Prepare Failed"}', WindowClosed),
        (wire.SEND_MESSAGE, '{"ret":0,"errcode":-14}', LoginNeeded),
        (wire.SEND_MESSAGE, '{"ret":-2,"errmsg":"freq limit, wait"}', Throttled),
        (wire.SEND_MESSAGE, '{"ret":-99,"errmsg":"?"}', Rejected),
        (wire.GET_UPLOAD_URL, '{"ret":-2}', Rejected),
        (wire.GET_UPLOAD_URL, '{"ret":-1}', TargetGone),
    ],
)
def test_a_failure_under_http_200_is_a_failure(
    endpoint: Endpoint[Any, Any], body: str, means: type[PlatformError]
) -> None:
    with pytest.raises(Fault) as caught:
        decode_response(endpoint, HttpResponse(200, [("Content-Type", "application/json")], body.encode()))
    assert means is caught.value.row.means


@pytest.mark.parametrize(("status", "means"), [(524, Unavailable), (500, Unavailable), (404, Rejected)])
def test_a_gateways_page_is_no_answer_of_the_platform(status: int, means: type[PlatformError]) -> None:
    with pytest.raises(Fault) as caught:
        decode_response(wire.GET_UPDATES, HttpResponse(status, [], b"<html>timeout</html>"))
    assert means is caught.value.row.means


def test_success_needs_neither_ret_nor_a_content_type_nor_a_body() -> None:
    answer = HttpResponse(200, [("Content-Type", "application/octet-stream")], b'{"message_id":7495426660285223704}')

    assert 7495426660285223704 == decode_response(wire.SEND_MESSAGE, answer).message_id
    assert wire.Sent() == decode_response(wire.SEND_MESSAGE, HttpResponse(200, [], b""))


@pytest.mark.parametrize(
    ("settings", "api", "cdn"),
    [
        (Settings(), VENDOR, CDN),
        (Settings(base_url=""), VENDOR, CDN),
        (Settings(base_url="http://127.0.0.1:8791/"), "http://127.0.0.1:8791", "http://127.0.0.1:8791"),
        (Settings(cdn_url="https://cdn.example/c2c"), VENDOR, "https://cdn.example"),
    ],
)
def test_an_account_pointed_at_a_sandbox_goes_there_for_everything(settings: Settings, api: str, cdn: str) -> None:
    assert (api, cdn) == (settings.api_base, settings.cdn_base)


@pytest.mark.parametrize("names", ['"local_token_list": [{}]', '"other": [{}]', "local_token_list=[{}]", "{}"])
def test_bot_tokens_are_masked_in_any_field(names: str) -> None:
    tokens = [f"0a1b2c3d4e5{n}@im.bot:060000{'ab' * 20}" for n in range(3)]
    text = names.format(", ".join(f'"{token}"' for token in tokens))

    assert "060000" not in mask_text(text)
    assert {"local_token_list": "***"} == mask_value({"local_token_list": tokens})
