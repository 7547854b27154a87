"""The serving end: the behavior that callers rely on, and its refusals."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, web

from tests.support import PATIENCE, Served, serve
from yizhan.platforms.ohwxapi import PLATFORM, convert, wire
from yizhan.platforms.server import ServerOptions
from yizhan.wire import Endpoint

SELF = "wxid_sandbox"
GROUP = "10001@chatroom"
LINK = '<appmsg appid="" sdkver="0"><title>a</title><type>5</type><url>https://example.org</url></appmsg>'


class Gateway:
    """Calls the served gateway the way a stranger's client does."""

    def __init__(self, served: Served, session: ClientSession) -> None:
        self.served = served
        self.session = session

    async def raw(self, path: str, body: Any = None, *, method: str = "POST", **query: str) -> tuple[int, Any]:
        data = body if isinstance(body, (bytes, str, type(None))) else json.dumps(body)
        async with self.session.request(method, self.served.url + path, data=data, params=query) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text

    async def cmd(self, number: int, path: str = "/v2/api", wxid: str = SELF, **parameters: Any) -> Any:
        """Return `ResponseData`, or the `ErrMsg` of a refusal."""
        status, answer = await self.raw(path, {"CgiCmd": number, "CgiRequest": parameters}, wxid=wxid)
        assert status == 200
        base = answer["CgiBaseResponse"]
        if base["Ret"]:
            assert (-2, {}) == (base["Ret"], answer["ResponseData"])
            return base["ErrMsg"]
        assert base["ErrMsg"] == ""
        return answer["ResponseData"]

    async def upload(self, data: bytes = b"plan", type: int = 5, **more: Any) -> str:
        answer = await self.cmd(
            0,
            "/v2/cdnupload",
            FileType=type,
            FileBase64=base64.b64encode(data).decode(),
            **{"FileName": "p.txt", **more},
        )
        return str(answer)

    def posts(self) -> list[Any]:
        return list(self.served.world.select(platform="ohwxapi"))


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    async with (
        serve(PLATFORM, options=ServerOptions(extra={"folders": [str(tmp_path)]})) as served,
        ClientSession() as session,
    ):
        yield Gateway(served, session)
        failed = [exchange for exchange in served.exchanges if exchange.note == "handler failed"]
        assert [] == failed


# --- sending ----------------------------------------------------------------------------------------------------------


async def test_a_send_answers_with_a_number_beyond_53_bits_and_its_twin(gateway: Gateway) -> None:
    sent = await gateway.cmd(522, ToUserName="filehelper", Content="hi", MsgType=1, AtUsers="")

    assert sent["NewMsgId"] > 2**53
    assert str(sent["NewMsgId"]) == sent["NewMsgIdExt"]
    assert sent["ClientMsgId"].endswith(f"_{int(gateway.posts()[0].at)}")


@pytest.mark.parametrize("wrong", ["", "Wxid_sandbox", "wxid_nobody"])
async def test_only_accounts_of_the_gateway_act(gateway: Gateway, wrong: str) -> None:
    assert "wxid not found" == await gateway.cmd(522, wxid=wrong, ToUserName="filehelper", Content="hi", MsgType=1)


@pytest.mark.parametrize("to", ["wxid_nobody", "", "99@chatroom", "gh_1", "Filehelper"])
async def test_an_unknown_recipient_is_refused(gateway: Gateway, to: str) -> None:
    assert "to user not found" == await gateway.cmd(522, ToUserName=to, Content="hi", MsgType=1)


async def test_paths_match_in_any_case_and_nothing_is_wanted_in_the_query_but_the_account(gateway: Gateway) -> None:
    body = {"CgiCmd": "522", "CgiRequest": {"tousername": "filehelper", "CONTENT": "hi", "AtUsers": None}}

    status, answer = await gateway.raw("/V2/Api", body, wxid=SELF)

    assert (200, 0) == (status, answer["CgiBaseResponse"]["Ret"])


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({}, "ToUserName"),
        ({"ToUserName": "filehelper", "Content": "x"}, "MsgType"),
        ({"ToUserName": 5, "MsgType": 49}, "ToUserName"),
        ({"ToUserName": "filehelper", "MsgType": 49}, "AppMsgXml"),
        ({"ToUserName": "filehelper", "MsgType": "many", "AppMsgXml": LINK}, "MsgType"),
    ],
)
async def test_a_missing_or_mistyped_parameter_is_named(
    gateway: Gateway, parameters: dict[str, Any], wrong: str
) -> None:
    assert f"param error: {wrong}" == await gateway.cmd(222, **parameters)


@pytest.mark.parametrize(
    "xml",
    [
        "",
        "plain text",
        f"<msg>{LINK}</msg>",
        f'<?xml version="1.0"?>{LINK}',
        LINK + LINK,
        LINK.replace("<type>5</type>", ""),
        LINK.replace("<type>5</type>", "<type>2000</type>"),
        "<appmsg><title>unclosed",
        f"<!DOCTYPE a [<!ENTITY b 'c'>]>{LINK}",
        "<appmsg>" + "<a>" * 500 + "</a>" * 500 + "<type>5</type></appmsg>",
        f"<appmsg><type>5</type><title>{'x' * 3_000_000}</title></appmsg>",
        "<appmsg><type>6</type><title>a</title><appattach><totallen>1</totallen></appattach></appmsg>",
    ],
)
async def test_hostile_or_unsuitable_cards_are_refused(gateway: Gateway, xml: str) -> None:
    answer = await gateway.cmd(222, ToUserName="filehelper", AppMsgXml=xml, MsgType=49)

    assert answer.startswith(("AppMsgXml invalid", "param error: AppMsgXml"))
    assert [] == gateway.posts()


async def test_a_fragment_with_siblings_and_the_older_name_are_read(gateway: Gateway) -> None:
    siblings = "<fromusername/><scene>0</scene><appinfo><version>1</version><appname/></appinfo><commenturl/>"

    await gateway.cmd(222, ToUserName="filehelper", AppMsgXml=LINK + siblings, MsgType=49)
    await gateway.cmd(222, ToUserName="filehelper", Content=LINK, MsgType=57)

    assert ["link", "link"] == [post.kind for post in gateway.posts()]


async def test_a_file_that_was_uploaded_elsewhere_is_delivered_without_bytes(gateway: Gateway) -> None:
    xml = await gateway.upload()
    foreign = "".join(str(n % 10) for n in range(178))
    xml = re.sub("3057[0-9a-f]{174}", foreign, xml)

    await gateway.cmd(222, ToUserName="filehelper", AppMsgXml=xml, MsgType=49)

    (post,) = gateway.posts()
    assert ("file", "p.txt", None) == (post.kind, post.name, post.blob)


async def test_an_upload_answers_with_a_string_that_is_sent_on_unread(gateway: Gateway) -> None:
    file, image = await gateway.upload(), await gateway.upload(b"\xff\xd8jpg", 2, FileName="")

    await gateway.cmd(222, ToUserName="wxid_alice", AppMsgXml=file, MsgType=49)
    await gateway.cmd(110, ToUserName="wxid_bob", ImageXml=image)

    assert file.startswith('<appmsg appid=""  sdkver="0"><title>p.txt</title>')
    assert image.startswith("<msg><img aeskey=")
    assert [b"plan", b"\xff\xd8jpg"] == [post.blob.read() for post in gateway.posts()]


async def test_an_empty_file_is_uploaded_too(gateway: Gateway, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    xml = await gateway.cmd(0, "/v2/cdnupload", FileType=5, FileName="empty", FilePath=str(tmp_path / "empty"))

    assert "<totallen>0</totallen>" in xml
    assert "<aeskey>d41d8cd98f00b204e9800998ecf8427e</aeskey>" in xml


async def test_thirty_megabytes_are_taken_and_one_byte_more_is_not(gateway: Gateway, tmp_path: Path) -> None:
    for name, size in (("fits", 31_457_280), ("over", 31_457_281)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)

    assert "<appmsg" in await gateway.cmd(0, "/v2/cdnupload", FileType=5, FilePath="fits")
    assert "file too large, max 30M" == await gateway.cmd(0, "/v2/cdnupload", FileType=5, FilePath="over")
    assert "file too large, max 30M" == await gateway.upload(bytes(31_457_281))
    assert "file too large, max 30M" == await gateway.upload(bytes(36_000_000))


@pytest.mark.parametrize(
    "source",
    [
        {"FilePath": "/etc/passwd"},
        {"FilePath": "../../etc/passwd"},
        {"FilePath": "link"},
        {"FilePath": "nothing"},
        {"FilePath": "a\x00b"},
        {"FilePath": "x" * 5000},
        {"FileUrl": "http://192.0.2.7/x"},
        {"FileUrl": "file:///etc/passwd"},
        {"FileUrl": "http://[::"},
        {"FileUrl": "http://127.0.0.1:1/x"},
        {"FileBase64": "not base64!"},
        {"FileBase64": "AAA"},
        {"FileBase64": 5},
        {"FileBase64": {"a": 1}},
        {},
    ],
)
async def test_sources_outside_the_fence_are_refused(gateway: Gateway, tmp_path: Path, source: dict[str, Any]) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")

    answer = await gateway.cmd(0, "/v2/cdnupload", FileType=5, **source)

    assert answer.startswith(("source not readable", "param error: FileUrl"))


async def test_redirects_to_elsewhere_are_not_followed(gateway: Gateway) -> None:
    async def away(_: web.Request) -> web.Response:
        raise web.HTTPFound("http://192.0.2.7/secret")

    app = web.Application()
    app.router.add_get("/", away)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    answer = await gateway.cmd(110, ToUserName="filehelper", ImageUrl=f"http://127.0.0.1:{runner.addresses[0][1]}/")
    await runner.cleanup()

    assert answer.startswith("source not readable")


async def test_of_several_picture_sources_the_address_counts_then_base64_then_the_path(
    gateway: Gateway, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(b"path")
    text = base64.b64encode(b"base64").decode()

    await gateway.cmd(110, ToUserName="filehelper", ImageBase64=text, ImagePath="a.png")
    await gateway.cmd(110, ToUserName="filehelper", ImagePath=str(tmp_path / "a.png"))
    await gateway.cmd(110, ToUserName="filehelper", ImageBase64=f"data:image/png;base64,{text}")

    assert [b"base64", b"path", b"base64"] == [post.blob.read() for post in gateway.posts()]


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({}, "param error: VoiceTime"),
        ({"VoiceTime": 3}, "param error: VoicePath, VoiceBase64 or VoiceUrl"),
        ({"VoiceTime": 3, "VoicePath": "a", "VoiceUrl": "b"}, "param error: VoicePath, VoiceBase64 or VoiceUrl"),
        ({"VoiceTime": 0, "VoicePath": "a"}, "param error: VoiceTime"),
        ({"VoiceTime": 61, "VoicePath": "a"}, "param error: VoiceTime"),
        ({"VoiceTime": 3, "VoiceBase64": base64.b64encode(b"mp3").decode()}, "source not readable: not SILK"),
    ],
)
async def test_a_voice_needs_one_silk_source_and_its_length(
    gateway: Gateway, parameters: dict[str, Any], wrong: str
) -> None:
    assert wrong == await gateway.cmd(127, ToUserName="filehelper", **parameters)


async def test_a_video_is_sent_by_its_xml_or_from_a_source(gateway: Gateway) -> None:
    xml = await gateway.upload(b"video", 4)
    assert xml.startswith("<msg><videomsg ")

    await gateway.cmd(149, ToUserName="wxid_alice", VideoXml=xml)
    await gateway.cmd(
        149, ToUserName="wxid_alice", VideoBase64=base64.b64encode(b"v").decode(), ThumbBase64="AAAA", VideoTime=3
    )

    assert [b"video", b"v"] == [post.blob.read() for post in gateway.posts()]
    assert "param error: VideoXml" == await gateway.cmd(149, ToUserName="wxid_alice", VideoXml="<msg><img/></msg>")


async def test_nicknames_among_the_mentioned_are_ignored_and_lists_are_read(gateway: Gateway) -> None:
    await gateway.cmd(522, ToUserName=GROUP, Content="@Alice hi", MsgType=1, AtUsers="Alice,wxid_alice,wxid_nobody")
    await gateway.cmd(522, ToUserName=GROUP, Content="hi", MsgType=1, AtUsers=["wxid_bob", "notify@all"])

    mentioned = [post.extra["mentioned"] for post in gateway.posts()]
    assert [["wxid_alice"], ["wxid_bob", "notify@all"]] == mentioned


async def test_a_card_is_taken_both_ways(gateway: Gateway) -> None:
    card = '<msg username="wxid_bob" nickname="Bob"/>'

    await gateway.cmd(522, ToUserName="wxid_alice", Content=card, MsgType=42)
    await gateway.cmd(222, ToUserName="wxid_alice", AppMsgXml=card, MsgType=42)

    assert ["contact_card", "contact_card"] == [post.kind for post in gateway.posts()]
    assert "param error: Content" == await gateway.cmd(522, ToUserName="wxid_alice", Content="<msg/>", MsgType=42)


async def test_only_ones_own_message_is_withdrawn(gateway: Gateway) -> None:
    said = await gateway.served.server.say("wxid_alice", "bot", text="hers")
    sent = await gateway.cmd(522, ToUserName="wxid_alice", Content="mine", MsgType=1)

    hers = await gateway.cmd(594, ToUserName=SELF, NewMsgId=int(said))
    elsewhere = await gateway.cmd(594, ToUserName="wxid_bob", NewMsgId=sent["NewMsgId"])
    by_client_id = await gateway.cmd(594, ToUserName="wxid_alice", ClientMsgId=sent["ClientMsgId"])

    assert ["param error: NewMsgId"] * 2 + [{}] == [hers, elsewhere, by_client_id]


# --- people, groups, moments ------------------------------------------------------------------------------------------


async def test_details_are_an_array_even_for_one(gateway: Gateway) -> None:
    (alice,) = await gateway.cmd(182, Wxid=["wxid_alice"])
    (group,) = await gateway.cmd(182, ChatroomID=GROUP)

    assert ("Alice", None) == (alice["NickName"], alice["ChatRoomMember"])
    assert "wxid_alice" == group["ChatRoomOwner"]
    assert SELF in [member["Wxid"] for member in group["ChatRoomMember"]]
    assert "to user not found" == await gateway.cmd(182, Wxid=["wxid_nobody"])


async def test_the_address_book_holds_everybody(gateway: Gateway) -> None:
    book = await gateway.cmd(851, CurrentWxcontactSeq=0, CurrentChatRoomContactSeq=0)

    assert {"wxid_alice", "wxid_bob", "filehelper", GROUP} <= set(book["ContactUsernameList"])
    assert 0 == book["CountinueFlag"]


async def test_a_stranger_is_found_befriended_and_then_written_to(gateway: Gateway) -> None:
    gateway.served.world.network("wechat").add_person("wxid_new", "Newman", friends=False)
    refused = await gateway.cmd(522, ToUserName="wxid_new", Content="hi", MsgType=1)

    found = await gateway.cmd(106, UserName="Newman")
    await gateway.cmd(137, VerifyType=2, V1Username=found["UserName"], V2Ticket=found["Ticket"], Content="hi", Sence=3)

    assert "to user not found" == refused
    assert (await gateway.cmd(522, ToUserName="wxid_new", Content="hi", MsgType=1))["NewMsgId"]


async def test_contacts_are_noted_upon(gateway: Gateway) -> None:
    await gateway.cmd(681, OpType=1, UserName="wxid_alice", Remark="Al")
    await gateway.cmd(681, OpType=2, UserName="wxid_bob")
    (label,) = (await gateway.cmd(635, LabelName="friends"))["LabelList"]
    await gateway.cmd(638, Wxid=["wxid_alice"], LabelIdList=str(label["LabelId"]))
    await gateway.cmd(637, LabelId=label["LabelId"], LabelName="best")

    (alice,) = await gateway.cmd(182, Wxid=["wxid_alice"])
    assert ("Al", "1") == (alice["Remark"], alice["LabelLists"])
    assert [{"LabelId": 1, "LabelName": "best"}] == (await gateway.cmd(639))["LabelList"]
    assert {} == await gateway.cmd(636, LabelId=1)
    assert "to user not found" == await gateway.cmd(522, ToUserName="wxid_bob", Content="hi", MsgType=1)
    assert "param error: OpType" == await gateway.cmd(681, OpType=99, UserName="wxid_alice")


async def test_a_group_lives_from_its_making_to_its_leaving(gateway: Gateway) -> None:
    made = (await gateway.cmd(119, Wxid=["wxid_alice", "wxid_bob"], NickName="trip"))["ChatroomID"]
    await gateway.cmd(120, ChatroomID=made, Wxid=["wxid_zhangwei"])
    await gateway.cmd(179, ChatroomID=made, Wxid=["wxid_bob"])
    await gateway.cmd(990, ChatroomID=made, Wxid="wxid_alice")
    await gateway.cmd(993, ChatroomID=made, Announcement="at nine")
    await gateway.cmd(681, OpType=7, UserName=made, NickName="journey")
    details = await gateway.cmd(223, ChatroomID=made)
    members = await gateway.cmd(551, ChatroomID=made)
    await gateway.cmd(681, OpType=8, UserName=made)

    assert ("journey", "wxid_alice", "at nine") == (
        details["NickName"],
        details["ChatRoomOwner"],
        details["Announcement"],
    )
    assert ["wxid_alice", "wxid_zhangwei", SELF] == [member["Wxid"] for member in members]
    assert "to user not found" == await gateway.cmd(522, ToUserName=made, Content="hi", MsgType=1)


async def test_opening_the_code_of_a_group_joins_it_again(gateway: Gateway) -> None:
    await gateway.cmd(681, OpType=8, UserName=GROUP)
    url = f"https://weixin.qq.com/g/{GROUP.encode().hex()}"

    assert {"FullUrl": url} == await gateway.cmd(233, FromUserName="wxid_alice", Sence=4, Url=url)
    assert base64.b64decode((await gateway.cmd(168, UserName=GROUP))["QrCodeBase64"]).startswith(b"\x89PNG")


async def test_moments_are_posted_liked_and_deleted(gateway: Gateway) -> None:
    xml = "<TimelineObject><contentDesc><![CDATA[harbour at dusk]]></contentDesc></TimelineObject>"
    id = (await gateway.cmd(209, XmlContent=xml))["Id"]
    await gateway.cmd(213, Id=id, Type=1)
    entry = await gateway.cmd(213, Id=int(id), Type=2, Content="lovely")
    timeline = await gateway.cmd(211)
    page = await gateway.cmd(212, UserName=SELF, MaxId=id)
    await gateway.cmd(218, Id=id, OpType=1)

    assert (1, 1) == (entry["LikeCount"], entry["CommentCount"])
    assert [xml] == [found["ObjectDesc"] for found in timeline["ObjectList"]]
    assert [] == page["ObjectList"] == (await gateway.cmd(214))["ObjectList"]
    assert "param error: Id" == await gateway.cmd(210, Id=id)
    assert "harbour at dusk" == gateway.posts()[0].text


async def test_mini_programs_give_codes(gateway: Gateway) -> None:
    assert 32 == len((await gateway.cmd(1029, AppId="wx0011"))["Code"])
    assert "param error: AppId" == await gateway.cmd(1133, AppId="")


# --- downloads --------------------------------------------------------------------------------------------------------


async def test_a_download_brings_the_bytes_unless_a_name_is_given(gateway: Gateway) -> None:
    xml = await gateway.upload()
    id, key = (xml.partition(f"<{tag}>")[2].partition("<")[0] for tag in ("cdnattachurl", "aeskey"))

    with_bytes = await gateway.cmd(0, "/v2/cdndownload", FileId=id, AesKey=key, FileType=5)
    named = await gateway.cmd(0, "/v2/cdndownload", FileId=id, AesKey=key, FileType=5, FileName="../../x/plan.txt")

    assert b"plan" == base64.b64decode(with_bytes["FileBase64"])
    assert "FileBase64" not in named
    assert Path(named["FilePath"]).parent == gateway.served.world.blobs.folder / "downloads"
    assert b"plan" == Path(named["FilePath"]).read_bytes()


async def test_a_download_may_name_a_new_file_below_the_allowed_folders_only(gateway: Gateway, tmp_path: Path) -> None:
    xml = await gateway.upload()
    id, key = (xml.partition(f"<{tag}>")[2].partition("<")[0] for tag in ("cdnattachurl", "aeskey"))
    precious = tmp_path / "precious.txt"
    precious.write_text("mine")

    async def fetch(name: Path) -> Path:
        answer = await gateway.cmd(0, "/v2/cdndownload", FileId=id, AesKey=key, FileType=5, FileName=str(name))
        return Path(answer["FilePath"])

    assert tmp_path / "new.txt" == await fetch(tmp_path / "new.txt") == await fetch(tmp_path / "new.txt")
    assert precious != await fetch(precious)
    assert "mine" == precious.read_text()


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({}, "param error: FileId"),
        ({"FileId": "3057" * 30, "AesKey": "a" * 32}, "fileid not found"),
        ({"FileId": "zz", "AesKey": "a" * 32}, "fileid not found"),
        ({"VoiceXml": "<msg><voicemsg/></msg>"}, "param error: VoiceXml"),
        ({"VoiceXml": "<msg>"}, "param error: VoiceXml"),
    ],
)
async def test_a_missing_object_is_not_fetched(gateway: Gateway, parameters: dict[str, Any], wrong: str) -> None:
    assert wrong == await gateway.cmd(0, "/v2/cdndownload", FileType=5, **parameters)


# --- login, generations ----------------------------------------------------------------------------------------------


async def test_accounts_are_listed_masked_and_log_in_again_by_phone_or_code(gateway: Gateway) -> None:
    _, before = await gateway.raw("/v2/wechatinfo", method="GET")
    await gateway.cmd(282)
    _, gone = await gateway.raw("/v2/WeChatInfo", method="GET")
    _, pushed = await gateway.raw("/v2/login/push", method="GET", wxid=SELF)
    _, unknown = await gateway.raw("/v2/login/push", method="GET", wxid="wxid_nobody")
    _, page = await gateway.raw("/v2/login/getqrcode", method="GET", isIPad="2", wxid="")
    _, after = await gateway.raw("/v1/WeChatInfo", method="GET")

    assert {"ResponseData": {"WeChatUsers": [{"Wxid": "wxid_san****", "NickName": "Yizhan"}]}} == before
    assert [] == gone["ResponseData"]["WeChatUsers"]
    assert ("", 0) == (pushed["ErrMsg"], pushed["CgiBaseResponse"]["Ret"])
    assert ("err", -2) == (unknown["ErrMsg"], unknown["CgiBaseResponse"]["Ret"])
    assert '<img src="data:image/png;base64,' in page
    assert 2 == len(after["ResponseData"]["WeChatUsers"])


async def test_native_login_commands_work_without_an_account_that_is_online() -> None:
    async with serve(PLATFORM, options=ServerOptions(manual_logins=True)) as served, ClientSession() as session:
        gateway = Gateway(served, session)
        code = await gateway.cmd(502, wxid="", Wxid="")
        before = await gateway.cmd(503, wxid="", Uuid=code["Uuid"])
        await served.server.login(code["Uuid"], "scan")
        scanned = await gateway.cmd(503, wxid="", Uuid=code["Uuid"])
        served.world.clock.advance(301)
        expired = await gateway.cmd(503, wxid="", Uuid=code["Uuid"])
        await served.server.login(code["Uuid"], "confirm")
        confirmed = await gateway.cmd(503, wxid="", Uuid=code["Uuid"])

        assert [0, 1, 3, 2] == [state["Status"] for state in (before, scanned, expired, confirmed)]
        assert confirmed["Wxid"].startswith("wxid_")
        assert "param error: Uuid" == await gateway.cmd(503, Uuid="nothing")
        with pytest.raises(LookupError, match="nothing"):
            await served.server.login("nothing", "scan")


@pytest.mark.parametrize(
    ("funcname", "body"),
    [
        ("SendMsg", {"Content": "hi", "MsgType": 1, "AtUsers": ""}),
        ("SendImage", {"ImageBase64": "AAAA"}),
        ("SendAppMsg", {"MsgType": 57, "Content": LINK}),
        ("SendVoice", {"VoiceBase64": base64.b64encode(b"\x02#!SILK_V3").decode(), "VoiceTime": 1}),
        ("SendVoice", {"VoiceBase64": base64.b64encode(b"\x02#!SILK_V3").decode()}),
        ("SendEmoji", {"EmojiMd5": "ab" * 16, "EmojiLen": 5}),
        ("SendCdnImage", {"XmlStr": f'<msg><img aeskey="{"a" * 32}" cdnmidimgurl="{"30" * 20}"/></msg>'}),
        ("SendVideo", {"VideoXml": f'<msg><videomsg aeskey="{"a" * 32}" cdnvideourl="{"30" * 20}"/></msg>'}),
        ("MagicCgi", {"CgiCmd": 522, "CgiRequest": {"ToUserName": "filehelper", "Content": "hi"}}),
    ],
)
async def test_the_first_generation_is_understood(gateway: Gateway, funcname: str, body: dict[str, Any]) -> None:
    _, answer = await gateway.raw(
        "/v1/LuaApiCaller", {"ToUserName": "filehelper", **body}, funcname=funcname, timeout="10", wxid=SELF
    )

    assert 0 == answer["CgiBaseResponse"]["Ret"], answer
    assert str(answer["ResponseData"]["NewMsgId"]) == gateway.posts()[0].message_id


async def test_unknown_functions_and_commands_are_not_supported(gateway: Gateway) -> None:
    _, function = await gateway.raw("/v1/LuaApiCaller", {}, funcname="Nothing", wxid=SELF)
    _, missing = await gateway.raw("/v2/api", {}, wxid=SELF)

    assert "CgiCmd not support" == await gateway.cmd(999999)
    assert ["CgiCmd not support"] * 2 == [a["CgiBaseResponse"]["ErrMsg"] for a in (function, missing)]


# --- the socket -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "junk", ["", "你还在吗", "5", "[]", "{}", '{"a":', "[" * 10000, '{"ReqId":1}', "\x00", '"CgiCmd"', "null"]
)
async def test_junk_keeps_the_line_alive(gateway: Gateway, junk: str) -> None:
    async with gateway.session.ws_connect(f"{gateway.served.url}/ws") as socket:
        await socket.send_str(junk)
        await gateway.served.server.say("wxid_alice", "bot", text="still here")

        frame = json.loads(await socket.receive_str(timeout=PATIENCE))
    assert "still here" == frame["CurrentPacket"]["Data"]["AddMsg"]["Content"]


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ({"ReqId": 1, "CgiCmd": 522}, "param error: CgiRequest"),
        ({"ReqId": 1, "CgiCmd": "x", "CgiRequest": {}}, "CgiCmd not support"),
        ({"ReqId": 1, "CgiCmd": None, "CgiRequest": {}}, "CgiCmd not support"),
        ({"ReqId": 1, "CgiCmd": 1e400, "CgiRequest": {}}, None),
        ({"ReqId": 1, "CgiCmd": 0, "CgiRequest": []}, "param error: CgiRequest"),
        ({"ReqId": [1], "BotWxid": {"a": 1}, "CgiCmd": 522, "CgiRequest": {"ToUserName": "a", "Content": ""}}, "wxid"),
        ({"CgiCmd": 302, "CgiRequest": {}}, "wxid not found"),
    ],
)
async def test_bad_commands_over_the_socket_are_answered(gateway: Gateway, command: Any, wrong: str | None) -> None:
    async with gateway.session.ws_connect(f"{gateway.served.url}/ws") as socket:
        await socket.send_str(json.dumps(command))
        await socket.send_str(json.dumps({"ReqId": 2, "BotWxid": SELF, "CgiCmd": 302, "CgiRequest": {}}))
        frames = [json.loads(await socket.receive_str(timeout=PATIENCE)) for _ in range(2 if wrong else 1)]

    if wrong:
        (bad,) = [frame for frame in frames if frame["ReqId"] != 2]
        assert bad["CgiBaseResponse"]["ErrMsg"].startswith(wrong)
    assert [0] == [frame["CgiBaseResponse"]["Ret"] for frame in frames if frame["ReqId"] == 2]


async def test_the_line_of_one_account_hears_that_account_only() -> None:
    options = ServerOptions(extra={"accounts": ["wxid_one", "wxid_two"]})
    async with serve(PLATFORM, options=options) as served, ClientSession() as session:
        async with session.ws_connect(f"{served.url}/ws/wxid_two/558-000-000") as socket:
            await served.server.say("wxid_alice", "wxid_one", text="one")
            await served.server.say("wxid_alice", "wxid_two", text="two")
            frame = json.loads(await socket.receive_str(timeout=PATIENCE))
        async with session.ws_connect(f"{served.url}/ws/wxid_nobody/1") as socket:
            closed = await socket.receive(timeout=PATIENCE)

    assert ("wxid_two", "two") == (frame["CurrentWxid"], frame["CurrentPacket"]["Data"]["AddMsg"]["Content"])
    assert 1008 == closed.data


async def test_ones_own_messages_need_not_come_back() -> None:
    async with serve(PLATFORM, rules={"echo.own": False}) as served, ClientSession() as session:
        async with session.ws_connect(f"{served.url}/ws") as socket:
            await Gateway(served, session).cmd(522, ToUserName="filehelper", Content="mine", MsgType=1)
            await served.server.say("wxid_alice", "bot", text="hers")
            frame = json.loads(await socket.receive_str(timeout=PATIENCE))

    assert "hers" == frame["CurrentPacket"]["Data"]["AddMsg"]["Content"]


async def test_rules_that_are_changed_apply_at_once(gateway: Gateway) -> None:
    gateway.served.server.rules = PLATFORM.rules(overrides={"cdn.max_bytes": 3})  # type: ignore[attr-defined]

    assert "file too large, max 30M" == await gateway.upload(b"four")


async def test_an_unknown_person_is_a_lookup_error(gateway: Gateway) -> None:
    with pytest.raises(LookupError, match="Did you mean wxid_alice"):
        await gateway.served.server.say("wxid_alise", "bot", text="hi")
    with pytest.raises(LookupError, match="no group"):
        await gateway.served.server.say("wxid_alice", "1@chatroom", text="hi")
    with pytest.raises(LookupError, match="no webhooks"):
        await gateway.served.server.webhook("http://127.0.0.1:1/")


async def test_people_and_groups_are_made_on_demand(gateway: Gateway) -> None:
    (person,), (group,) = gateway.served.server.people("user", 1), gateway.served.server.people("group", 1)

    for id in (person, group):
        assert (await gateway.cmd(522, ToUserName=id, Content="hi", MsgType=1))["NewMsgId"]


# --- hostile bodies ---------------------------------------------------------------------------------------------------

BODIES = [b"", b"{", b"[]", b'"x"', b"5", b"null", b"\xff\xfe", b"[" * 100_000, b'{"CgiCmd":' * 2000, b"\x00" * 10]
PATHS = ["/v2/api", "/v2/cdnupload", "/v2/cdndownload", "/v1/LuaApiCaller?funcname=SendMsg"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:12]))
async def test_a_body_that_is_no_object_is_answered_in_the_gateways_shape(
    gateway: Gateway, path: str, body: bytes
) -> None:
    status, answer = await gateway.raw(f"{path}{'&' if '?' in path else '?'}wxid={SELF}", body)

    assert status in (200, 400)
    assert -2 == answer["CgiBaseResponse"]["Ret"]
    assert {} == answer["ResponseData"]


WILD: list[Any] = [
    None,
    True,
    -1,
    0,
    2**63,
    -(2**70),
    1.5,
    1e308,
    "",
    "x",
    "\u0000",
    "\ud800",
    "a" * 10_000,
    "wxid_alice",
    GROUP,
    SELF,
    "<msg/>",
    "<appmsg>",
    LINK,
    [],
    [None],
    ["wxid_alice"],
    [[1]],
    {},
    {"a": {"b": []}},
    "../../etc/passwd",
    "http://127.0.0.1:1/",
    "0x10",
    "９",
]


@pytest.mark.parametrize("name", sorted(convert.COMMANDS))
async def test_wild_parameters_never_break_a_command(gateway: Gateway, name: str) -> None:
    command = convert.COMMANDS[name]
    assert command.parameters is not None
    fields = [field.encode_name for field in msgspec.structs.fields(command.parameters)]
    chance = random.Random(name)
    for _ in range(60):
        parameters = {field: chance.choice(WILD) for field in fields if chance.random() < 0.85}
        status, answer = await gateway.raw(
            command.path, {"CgiCmd": command.number, "CgiRequest": parameters}, wxid=SELF
        )

        assert status in (200, 400), answer
        assert answer["CgiBaseResponse"]["Ret"] in (0, -2)
        gateway.served.server.reset()


@pytest.mark.parametrize("endpoint", [e for e in vars(wire).values() if isinstance(e, Endpoint)], ids=lambda e: e.name)
def test_the_target_of_an_endpoint_is_one_of_its_fields(endpoint: Endpoint[Any, Any]) -> None:
    first, _, rest = endpoint.target.partition(".")
    names = {field.encode_name for field in msgspec.structs.fields(endpoint.request)}
    parameters = getattr(endpoint, "parameters", None)
    nested = {field.encode_name for field in msgspec.structs.fields(parameters)} if parameters else {rest}

    assert not endpoint.target or first in names
    assert not rest or rest in nested
