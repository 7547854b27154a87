"""The sandbox's local "type" API over a socket: its envelope, its refusals, its pushes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from tests.support import Served, serve
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.wechat_xml import FileCard, compose_file
from yizhan.platforms.wechatsdk import PLATFORM
from yizhan.platforms.wechatsdk.server import NEIGHBOURS, Server
from yizhan.platforms.wechatsdk.wire import tcp_length

GROUP = "10001@chatroom"


class Phone:
    """Posts to the API as any client would."""

    def __init__(self, served: Served, session: ClientSession) -> None:
        self.served = served
        self.session = session
        assert isinstance(served.server, Server)
        self.server = served.server

    async def raw(self, body: bytes, path: str = "/api/", **more: Any) -> tuple[int, Any]:
        async with self.session.post(self.served.url + path, data=body, **more) as answer:
            return answer.status, json.loads(await answer.text())

    async def __call__(self, number: int, **fields: Any) -> Any:
        status, body = await self.raw(json.dumps({"type": number, **fields}).encode())
        assert 200 == status
        return body

    async def status(self, number: int, **fields: Any) -> Any:
        return (await self(number, **fields))["data"]["status"]


@asynccontextmanager
async def phone(**more: Any) -> AsyncIterator[Phone]:
    async with serve(PLATFORM, **more) as served, ClientSession() as session:
        yield Phone(served, session)


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not done():  # noqa: ASYNC110 - a condition of another task, looked at whenever it has run
            await asyncio.sleep(0)


# --- the envelope -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 10001),
        (b"   ", 10001),
        (b"{", 10001),
        (b"[1]", 10001),
        (b'"x"', 10001),
        (b"\xff\xfe", 10001),
        (b"[" * 100_000, 10001),
        (b'{"type":' + b"[" * 100_000, 10001),
        (b"{}", 10002),
        (b'{"type":null}', 10002),
        (b'{"type":"10009"}', 10002),
        (b'{"type":true}', 10002),
        (b'{"type":10009.5}', 10002),
        (b'{"type":10009}', 10002),
        (b'{"type":10009,"userName":5,"msgContent":"x"}', 10002),
        (b'{"type":10009,"userName":"filehelper","msgContent":null}', 10002),
        (b'{"type":21,"userNames":"x"}', 10002),
        (b'{"type":21,"userNames":[]}', 10002),
        (b'{"type":99999}', 10003),
        (b'{"type":-1}', 10003),
        (b'{"type":123456789012345678901234567890}', 10003),
        (b'{"type":10009,"userName":"filehelper","msgContent":"' + b"x" * (2 << 20) + b'"}', 10002),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_an_unreadable_request_is_refused_in_the_form_of_the_api(body: bytes, code: int) -> None:
    async with phone() as call:
        status, answer = await call.raw(body)

        assert (200, code) == (status, answer["error_code"])
        assert answer["data"]["status"] != 0
        assert "wxid_sandbox" == answer["robot"]["userName"]


async def test_the_content_type_does_not_matter_nor_the_slash_at_the_end() -> None:
    async with phone() as call:
        body = b'{"type":28}'

        for path in ("/api/", "/api"):
            for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"):
                _, answer = await call.raw(body, path, headers={"Content-Type": kind})
                assert (10000, 0) == (answer["error_code"], answer["data"]["status"])


async def test_other_methods_are_not_served() -> None:
    async with phone() as call, call.session.get(call.served.url + "/api/") as answer:
        assert 405 == answer.status


async def test_neighbours_say_that_they_are_not_played_here() -> None:
    async with phone() as call:
        served = {e.constants["type"] for e in call.server.router.endpoints}
        answer = await call(min(NEIGHBOURS))

        assert (10000, -1) == (answer["error_code"], answer["data"]["status"])
        assert "not supported" in answer["data"]["desc"]
        assert set() == served & NEIGHBOURS


async def test_message_ids_are_numbers_and_text_beyond_the_range_of_doubles() -> None:
    async with phone() as call:
        data = (await call(10009, userName="filehelper", msgContent="hi"))["data"]

        assert str(data["msgSvrID"]) == data["szMsgSvrID"]
        assert data["msgSvrID"] > 2**53


async def test_a_key_once_set_is_wanted_on_every_call_until_it_is_taken_away() -> None:
    async with phone() as call:
        await call(1006, newSecretKey="k-1")

        for wrong in ({}, {"secretKey": "k-2"}, {"secretKey": None}):
            answer = await call(28, **wrong)
            assert (10002, "secretKey invalid") == (answer["error_code"], answer["description"])
        assert 0 == await call.status(28, secretKey="k-1")
        assert 0 == await call.status(1006, newSecretKey="", secretKey="k-1")
        assert 0 == await call.status(28)


HOSTILE = [None, "", "x" * 5000, "\x00", "../../etc/passwd", -1, 1 << 70, 1.5, True, [], [[]], {}, {"a": {}}, "\ud800"]


async def test_no_value_of_any_field_is_a_server_error() -> None:
    async with phone() as call:
        for endpoint in call.server.router.endpoints:
            number = endpoint.constants["type"]
            names = [f for f in endpoint.request.__struct_fields__ if f != "secretKey"]
            for value in HOSTILE:
                body = json.dumps({**dict.fromkeys(names, value), "type": number, "userName": "wxid_bob"}).encode()
                status, answer = await call.raw(body)
                assert 200 == status, (number, value, answer)
                assert isinstance(answer["data"]["status"], int)
            call.server.account.logged_in, call.server.account.secret = True, ""


# --- targets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("filehelper", 0),
        ("wxid_alice", 0),
        (GROUP, 0),
        ("wxid_sandbox", 0),
        ("wxid_nobody", -1),
        ("gh_1", -1),
        ("", -1),
        ("1@chatroom", -1),
    ],
)
async def test_only_known_chats_can_be_written_to(name: str, status: int) -> None:
    async with phone() as call:
        assert status == await call.status(10009, userName=name, msgContent="hi")
        assert (status == 0) == any(call.served.world.select(target=name, call="send_text"))


async def test_strangers_and_groups_that_are_gone_cannot_be_written_to() -> None:
    async with phone() as call:
        network = call.served.world.network("wechat")
        network.people["wxid_bob"].friends = False
        await call(10028, chatroomUserName=GROUP)

        assert "not friend" == (await call(10009, userName="wxid_bob", msgContent="x"))["data"]["desc"]
        assert "not in chatroom" == (await call(10009, userName=GROUP, msgContent="x"))["data"]["desc"]


async def test_a_mention_needs_the_id_and_the_visible_name() -> None:
    async with phone() as call:
        await call(10009, userName=GROUP, msgContent="@Alice hi", atUserList=["wxid_alice", "wxid_nobody"])
        await call(10009, userName=GROUP, msgContent="Alice hi", atUserList=["wxid_alice"])

        told = [post.extra["mentions"] for post in call.served.world.select(call="send_text")]
        assert [["wxid_alice"], []] == told


# --- files of the simulated machine -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "etc/passwd",
        "C:\\..\\..\\etc\\passwd",
        "C:\\yizhan\\..\\..\\x",
        "D:\\x.txt",
        "\\\\server\\share\\x",
        "file:///etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "x\x00y",
        "/" + "a" * 5000,
        "~/.ssh/id_rsa",
    ],
)
@pytest.mark.parametrize("number", [7, 10012, 10010, 10011, 64])
async def test_no_file_outside_of_the_allowed_folders_is_read(path: str, number: int) -> None:
    async with phone() as call:
        answer = await call(number, userName="filehelper", filePath=path, emojiPath=path, aeskey="0" * 32, fileType=5)

        assert "path not allowed" in answer["data"]["desc"]


async def test_links_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "folder").symlink_to("/etc")
    async with phone() as call:
        for path in ("link", "folder/passwd"):
            answer = await call(10012, userName="filehelper", filePath=str(tmp_path / path))
            assert "path not allowed" in answer["data"]["desc"]


async def test_files_are_read_below_the_temporary_folder_and_folders_that_were_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"hello")
    async with phone(options=ServerOptions(extra={"folders": [str(tmp_path)]})) as call:
        await call(10012, userName="filehelper", filePath=str(tmp_path / "a.txt"))

        (post,) = call.served.world.select(call="send_file")
        assert ("a.txt", b"hello") == (post.name, post.blob and post.blob.read())
        missing = await call(10012, userName="filehelper", filePath=str(tmp_path / "b.txt"))
        assert "file not exists" in missing["data"]["desc"]


async def test_downloads_go_only_where_reading_is_allowed(tmp_path: Path) -> None:
    async with phone() as call:
        blob = await call.served.world.blobs.add(b"content")
        answer = (await call.server.cdn.put(blob, blob.md5, 5)).answer
        asked = {"fileid": answer.fileid, "aeskey": answer.aeskey, "fileType": 5}

        assert 0 == await call.status(88, **asked, savePath=str(tmp_path / "in.bin"))
        assert b"content" == (tmp_path / "in.bin").read_bytes()
        assert 0 == await call.status(88, **asked, savePath="C:\\new\\folder\\in.bin")
        assert b"content" == (call.server.folders.drive / "new/folder/in.bin").read_bytes()
        for path in ("/etc/yizhan", str(tmp_path / "none/in.bin"), str(tmp_path), "C:\\..\\x"):
            assert -1 == await call.status(88, **asked, savePath=path)
        assert -1 == await call.status(88, **{**asked, "aeskey": "0" * 32}, savePath=str(tmp_path / "x"))


# --- forwarding from one upload ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "file_type", "limits", "words"),
    [
        (26 << 20, 5, True, "larger files are 7"),
        (26 << 20, 5, False, ""),
        (26 << 20, 7, True, ""),
        (25 << 20, 5, True, ""),
        (25 << 20, 7, True, ""),
        (100, 7, True, ""),
    ],
)
async def test_a_file_above_25_mb_is_no_upload_of_type_5(
    tmp_path: Path, size: int, file_type: int, limits: bool, words: str
) -> None:
    with (tmp_path / "a.bin").open("wb") as file:
        file.truncate(size)
    async with phone(rules={"limits": limits}) as call:
        answer = await call(7, filePath=str(tmp_path / "a.bin"), aeskey="ab" * 16, fileType=file_type)

        assert words in answer["data"]["desc"]
        assert (-1 if words else 0) == answer["data"]["status"]


@pytest.mark.parametrize(("number", "uploaded_as"), [(10097, 4), (10097, 3), (10096, 2), (10099, 2), (10098, 2)])
async def test_an_upload_of_one_kind_is_not_forwarded_as_another(tmp_path: Path, number: int, uploaded_as: int) -> None:
    async with phone() as call:
        fields = await uploaded(call, tmp_path, uploaded_as)
        measures = {"rawthumbsize": "0", "encryptfilemd5": "", "videoseconds": "1", "voiceduration": "20"}

        answer = await call(number, userName="wxid_bob", fileName="a", **{**fields, **measures})

        assert "fileType" in answer["data"]["desc"]


async def test_an_answer_repeats_the_number_of_an_unknown_interface() -> None:
    async with phone() as call:
        for number in (99999, -1, 10055, 10009):
            assert number == (await call(number))["type"]


async def test_members_of_groups_from_the_database_have_the_name_they_use_in_the_group() -> None:
    async with phone() as call:
        await call(10024, chatroomUserName=GROUP, nickName="Bot of the harbor")
        groups = (await call(10114))["data"]["data"]["chatrooms"]
        members = next(group for group in groups if group["userName"] == GROUP)["chatroomMembers"]

        assert "Bot of the harbor" == members["wxid_sandbox"]["chatroomNickName"]
        assert all("" == member["chatroomNickName"] for id, member in members.items() if id != "wxid_sandbox")


async def uploaded(call: Phone, tmp_path: Path, file_type: int = 5, data: bytes = b"content") -> dict[str, Any]:
    (tmp_path / "a.bin").write_bytes(data)
    answer = await call(7, filePath=str(tmp_path / "a.bin"), aeskey="AB" * 16, fileType=file_type)
    fields: dict[str, Any] = answer["data"]["data"]
    wanted = ("rawtotalsize", "rawfilemd5", "fileid", "rawfilekey", "aeskey", "filecrc")
    return {name: fields[name] for name in wanted} | {"filekey": fields["filekey"]}


async def test_every_value_of_an_upload_is_text_and_the_key_comes_back(tmp_path: Path) -> None:
    async with phone() as call:
        (tmp_path / "a.bin").write_bytes(b"content")
        answer = (await call(7, filePath=str(tmp_path / "a.bin"), aeskey="AB" * 16, fileType=5))["data"]["data"]

        assert {str} == {type(value) for value in answer.values()}
        assert ("ab" * 16, "7", 178) == (answer["aeskey"], answer["rawtotalsize"], len(answer["fileid"]))


@pytest.mark.parametrize(
    ("change", "desc"),
    [
        ({}, ""),
        ({"rawtotalsize": 7}, ""),
        ({"filecrc": "1"}, ""),
        ({"aeskey": "AB" * 16}, ""),
        ({"fileid": "30" * 20}, "fileid not exists"),
        ({"aeskey": "00" * 16}, "file info mismatch: aeskey"),
        ({"rawtotalsize": "8"}, "file info mismatch: rawtotalsize"),
        ({"rawfilemd5": "00" * 16}, "file info mismatch: rawfilemd5"),
        ({"rawfilekey": "filekey"}, "file info mismatch: rawfilekey (this is the filekey)"),
        ({"rawfilekey": "00" * 16}, "file info mismatch: rawfilekey"),
        ({"rawfilekey": ""}, "file info mismatch: rawfilekey"),
        ({"rawfilemd5": ""}, "file info mismatch: rawfilemd5"),
        ({"fileName": ""}, "missing parameter: fileName"),
        ({"fileName": " "}, "missing parameter: fileName"),
        ({"fileType": 5}, ""),
        ({"fileType": 7}, "file info mismatch: fileType"),
        ({"fileType": 2}, "file info mismatch: fileType"),
    ],
)
async def test_a_forward_repeats_one_upload(tmp_path: Path, change: dict[str, Any], desc: str) -> None:
    async with phone() as call:
        fields = await uploaded(call, tmp_path)
        file_key = fields.pop("filekey")
        change = {name: file_key if value == "filekey" else value for name, value in change.items()}

        answer = await call(10098, userName="wxid_bob", **({"fileName": "b.bin"} | fields | change))

        code = 10002 if desc.startswith("missing") else 10000
        assert (code, desc) == (answer["error_code"], answer["data"]["desc"])


@pytest.mark.parametrize(
    ("number", "file_type", "wanted"),
    [
        (10097, 2, "rawtotalsize rawfilemd5 fileid aeskey filecrc rawthumbsize"),
        (10098, 7, "rawtotalsize rawfilemd5 fileid rawfilekey aeskey filecrc"),
        (10096, 4, "rawtotalsize rawfilemd5 fileid aeskey filecrc encryptfilemd5 rawthumbsize videoseconds"),
    ],
)
async def test_a_forward_wants_every_value_that_its_page_marks(
    tmp_path: Path, number: int, file_type: int, wanted: str
) -> None:
    async with phone() as call:
        (tmp_path / "a.bin").write_bytes(b"content")
        placed = await call(7, filePath=str(tmp_path / "a.bin"), aeskey="AB" * 16, fileType=file_type)
        fields = {name: placed["data"]["data"][name] for name in wanted.split()}
        more = {"fileName": "b", "fileType": 7} if number == 10098 else {}

        assert 0 == await call.status(number, userName="wxid_bob", **fields, **more)
        for name in fields:
            lacking = {key: value for key, value in fields.items() if key != name}
            answer = await call(number, userName="wxid_bob", **lacking, **more)
            assert (10002, f"missing parameter: {name}") == (answer["error_code"], answer["description"])


async def test_limits_that_are_lifted_are_all_lifted(tmp_path: Path) -> None:
    long_voice = tmp_path / "long.silk"
    long_voice.write_bytes(b"\x02#!SILK_V3" + b"\x02\x00ab" * 3001)
    picture = tmp_path / "a.png"
    picture.write_bytes(bytes(11))
    async with phone(rules={"text.max_bytes": 10, "image.max_bytes": 10}) as call:
        sends: list[tuple[int, dict[str, str]]] = [
            (10009, {"msgContent": "x" * 11}),
            (10010, {"filePath": str(picture)}),
            (10014, {"filePath": str(long_voice)}),
        ]
        held = [await call.status(number, userName="wxid_bob", **fields) for number, fields in sends]
        call.server.rules = PLATFORM.rules(overrides={**call.server.rules.all(), "limits": False})

        assert [-1, -1, -1] == held
        assert [0, 0, 0] == [await call.status(number, userName="wxid_bob", **fields) for number, fields in sends]


async def test_a_recording_without_end_is_not_counted_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "zeros.silk").open("wb") as file:
        file.write(b"\x02#!SILK_V3")
        file.truncate(64 << 20)
    async with phone() as call:
        answer = await call(10014, userName="wxid_bob", filePath=str(tmp_path / "zeros.silk"))

        assert "file not supported: voice of 3600000 ms, the limit is 60000 ms" == answer["data"]["desc"]


async def test_the_same_bytes_are_one_object_and_end_when_the_rules_say_so(tmp_path: Path) -> None:
    async with phone(rules={"handle.seconds": 100}) as call:
        first = await uploaded(call, tmp_path)
        again = await uploaded(call, tmp_path)
        fields = {name: value for name, value in first.items() if name != "filekey"}

        assert first == again
        assert 0 == await call.status(10098, userName="wxid_bob", fileName="b", **fields)
        call.served.world.clock.advance(101)
        assert "fileid not exists" == (await call(10098, userName="wxid_bob", fileName="b", **fields))["data"]["desc"]


async def test_voice_is_silk_of_at_most_a_minute(tmp_path: Path) -> None:
    async with phone() as call:
        packet = b"\x02\x00ab"
        for name, data, status in (
            ("ok.silk", b"\x02#!SILK_V3" + packet * 100 + b"\xff\xff", 0),
            ("long.silk", b"\x02#!SILK_V3" + packet * 3001, -1),
            ("mp3.silk", b"ID3", -1),
        ):
            (tmp_path / name).write_bytes(data)
            assert status == await call.status(10014, userName="wxid_bob", filePath=str(tmp_path / name))
        answer = await call(7, filePath=str(tmp_path / "ok.silk"), aeskey="00" * 16, fileType=15)
        assert "2000" == answer["data"]["data"]["voiceduration"]


# --- cards, quotes, withdrawals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ("<appmsg><title>t</title><type>5</type><url>http://a.b/</url></appmsg>", 0),
        ("<appmsg><title>a & b</title><type>5</type></appmsg>", 0),
        ("<msg><appmsg><title>t</title><type>5</type></appmsg></msg>", -1),
        ("<appmsg><title>t", -1),
        ("text", -1),
        ('<appmsg a="&x;"><!DOCTYPE x></appmsg>', -1),
    ],
)
async def test_cards_are_an_appmsg_and_nothing_around_it(content: str, status: int) -> None:
    async with phone() as call:
        assert status == await call.status(10092, userName="wxid_bob", content=content)
        assert status == await call.status(10053, userName="wxid_bob", msgContent=content)


async def test_a_file_card_with_an_id_from_elsewhere_is_delivered_without_bytes() -> None:
    async with phone() as call:
        blob = await call.served.world.blobs.add(b"content")
        known = (await call.server.cdn.put(blob, blob.md5, 5)).answer.fileid
        for file_id in (known, "30" * 30):
            card = FileCard("a.txt", 7, cdnattachurl=file_id, aeskey=blob.md5, md5=blob.md5)
            assert 0 == await call.status(10053, userName="wxid_bob", content=compose_file(card), msgType=6)

        posts = list(call.served.world.select(call="send_xml"))
        assert [("file", "a.txt", blob), ("file", "a.txt", None)] == [(p.kind, p.name, p.blob) for p in posts]


async def test_a_message_is_withdrawn_by_its_sender_within_two_minutes() -> None:
    async with phone() as call:
        first = (await call(10009, userName="wxid_bob", msgContent="1"))["data"]
        second = (await call(10009, userName="wxid_bob", msgContent="2"))["data"]
        theirs = await call.server.say("wxid_bob", "bot", text="mine")

        assert 0 == await call.status(58, msgSvrID=first["msgSvrID"])
        assert "no permission" == (await call(58, msgSvrID=theirs))["data"]["desc"]
        assert "message not found" == (await call(58, msgSvrID="1"))["data"]["desc"]
        call.served.world.clock.advance(121)
        assert "revoke timeout" == (await call(58, msgSvrID=second["szMsgSvrID"]))["data"]["desc"]
        assert [True, False] == [post.recalled for post in call.served.world.select(call="send_text")]


async def test_the_pace_is_kept_where_a_profile_sets_one() -> None:
    async with phone(profile="2024-08-paced") as call:
        states = [await call.status(10009, userName="wxid_bob", msgContent="x") for _ in range(21)]

        assert [0] * 20 + [-1] == states
        call.served.world.clock.advance(61)
        assert 0 == await call.status(10009, userName="wxid_bob", msgContent="x")


# --- contacts, groups, SQL --------------------------------------------------------------------------------------------


async def test_profiles_come_one_or_many() -> None:
    async with phone() as call:
        one = (await call(10015, userName="wxid_zhangwei"))["data"]["data"]
        many = (await call(10015, userName=["wxid_alice", "nobody"]))["data"]["data"]
        batch = (await call(21, userNames=["wxid_alice", "nobody"]))["data"]["data"]

        assert ("张伟", "张工") == (one["nickName"], one["remark"])
        assert [0, -1] == [p["errorCode"] for p in many["profiles"]] == [p["errorCode"] for p in batch["profiles"]]
        assert -1 == await call.status(21, userNames=["x"] * 101)


async def test_a_friend_is_found_asked_remarked_and_deleted() -> None:
    async with phone() as call:
        found = (await call(43, keyword="wxid_bob"))["data"]["data"]
        await call(10051, userName="wxid_bob")
        assert "ticketInfo" in (await call(10015, userName="wxid_bob"))["data"]["data"]

        await call(10033, encryptUserName=found["encryptUserName"], ticket=found["ticket"])
        await call(10013, userName="wxid_bob", remark="Bobby")
        assert "Bobby" == (await call(10015, userName="wxid_bob"))["data"]["data"]["remark"]
        refused = await call(10035, encryptUserName="v3_1@stranger", ticket="v4_1")
        assert "user ticket invalid" == refused["data"]["desc"]


async def test_labels_are_made_put_on_people_and_taken_away() -> None:
    async with phone() as call:
        work = (await call(37, title="work"))["data"]["data"]
        assert work == (await call(37, title="work"))["data"]["data"]
        await call(40, userName="wxid_bob", labelIds=[str(work["labelId"])])
        await call(39, labelId=work["labelId"], newTitle="office")

        assert {"count": 1, "labels": [{**work, "title": "office"}]} == (await call(36))["data"]["data"]
        assert [work["labelId"]] == (await call(10015, userName="wxid_bob"))["data"]["data"]["labelIds"]
        assert -1 == await call.status(40, userName="wxid_bob", labelIds=[99])
        assert 0 == await call.status(38, labelId=str(work["labelId"]))
        assert {"count": 0, "labels": []} == (await call(36))["data"]["data"]
        assert [] == (await call(10015, userName="wxid_bob"))["data"]["data"]["labelIds"]


async def test_the_calls_of_starting_clients_are_answered() -> None:
    async with phone() as call:
        await call(1001, protocol=1, host="127.0.0.1", port=9)

        assert [0, 0] == [await call.status(number, bEnable=True) for number in (10094, 10095)]
        # An official client reads the address of every handler, and opens invitations without saying of which kind.
        assert [""] == [handler["url"] for handler in (await call(1003))["data"]["data"]]
        assert 0 == await call.status(10089, url="https://support.example.org/join")


async def test_members_in_the_database_say_who_leads_the_group() -> None:
    async with phone() as call:
        group = (await call(45, userNames=["wxid_alice", "wxid_bob"]))["data"]["data"]["chatroomUserName"]
        await call(49, chatroomUserName=group, userName="wxid_bob")
        members = (await call(10113, chatroomUserName=group))["data"]["data"]["chatroomMembers"]

        assert ["wxid_sandbox"] == [id for id, member in members.items() if member["isChatroomOwner"]]
        assert ["wxid_bob"] == [id for id, member in members.items() if member["isChatroomAdmin"]]
        assert "wxid_alice_wx" == members["wxid_alice"]["alias"]


FRIENDS = (
    "SELECT c.UserName, c.Remark, h.smallHeadImgUrl FROM Contact c LEFT JOIN ContactHeadImgUrl h "
    "ON c.UserName = h.usrName WHERE c.VerifyFlag = 0 AND (c.Type = 3 OR c.Type > 50) AND c.Type != 2050"
)


async def test_clients_read_their_friends_and_groups_with_sql() -> None:
    async with phone() as call:
        friends = (await call(10058, dbName="MicroMsg.db", sql=FRIENDS))["data"]["data"]
        groups = (await call(10058, sql="SELECT UserName FROM Contact WHERE Type IN (2, 2050)"))["data"]["data"]

        assert ["wxid_alice", "wxid_bob", "wxid_zhangwei"] == [row["UserName"] for row in friends]
        assert [{"UserName": GROUP}] == groups


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM Contact",
        "DROP TABLE Contact",
        "ATTACH '/tmp/x.db' AS x",
        "PRAGMA database_list",
        "SELECT load_extension('x')",
        "SELECT 1; SELECT 2",
        "",
        "SELECT",
        "SELECT zeroblob(1000000000)",
        "SELECT writefile('/tmp/x', 'y')",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n",
        "VACUUM INTO '/tmp/x.db'",
        "SELECT * FROM sqlite_master, pragma_table_info('Contact')\x00",
    ],
)
async def test_sql_reads_and_does_nothing_else(sql: str) -> None:
    async with phone() as call:
        answer = await call(10058, sql=sql)

        assert (10000, -1) == (answer["error_code"], answer["data"]["status"])
        assert "sql error" in answer["data"]["desc"]


async def test_a_group_is_made_filled_led_and_left() -> None:
    async with phone() as call:
        made = (await call(45, userNames=["wxid_alice", "wxid_bob"]))["data"]["data"]["chatroomUserName"]
        await call(32, chatroomUserName=made, userNames=["wxid_zhangwei"])
        await call(49, chatroomUserName=made, userName="wxid_bob")
        await call(33, chatroomUserName=made, userNames=["wxid_alice"])
        await call(10052, chatroomUserName=made, announcement="nine o'clock")
        await call(10023, chatroomUserName=made, chatroomName="Walkers")
        members = (await call(31, chatroomUserName=made))["data"]["data"]
        info = (await call(30, chatroomUserName=made))["data"]["data"]

        assert ["wxid_sandbox", "wxid_bob", "wxid_zhangwei"] == [m["userName"] for m in members["members"]]
        assert ["wxid_bob"] == members["chatroomAdminUserNames"]
        assert ("nine o'clock", "Walkers") == (info["announcement"], info["profile"]["data"]["nickName"])
        assert -1 == await call.status(33, chatroomUserName=GROUP, userNames=["wxid_bob"])
        assert 0 == await call.status(52, chatroomUserName=made)
        assert -1 == await call.status(30, chatroomUserName=made)


# --- pushes -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def receiver(heard: list[Any]) -> AsyncIterator[str]:
    """A program that receives pushes, over HTTP and WebSocket at one address; the port."""

    async def take(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            heard.append(await request.json())
            return web.json_response({"success": "true"})
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            heard.append(message.data if message.data == "hello" else json.loads(message.data))
            await socket.send_str("hello" if message.data == "hello" else "ok")
        return socket

    app = web.Application()
    app.router.add_route("*", "/x", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield str(runner.addresses[0][1])
    await runner.cleanup()


async def test_a_websocket_gets_a_greeting_and_then_every_event_in_order() -> None:
    heard: list[Any] = []
    async with receiver(heard) as port, phone() as call:
        await call(1001, protocol=3, url=f"ws://127.0.0.1:{port}/x")
        ids = [await call.server.say("wxid_alice", GROUP, text=f"@Sandbox {n}") for n in range(3)]
        await until(lambda: len(heard) == 4)

        assert "hello" == heard[0]
        assert ids == [push["data"]["szMsgSvrID"] for push in heard[1:]]
        data = heard[1]["data"]
        assert ("wxid_alice:\n@Sandbox 0", GROUP, 1) == (data["content"], data["from"], data["isChatroomMsg"])
        assert "<atuserlist>wxid_sandbox</atuserlist>" in data["reserved1"] == data["reversed1"]
        assert "Alice" == data["chatroomMemberInfo"]["nickName"]


async def test_a_tcp_handler_is_sent_a_length_and_then_that_many_bytes() -> None:
    heard: list[Any] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = tcp_length(await reader.readexactly(4), 1 << 20)
        heard.append(json.loads(await reader.readexactly(length)))
        assert b"" == await reader.read()
        writer.close()

    listener = await asyncio.start_server(take, "127.0.0.1", 0)
    async with listener, phone() as call:
        port = listener.sockets[0].getsockname()[1]
        await call(1001, protocol=1, host="127.0.0.1", port=str(port))
        for text in ("one", "two"):
            await call.server.say("wxid_bob", "bot", text=text)
        await until(lambda: len(heard) == 2)

        assert ["one", "two"] == [push["data"]["content"] for push in heard]


def test_the_length_of_a_tcp_frame_is_read_either_way_round() -> None:
    assert 300 == tcp_length((300).to_bytes(4, "little"), 1 << 20)
    assert 300 == tcp_length((300).to_bytes(4, "big"), 1 << 20)
    with pytest.raises(ValueError, match="announces"):
        tcp_length(b"\xff\xff\xff\xff", 1 << 20)


async def test_handlers_are_listed_once_each_and_removed() -> None:
    async with phone() as call:
        first = (await call(1001, protocol=2, url="http://127.0.0.1:9/x"))["data"]["cookie"]
        again = (await call(1001, protocol=2, url="http://127.0.0.1:9/x"))["data"]["cookie"]
        listed = (await call(1003))["data"]["data"]

        assert first == again
        assert [(first, 2, 2, "http://127.0.0.1:9/x")] == [
            (h["cookie"], h["protocol"], h["pcotocol"], h["url"]) for h in listed
        ]
        assert 0 == await call.status(1002, cookie=int(first))
        assert -1 == await call.status(1002, cookie=first)
        assert [] == (await call(1003))["data"]["data"]


@pytest.mark.parametrize(
    "fields",
    [
        {"protocol": 2, "url": "http://10.0.0.1/x"},
        {"protocol": 2, "url": "http://127.0.0.1.evil.example/x"},
        {"protocol": 2, "url": "http://localhost@evil.example/x"},
        {"protocol": 2, "url": "ftp://127.0.0.1/"},
        {"protocol": 3, "url": "http://127.0.0.1/"},
        {"protocol": 2, "url": "http://[::1/x"},
        {"protocol": 2},
        {"protocol": 1, "host": "169.254.169.254", "port": 80},
        {"protocol": 1, "host": "127.0.0.1", "port": "x"},
        {"protocol": 1, "host": "127.0.0.1", "port": 70000},
        {"protocol": 4, "hWnd": 5},
        {"protocol": 5},
    ],
)
async def test_events_are_pushed_to_this_machine_only(fields: dict[str, Any]) -> None:
    async with phone() as call:
        answer = await call(1001, **fields)

        assert answer["data"]["status"] != 0
        assert [] == (await call(1003))["data"]["data"]


async def test_a_host_that_was_named_is_not_a_way_to_another() -> None:
    async with phone(options=ServerOptions(extra={"push_hosts": ("relay.example",)})) as call:
        urls = ("http://relay.example:8/x", "http://relay.example:8@10.0.0.1/x", "http://relay.example@10.0.0.1/x")
        statuses = [await call.status(1001, protocol=2, url=url) for url in urls]

        assert [0, -1, -1] == statuses


async def test_an_asynchronous_call_answers_at_once_and_its_result_is_pushed_with_the_callers_data(
    tmp_path: Path,
) -> None:
    heard: list[Any] = []
    async with receiver(heard) as port, phone() as call:
        await call(1001, protocol=2, url=f"http://127.0.0.1:{port}/x")
        echo = {"job": 1, "n": [None, "x"]}
        at_once = await call(10009, userName="wxid_bob", msgContent="hi", bAsync=True, asyncUserData=echo)
        await call(10009, userName="nobody", msgContent="hi", bAsync=True, asyncUserData="second")
        await call(7, filePath="/etc/passwd", aeskey="0" * 32, fileType=5, bAsync=True)
        await call(10009, userName="wxid_bob", msgContent="", bAsync=True, asyncUserData="third")
        missing = await call(10009, userName="wxid_bob", bAsync=True)
        await until(lambda: len(heard) == 4)

        assert {"status": 0, "desc": ""} == at_once["data"]
        assert 10002 == missing["error_code"]
        good = next(push for push in heard if push.get("asyncUserData") == echo)
        bad = next(push for push in heard if push.get("asyncUserData") == "second")
        (post,) = call.served.world.select(call="send_text")
        assert (0, 10009, post.message_id) == (good["pushType"], good["type"], good["data"]["szMsgSvrID"])
        assert (-1, "user not found: nobody") == (bad["data"]["status"], bad["data"]["desc"])
        empty = next(push for push in heard if push.get("asyncUserData") == "third")
        blocking = await call(10009, userName="wxid_bob", msgContent="")
        assert {**blocking["data"], "asyncUserData": "third"} == empty["data"]
        assert "asyncUserData" not in next(push for push in heard if push["type"] == 7)


async def test_group_changes_are_pushed_once_that_is_switched_on() -> None:
    heard: list[Any] = []
    async with receiver(heard) as port, phone() as call:
        await call(1001, protocol=2, url=f"http://127.0.0.1:{port}/x")
        call.served.world.network("wechat").groups[GROUP].owner = "wxid_sandbox"
        await call(33, chatroomUserName=GROUP, userNames=["wxid_bob"])
        await call(10115, bEnable=True)
        await call(32, chatroomUserName=GROUP, userNames=["wxid_bob"])
        await call(10028, chatroomUserName=GROUP)
        await until(lambda: len(heard) == 2)

        assert [(5, 1), (5, 5)] == [(push["pushType"], push["data"]["subType"]) for push in heard]
        assert "wxid_bob" == heard[0]["data"]["members"][0]["userName"]


# --- logging in -------------------------------------------------------------------------------------------------------


async def test_logging_out_ends_everything_until_a_code_is_scanned() -> None:
    heard: list[Any] = []
    async with receiver(heard) as port, phone(options=ServerOptions(manual_logins=True)) as call:
        await call(1001, protocol=2, url=f"http://127.0.0.1:{port}/x")
        assert "not login" == (await call(29))["data"]["desc"]
        assert not (await call(28))["data"]["data"]["isLogin"]
        code = (await call(0))["data"]
        assert bytes(code["qrcode"]).startswith(b"\x89PNG")

        await call.server.login(code["uuid"], "scan")
        await call.server.login(code["uuid"], "confirm")

        assert 0 == await call.status(29)
        assert -2 == await call.status(0)
        await call(81)
        await until(lambda: len(heard) == 5)
        assert [(2, 0), (2, 1), (2, 2), (2, None), (3, None)] == [
            (push["pushType"], push["data"].get("state")) for push in heard
        ]
        assert all("scan" in push["data"]["desc"] for push in heard[:3])
        with pytest.raises(LookupError):
            await call.server.login(code["uuid"], "confirm")


async def test_a_reset_forgets_everything() -> None:
    async with phone() as call:
        await call(1006, newSecretKey="k")
        await call(10046, nickName="Other", secretKey="k")
        (call.server.folders.drive / "left.txt").write_bytes(b"left over")
        call.server.reset()

        assert [] == list(call.server.folders.drive.iterdir())

        assert "Sandbox" == (await call(28))["data"]["data"]["nickName"]


async def test_an_unknown_person_or_group_is_a_lookup_error() -> None:
    async with phone() as call:
        for sender, to in (("wxid_nobody", "bot"), ("wxid_bob", "no@chatroom")):
            with pytest.raises(LookupError):
                await call.server.say(sender, to, text="x")
        call.served.world.network("wechat").groups[GROUP].members.remove("wxid_bob")
        with pytest.raises(LookupError, match="not in the group"):
            await call.server.say("wxid_bob", GROUP, text="x")
