"""The exact bytes of responses, and the content of messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.wire.base import LOGIN_ELSEWHERE, LOGIN_REFUSED, SYSTEM_ERROR
from yizhan.platforms.webwechat.wire.foreign import CreateRoomResponse
from yizhan.platforms.webwechat.wire.hosts import bases
from yizhan.platforms.webwechat.wire.login import LoginPage, LoginPollResponse, QrLogin
from yizhan.platforms.webwechat.wire.media import UploadMediaResponse
from yizhan.platforms.webwechat.wire.sending import SendResponse
from yizhan.platforms.webwechat.wire.session import AddMsg, KeyValue, SyncCheckResponse, SyncKeys
from yizhan.wire import Fault, HttpResponse, decode_response, encode_response, mask_text


@pytest.mark.parametrize(
    ("endpoint", "answer", "expected"),
    [
        (wire.JSLOGIN, QrLogin("QHJC=="), b'window.QRLogin.code = 200; window.QRLogin.uuid = "QHJC==";'),
        (wire.LOGIN, LoginPollResponse(408), b"window.code=408;"),
        (wire.LOGIN, LoginPollResponse(400), b"window.code=400;"),
        (
            wire.LOGIN,
            LoginPollResponse(201, "data:img/jpg;base64,x="),
            b"window.code=201;window.userAvatar = 'data:img/jpg;base64,x=';",
        ),
        (
            wire.LOGIN,
            LoginPollResponse(200, redirect_uri="http://127.0.0.1/p?ticket=A@qrticket_0&uuid=x==&lang=zh_CN&scan=1"),
            b'window.code=200;\nwindow.redirect_uri="http://127.0.0.1/p?ticket=A@qrticket_0&uuid=x==&lang=zh_CN&scan=1";',
        ),
        (wire.SYNC_CHECK, SyncCheckResponse("0", "2"), b'window.synccheck={retcode:"0",selector:"2"}'),
        (
            wire.NEW_LOGIN_PAGE,
            LoginPage("@crypt_1", "a/b+", "7", "x%2F"),
            b"<error><ret>0</ret><message></message><skey>@crypt_1</skey><wxsid>a/b+</wxsid><wxuin>7</wxuin>"
            b"<pass_ticket>x%2F</pass_ticket><isgrayscale>1</isgrayscale></error>",
        ),
        (
            wire.SEND_MSG,
            SendResponse("12", "3"),
            b'{\n"BaseResponse": {\n"Ret": 0,\n"ErrMsg": ""\n},\n"MsgID": "12",\n"LocalID": "3"\n}\n',
        ),
    ],
)
def test_responses_have_the_exact_bytes_and_decode_again(endpoint: Any, answer: Any, expected: bytes) -> None:
    http = encode_response(endpoint, answer)

    assert expected == http.data
    assert answer == decode_response(endpoint, http)


def test_a_synccheck_response_has_43_bytes() -> None:
    assert 43 == len(encode_response(wire.SYNC_CHECK, SyncCheckResponse()).data)


def test_a_failure_has_the_response_s_members_empty() -> None:
    body = wire.UPLOAD_MEDIA.envelope.fail(wire.UPLOAD_MEDIA, Fault(SYSTEM_ERROR)).data

    assert b'"Ret": -1' in body
    assert b'"MediaId": "",\n"StartPos": 0' in body
    assert b'"SyncKey": {\n"Count": 0' in wire.SYNC.envelope.fail(wire.SYNC, Fault(LOGIN_ELSEWHERE)).data


def test_a_refused_login_has_the_service_s_words() -> None:
    http = HttpResponse(200, (), "<error><ret>1203</ret><message>暂时不能登录</message></error>".encode())

    with pytest.raises(Fault, match="暂时不能登录") as caught:
        decode_response(wire.NEW_LOGIN_PAGE, http)
    assert LOGIN_REFUSED is caught.value.row


def test_a_room_with_unconfirmed_members_counts_as_created() -> None:
    http = HttpResponse(200, (), b'{"BaseResponse":{"Ret":-2013,"ErrMsg":""},"ChatRoomName":"@@1"}')

    assert CreateRoomResponse(ChatRoomName="@@1") == decode_response(wire.CREATE_ROOM, http)


def test_numeric_ids_are_read_as_text() -> None:
    http = HttpResponse(200, (), b'{"BaseResponse":{"Ret":"0","ErrMsg":""},"MediaId":"@crypt_1","StartPos":"7","x":1}')

    assert UploadMediaResponse("@crypt_1", 7) == decode_response(wire.UPLOAD_MEDIA, http)


def test_one_malformed_member_does_not_block_the_stream() -> None:
    odd = {"MsgId": 5, "FileSize": 7, "Content": None, "MsgType": "49", "RecommendInfo": None, "CreateTime": "soon"}
    body = {"BaseResponse": {"Ret": 0}, "AddMsgList": [odd, "x", {"MsgId": "6"}], "SyncKey": {"List": None}}
    synced = decode_response(wire.SYNC, HttpResponse(200, body=json.dumps(body).encode()))

    assert [AddMsg(MsgId="5", FileSize="7", MsgType=49), AddMsg(MsgId="6")] == synced.AddMsgList
    assert [] == synced.SyncKey.List


def test_a_sync_key_is_written_as_pairs() -> None:
    assert "1_5|2_7" == str(SyncKeys(2, [KeyValue(1, 5), KeyValue(2, 7)]))


@pytest.mark.parametrize(
    ("shown", "written"),
    [
        ("a<b>&c", "a&lt;b&gt;&amp;c"),
        ("one\ntwo\r\nthree", "one<br/>two<br/>three"),
        ("&lt; stays", "&amp;lt; stays"),
        ('"quotes" stay', '"quotes" stay'),
    ],
)
def test_content_is_escaped_and_read_back(shown: str, written: str) -> None:
    assert written == wire.escape_content(shown)
    assert shown.replace("\r\n", "\n") == wire.unescape_content(written)


@pytest.mark.parametrize(
    ("span", "emoji"),
    [("1f604", "😄"), ("2764", "❤"), ("1f1e81f1f3", "🇨🇳"), ("003120e3", "1⃣"), ("110000", "")],
)
def test_emoji_are_written_as_spans(span: str, emoji: str) -> None:
    assert f"Bob {emoji}" == wire.display_name(f'Bob <span class="emoji emoji{span}"></span>')


def test_a_room_message_is_split_into_speaker_and_text() -> None:
    assert ("@ab12", "hi: there") == wire.split_speaker("@ab12:<br/>hi: there")
    assert ("", "x:<br/>hi") == wire.split_speaker("x:<br/>hi")


def test_an_encoded_file_name_keeps_letters_and_digits_only() -> None:
    assert "a1%2Eb%2Dc%20%E6%8A%A5" == wire.encry_file_name("a1.b-c 报")


@pytest.mark.parametrize("title", ["note.txt", "a & b.txt", "1 < 2.txt", "</title><type>2000", "报告 1.txt"])
def test_a_file_card_with_any_name_parses_back(title: str) -> None:
    card = wire.summarize_card(wire.compose_file_card(title, 22, "@crypt_1"))

    assert (title, 6, "file", "@crypt_1") == (card.title, card.type, card.kind, card.attachid)


def test_a_card_with_an_unescaped_name_is_read() -> None:
    card = wire.summarize_card(
        '<appmsg appid="x"><type>6</type><title>a & b <1>.txt</title>'
        "<appattach><attachid>@c</attachid></appattach></appmsg>"
    )

    assert ("a & b <1>.txt", 6, "@c") == (card.title, card.type, card.attachid)


def test_the_type_of_a_quoted_card_does_not_count() -> None:
    card = wire.summarize_card(
        "<appmsg><title><![CDATA[a & b]]></title><refermsg><type>6</type></refermsg><type>57</type></appmsg>"
    )

    assert ("a & b", 57, "quote") == (card.title, card.type, card.kind)


def test_a_card_that_is_not_xml_is_read_by_text_search() -> None:
    card = wire.summarize_card("<appmsg><b><title>t</title><type>5</type><url>https://x.y</url></appmsg>")

    assert wire.CardSummary(5, "link", "t", "", "https://x.y", has_attachment=False) == card


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "<appmsg><appmsg><title>t</title><type>5</type>",
        "<appmsg><b><type>five</type></appmsg>",
        "<!DOCTYPE a><appmsg><b><type>5</type></appmsg>",
        "<!ENTITY a 'b'><appmsg><type>5</type></appmsg>",
    ],
)
def test_a_card_without_a_type_or_with_a_declaration_is_refused(xml: str) -> None:
    with pytest.raises(ValueError, match=r"expected|declares"):
        wire.summarize_card(xml)


def test_the_keys_of_a_picture_are_masked() -> None:
    shown = mask_text(wire.image_xml(wire.CdnReference("ab" * 16, "3057" * 8, "cd" * 16), 100))

    assert "ab" * 16 not in shown
    assert 'cdnthumbaeskey="***"' in shown


def test_the_cdn_reference_of_pictures_and_videos_is_found() -> None:
    cdn = wire.CdnReference("ab" * 16, "3057" * 8, "cd" * 16)

    assert cdn == wire.cdn_reference(wire.image_xml(cdn, 100))
    assert cdn == wire.cdn_reference(wire.video_xml(cdn, 100, 2, "@x"))
    assert wire.cdn_reference("not xml") is None
    assert wire.cdn_reference("<msg><img/></msg>") is None


@pytest.mark.parametrize(
    ("api", "file", "push", "login"),
    [
        ("https://wx.qq.com", "file.wx.qq.com", "webpush.wx.qq.com", "login.wx.qq.com"),
        ("https://web2.wechat.com", "file.web2.wechat.com", "webpush.web2.wechat.com", "login.web2.wechat.com"),
        ("https://wx9.qq.com", "file.wx.qq.com", "webpush.weixin.qq.com", "login.weixin.qq.com"),
    ],
)
def test_all_hosts_follow_from_the_api_host(api: str, file: str, push: str, login: str) -> None:
    found = bases(api)

    assert [api, f"https://{file}", f"https://{push}", f"https://{login}"] == [
        found[role] for role in ("api", "file", "push", "login")
    ]


def test_any_other_host_serves_all_roles() -> None:
    assert {"http://127.0.0.1:8791"} == set(bases("http://127.0.0.1:8791/").values())
