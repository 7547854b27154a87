"""Our client sends to our sandbox over a socket."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.platforms.webwechat.support import MP4, Account, account, png, target
from yizhan.errors import (
    HandleExpired,
    LoginNeeded,
    NotAllowed,
    OutcomeUnknown,
    Rejected,
    TargetGone,
    Throttled,
    Unavailable,
    UnknownTarget,
)
from yizhan.http.router import Cut
from yizhan.model import (
    BytesContent,
    ContactCard,
    File,
    Forward,
    Image,
    Mention,
    Receipt,
    SendKey,
    State,
    Sticker,
    Video,
    Voice,
    message_of,
)
from yizhan.platforms.adapter import MediaNeed
from yizhan.platforms.webwechat.wire.base import LOGGED_OUT
from yizhan.platforms.webwechat.wire.sending import Outgoing
from yizhan.platforms.webwechat.wire.session import NotifyCode
from yizhan.platforms.wechat_xml import parse_media


def receipt(sent: Any) -> Receipt:
    return Receipt("d1", "webwechat.main/user/Alice", State.SENT, (sent,))


async def test_every_kind_of_segment_arrives() -> None:
    async with account() as me:
        picture, paper, speech = png(), "报告内容\n".encode(), b"ID3 speech"
        await me.send(
            "hello <b> & 你好",
            Image(me.media(picture, "image", "png", name="a.png")),
            Video(me.media(MP4, "video", "mp4")),
            File(me.media(paper, "file", "", "text/plain"), "报告 1 & 2.txt"),
            Voice(me.media(speech, "voice", "mp3", name="x.mp3")),
            Sticker(me.media(b"GIF89a...", "image", "gif")),
            Sticker(md5="ab" * 16),
            ContactCard("wxid_bob", "Bob"),
        )
        posts = me.served.world.posts

        kinds = ["text", "image", "video", "file", "file", "sticker", "sticker", "contact_card"]
        assert kinds == [p.kind for p in posts]
        assert {"Alice"} == {p.target for p in posts}
        assert "hello <b> & 你好" == posts[0].text
        assert [hashlib.sha256(d).hexdigest() for d in (picture, MP4, paper, speech)] == [
            p.blob.sha256 for p in posts[1:5] if p.blob
        ]
        assert ["报告 1 & 2.txt", "x.mp3"] == [p.name for p in posts[3:5]]
        assert "ab" * 16 == posts[6].extra["md5"]


async def test_one_upload_serves_any_number_of_receivers() -> None:
    async with account() as me:
        names = me.server.people("user", 20)
        image = Image(me.media(png(), "image", "png"))
        for name in [*names, "filehelper"]:
            await me.send(image, to=name)
        await me.send(image, to=target("产品群", "group"))

        assert 1 == me.served.calls("webwxuploadmedia")
        assert [*names, "filehelper", "产品群"] == [post.target for post in me.served.world.posts]


@pytest.mark.parametrize(("size", "chunks"), [(1, 1), (524288, 1), (524289, 2), (1_300_000, 3), (4 * 524288, 4)])
async def test_files_go_in_chunks_of_half_a_mebibyte(size: int, chunks: int) -> None:
    async with account() as me:
        data = hashlib.shake_128(b"seed").digest(size)
        left: list[int] = []
        media = me.media(data, "file", "bin")
        need = MediaNeed(media, me.adapter.webwx.ready.scope, "doc")
        me.handles[need] = await me.adapter.upload(need, BytesContent(data), target("Alice"), left.append)
        await me.send(File(media, "a.bin"))
        (post,) = me.served.world.posts

        assert chunks == me.served.calls("webwxuploadmedia")
        assert size == sum(left)
        assert (size, hashlib.sha256(data).hexdigest()) == (post.blob.size, post.blob.sha256)  # type: ignore[union-attr]


@pytest.mark.parametrize("chunk", [0, 1, 2])
async def test_a_chunk_whose_answer_is_lost_is_sent_again(chunk: int) -> None:
    async with account() as me:
        lost: list[Any] = []

        async def after(exchange: Any) -> None:
            if exchange.endpoint == "webwxuploadmedia" and not lost and me.served.calls("webwxuploadmedia") == chunk:
                lost.append(exchange)
                raise Cut

        me.served.after = after  # type: ignore[method-assign]
        data = bytes(range(256)) * 5000
        await me.send(File(me.media(data, "file", "bin"), "a.bin"))

        assert 4 == me.served.calls("webwxuploadmedia")
        assert data == me.served.world.posts[0].blob.read()  # type: ignore[union-attr]


async def test_a_big_file_is_announced_and_a_known_one_not_uploaded_again() -> None:
    async with account(checkupload__required_above_bytes=1000) as me:
        rules = {"checkupload.ask_above_bytes": 900}
        clients = [Account(me.served, rules=rules) for _ in range(2)]
        data = bytes(range(256)) * 10
        for client in clients:
            await client.adapter.login(lambda step: None)
            await client.send(File(client.media(data, "file", "bin"), "big.bin"))
            await client.adapter.close()

        assert (2, 1) == (me.served.calls("webwxcheckupload"), me.served.calls("webwxuploadmedia"))
        assert [data, data] == [post.blob.read() for post in me.served.world.posts if post.blob]


@pytest.mark.parametrize("md5", ["", "abc", "g" * 32, "../" * 11, "0" * 33])
async def test_a_checkupload_without_an_md5_is_refused(md5: str) -> None:
    async with account() as me:
        with pytest.raises(Rejected, match="bad parameter"):
            await me.adapter.webwx.webwxcheckupload("a.bin", 30 << 20, md5, "filehelper")


async def test_a_big_file_without_checkupload_is_refused() -> None:
    async with account(checkupload__required_above_bytes=1000) as me:
        with pytest.raises(Rejected, match="webwxcheckupload comes first"):
            await me.send(File(me.media(bytes(1001), "file", "bin"), "big.bin"))


async def test_the_same_key_is_sent_once_and_gets_the_same_id() -> None:
    async with account() as me:
        first, second = await me.send("hi", token=77), await me.send("hi", token=77)
        other = await me.send("hi", token=77, to="Bob")
        me.served.world.clock.advance(601)
        later = await me.send("hi", token=77)

        assert first[0].id == second[0].id
        assert 3 == len({first[0].id, other[0].id, later[0].id})
        assert 3 == len(me.served.world.posts)


async def test_a_send_whose_answer_is_lost_may_be_repeated_under_its_key() -> None:
    async with account() as me:
        cuts = [True]

        async def after(exchange: Any) -> None:
            if cuts:
                cuts.clear()
                raise Cut

        me.served.after = after  # type: ignore[method-assign]
        with pytest.raises(OutcomeUnknown):
            await me.send("hi", token=5, to="filehelper")
        (sent,) = await me.send("hi", token=5, to="filehelper")

        assert [sent.id] == [post.message_id for post in me.served.world.posts]


async def test_a_send_response_without_an_id_is_an_unknown_outcome() -> None:
    from yizhan.wire import HttpResponse

    async with account() as me:

        async def before(exchange: Any) -> HttpResponse:
            return HttpResponse(200, (), b'{"BaseResponse":{"Ret":0,"ErrMsg":""},"MsgID":"0","LocalID":""}')

        me.served.before = before  # type: ignore[method-assign]
        with pytest.raises(OutcomeUnknown, match="gave no message id"):
            await me.send("hi", to="filehelper")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (1100, LoginNeeded),
        (1101, LoginNeeded),
        (1102, LoginNeeded),
        (1201, TargetGone),
        (1204, NotAllowed),
        (1205, Throttled),
        (-1, Unavailable),
        (1, Rejected),
    ],
)
async def test_each_ret_code_raises_its_error(code: int, error: Any) -> None:
    from yizhan.platforms.webwechat.wire.base import FAULTS
    from yizhan.wire import Fault

    async with account() as me:

        async def before(exchange: Any) -> None:
            raise Fault(FAULTS.row(code))

        me.served.before = before  # type: ignore[method-assign]
        with pytest.raises(error):
            await me.send("hi", to="filehelper")
        assert [] == me.served.world.posts


async def test_an_expired_media_id_raises_handle_expired() -> None:
    async with account(handle__seconds=60) as me:
        image = Image(me.media(png(), "image", "png"))
        await me.send(image)
        me.served.world.clock.advance(61)
        with pytest.raises(HandleExpired):
            await me.send(image)
        await me.send(image, keep=False)

        assert 2 == me.served.calls("webwxuploadmedia")


async def test_a_media_id_of_another_login_is_refused() -> None:
    async with account() as me:
        other = Account(me.served)
        await other.adapter.login(lambda step: None)
        for segment in (Image(me.media(png(), "image", "png")), File(me.media(b"x", "file", "txt"), "x.txt")):
            await me.send(segment)
            (part,) = me.adapter.compose(message_of(segment), target("Alice"))
            with pytest.raises(HandleExpired):
                await other.adapter.send(part, me.handles, target("Alice"), SendKey(9, 1), message_of(segment))
        await other.adapter.close()


async def test_a_handle_expires_if_the_rules_say_so() -> None:
    async with account(client_rules={"handle.seconds": 60}) as me:
        media = me.media(png(), "image", "png")
        await me.send(Image(media))
        (handle,) = me.handles.values()

        assert handle.expires_at == pytest.approx(me.served.world.now() + 60, abs=5)
        assert me.adapter.webwx.ready.scope == handle.scope


async def test_too_many_pictures_in_a_row_are_refused_by_the_older_profile() -> None:
    async with account(limit__image__count=3, limit__image__seconds=60) as me:
        image = Image(me.media(png(), "image", "png"))
        for _ in range(3):
            await me.send(image)
        with pytest.raises(Throttled):
            await me.send(image)
        await me.send("text is not counted")
        me.served.world.clock.advance(61)
        await me.send(image)

        assert 5 == len(me.served.world.posts)


async def test_the_client_s_limit_is_the_profile_s() -> None:
    async with account() as me:
        assert () == tuple(me.adapter.limits(message_of("hi"), target("Alice")))
        older = Account(me.served, profile="2018-01")
        image = message_of(Image(me.media(png(), "image", "png")))
        (limit,) = older.adapter.limits(image, target("Alice"))
        (forwarded,) = older.adapter.limits(message_of(Forward("image", {})), target("Alice"))

        assert (40, 600.0, "account") == (limit.count, limit.per_seconds, limit.scope)
        assert limit == forwarded
        assert () == tuple(older.adapter.limits(message_of("hi"), target("Alice")))


# --- whom it is for


async def test_targets_are_remarks_nicknames_rooms_and_built_in_accounts() -> None:
    async with account() as me:
        for to in ("张工", "张伟", "Bob", "filehelper"):
            await me.send("hi", to=to)
        await me.send("hi", to=target("产品群", "group"))

        assert ["张伟", "张伟", "Bob", "filehelper", "产品群"] == [post.target for post in me.served.world.posts]
        assert ["user"] * 4 + ["group"] == [post.target_kind for post in me.served.world.posts]


async def test_observers_see_stable_target_names() -> None:
    async with account() as me:
        await me.send("hi")
        await me.send("hi", to=target("产品群", "group"))
        seen = [e.target for e in me.served.exchanges if e.endpoint == "webwxsendmsg"]

        assert ["Alice", "产品群"] == seen


async def test_unknown_and_ambiguous_names_are_refused() -> None:
    async with account() as me:
        with pytest.raises(TargetGone, match=r"no contact called 'Alcie'.*Did you mean Alice"):
            await me.send("hi", to="Alcie")
        me.served.world.network("wechat").add_person("wxid_alice2", "Alice")
        await me.adapter._contacts.refresh()
        with pytest.raises(UnknownTarget, match="2 contacts are called 'Alice'"):
            await me.send("hi")


async def test_a_new_contact_is_found_without_a_new_login() -> None:
    async with account() as me:
        await me.send("hi")
        (name,) = me.server.people("user", 1)
        await me.send("hi", to=name)

        assert [name] == [post.target for post in me.served.world.posts][1:]


async def test_unknown_names_do_not_reread_the_address_book_endlessly() -> None:
    async with account() as me:
        for number in range(10):
            with pytest.raises(TargetGone):
                await me.send("hi", to=f"nobody {number}")

        assert 3 == me.served.calls("webwxgetcontact")


async def test_a_room_that_is_gone_raises_target_gone() -> None:
    async with account() as me:
        room = target("产品群", "group")
        await me.send("hi", to=room)
        me.served.world.network("wechat").group("10001@chatroom").gone = True
        with pytest.raises(TargetGone, match="1201"):
            await me.send("hi", to=room)


async def test_all_pages_of_an_address_book_are_read() -> None:
    async with account(contacts__page=7) as me:
        names = me.server.people("user", 40)
        await me.send("hi", to=names[-1])

        assert 7 == me.served.calls("webwxgetcontact")


async def test_a_mention_names_the_member_in_the_message_source() -> None:
    async with account() as me:
        await me.send("hi ", Mention("Bob"), to=target("产品群", "group"))
        (exchange,) = [e for e in me.served.exchanges if e.endpoint == "webwxsendmsg"]
        body = b"".join(p for p in exchange.http.body if isinstance(p, bytes)).decode()

        assert "hi @Bob\u2005" == me.served.world.posts[0].text
        assert "<atchatroomname>@@" in body


async def test_a_mention_finds_a_member_of_a_room_listed_without_members() -> None:
    async with account() as me:
        network = me.served.world.network("wechat")
        network.add_person("wxid_far", "Farah", friends=False)
        me.server.people("group", 30)
        network.add_group("79@chatroom", "far", ["wxid_far"])
        for _ in range(2):
            await me.send("hi ", Mention("Farah"), to=target("far", "group"))
        bodies = [e.http.body[0] for e in me.served.exchanges if e.endpoint == "webwxsendmsg"]

        assert all(b"<atusername>@" in body for body in bodies if isinstance(body, bytes))
        assert (2, 1) == (len(bodies), me.served.calls("webwxbatchgetcontact"))


# --- taking back


async def test_a_message_can_be_recalled_within_two_minutes() -> None:
    async with account() as me:
        (first,), (second,) = await me.send("one"), await me.send("two")
        me.served.world.clock.advance(110)
        await me.adapter.recall(first, target("Alice"), receipt(first))
        await me.adapter.recall(first, target("Alice"), receipt(first))
        me.served.world.clock.advance(20)
        with pytest.raises(NotAllowed, match=r"不能撤回.*within 120 seconds"):
            await me.adapter.recall(second, target("Alice"), receipt(second))

        assert [True, False] == [post.recalled for post in me.served.world.posts]


async def test_a_message_of_another_account_cannot_be_recalled() -> None:
    async with account() as me:
        id = await me.server.say("wxid_alice", "bot", text="mine")
        with pytest.raises(Unavailable):
            await me.adapter.webwx.webwxrevokemsg(id, "filehelper", "1")

        assert not me.served.world.posts[0].recalled


# --- sending on


async def received(me: Account, **said: Any) -> Any:
    await me.server.say("wxid_alice", "bot", **said)
    event = await me.next()
    assert event.message is not None
    return event.id, event.message.segments[-1]


@pytest.mark.parametrize("kind", ["image", "video"])
@pytest.mark.parametrize("form", ["xml", "token"])
async def test_a_received_picture_or_video_is_forwarded_without_an_upload(kind: Any, form: str) -> None:
    async with account(content__media=form) as me:
        blob = await me.served.world.blobs.add(png() if kind == "image" else MP4)
        _, forward = await received(me, media=blob, kind=kind)
        await me.send(forward, to="Bob")

        assert 0 == me.served.calls("webwxuploadmedia")
        assert [(kind, "Bob", blob.sha256, "2")] == [
            (p.kind, p.target, p.blob and p.blob.sha256, p.extra["scene"])
            for p in me.served.world.posts
            if p.call != "say"
        ]


async def test_a_recalled_picture_can_be_forwarded_in_a_later_login() -> None:
    async with account() as me:
        blob = await me.served.world.blobs.add(png())
        id, forward = await received(me, media=blob, kind="image")
        await me.server.take_back(id)
        await me.send(forward, to="Bob")
        me.server.end_session(next(iter(me.server.sessions.values())), me.server.router.envelope.faults.find(1100))
        await me.adapter.login(lambda step: None)
        await me.send(forward, to="Bob")

        assert [blob.sha256] * 2 == [p.blob.sha256 for p in me.served.world.posts if p.call != "say" and p.blob]


async def test_three_values_are_enough_to_forward_a_recalled_picture() -> None:
    async with account() as me:
        blob = await me.served.world.blobs.add(png())
        id, forward = await received(me, media=blob, kind="image")
        await me.server.take_back(id)
        kept = {name: parse_media(forward.reference["content"]).get(name) for name in ("aeskey", "cdnthumburl", "md5")}
        await me.send(Forward("image", kept), to="Bob")

        assert [blob.sha256] == [p.blob.sha256 for p in me.served.world.posts if p.call != "say" and p.blob]


async def test_a_picture_with_another_key_or_digest_is_not_found() -> None:
    async with account() as me:
        blob = await me.served.world.blobs.add(png())
        _, forward = await received(me, media=blob, kind="image")
        for wrong in (("md5=", f'md5="{"0" * 32}" x='), ("aeskey=", f'aeskey="{"0" * 32}" y=')):
            content = forward.reference["content"].replace(f" {wrong[0]}", f" {wrong[1]}", 1)
            with pytest.raises(Unavailable):
                await me.send(Forward("image", {**forward.reference, "content": content}))


async def test_a_received_file_sticker_and_link_are_forwarded_by_reference() -> None:
    async with account() as me:
        blob = await me.served.world.blobs.add(b"a paper")
        _, file = await received(me, media=blob, kind="file", name="报告.pdf")
        await me.send(file, to="Bob")
        sticker = await me.served.world.blobs.add(b"GIF89a")
        _, gif = await received(me, media=sticker, kind="sticker")
        await me.send(gif, to="Bob")
        said = await me.server.say("wxid_alice", "bot", text="https://x.y/?a=1", kind="link", name="A & B")
        card = me.server.messages[said].xml
        await me.send(Forward("link", {"content": card}), to="Bob")
        sent = [p for p in me.served.world.posts if p.call != "say"]

        assert [("file", "报告.pdf"), ("sticker", ""), ("link", "A & B")] == [(p.kind, p.name) for p in sent]
        assert (blob.sha256, sticker.md5) == (sent[0].blob.sha256, sent[1].extra["md5"])  # type: ignore[union-attr]
        assert 0 == me.served.calls("webwxuploadmedia")


async def test_the_media_id_of_a_received_file_is_refused_as_a_picture() -> None:
    async with account() as me:
        blob = await me.served.world.blobs.add(png())
        _, file = await received(me, media=blob, kind="file", name="a.png")
        msg = Outgoing(Type=3, MediaId=file.reference["media_id"], Content="", ToUserName="filehelper")
        with pytest.raises(Unavailable):
            await me.adapter.webwx.send("webwxsendmsgimg", msg)


async def test_mark_read_names_the_chat() -> None:
    async with account() as me:
        await me.adapter.mark_read(target("Alice"))
        (exchange,) = [e for e in me.served.exchanges if e.endpoint == "webwxstatusnotify"]
        body = b"".join(p for p in exchange.http.body if isinstance(p, bytes))

        assert b'"Code":1' in body
        assert str(me.adapter._contacts.book.find("user", "Alice")).encode() in body


# --- fidelity of the sandbox


async def test_an_upload_names_its_first_receiver() -> None:
    async with account() as me:
        image = me.media(png(), "image", "png")
        await me.send(Image(image), to="Alice")
        need = MediaNeed(me.media(png(10, 10), "image", "png"), me.adapter.webwx.ready.scope, "pic")
        await me.adapter.upload(need, BytesContent(png(10, 10)), target("Nobody at all"))
        forms = [e.http.parts for e in me.served.exchanges if e.endpoint == "webwxuploadmedia"]
        named = [
            json.loads(str(p.value))["ToUserName"] for form in forms for p in form if p.name == "uploadmediarequest"
        ]

        assert [me.adapter._contacts.book.find("user", "Alice"), "filehelper"] == named


async def test_a_message_carries_a_time_as_its_ids() -> None:
    async with account() as me:
        await me.send("one", to="filehelper")
        await me.send("two", to="filehelper")
        bodies = [
            json.loads(b"".join(p for p in e.http.body if isinstance(p, bytes)))["Msg"]
            for e in me.served.exchanges
            if e.endpoint == "webwxsendmsg"
        ]

        assert all(msg["LocalID"] == msg["ClientMsgId"] for msg in bodies)
        assert all(abs(int(msg["LocalID"]) / 1e7 - me.served.world.now()) < 100 for msg in bodies)
        assert 2 == len({msg["LocalID"] for msg in bodies})


@pytest.mark.parametrize(
    ("use", "call"),
    [
        ("video", "webwxsendmsgimg"),
        ("doc", "webwxsendmsgimg"),
        ("pic", "webwxsendvideomsg"),
        ("doc", "webwxsendvideomsg"),
        ("video", "webwxsendemoticon"),
    ],
)
async def test_a_media_id_of_another_media_type_is_refused(use: str, call: str) -> None:
    async with account() as me:
        media = me.media(MP4, "video", "mp4")
        need = MediaNeed(media, me.adapter.webwx.ready.scope, use)
        handle = await me.adapter.upload(need, BytesContent(MP4), target("Alice"))
        media_id = json.loads(handle.token)["media_id"]
        with pytest.raises(Unavailable, match="system error"):
            await me.adapter.webwx.send(call, Outgoing(MediaId=media_id, EmojiFlag=2, ToUserName="filehelper"))
        assert [] == me.served.world.posts


async def test_a_recall_needs_the_receiver_s_name() -> None:
    async with account() as me:
        (sent,) = await me.send("hi", to="Alice")
        bob = await me.adapter._contacts.user_name(target("Bob"))
        for wrong, error in ((bob, Unavailable), ("@" + "0" * 64, TargetGone), ("", TargetGone)):
            with pytest.raises(error):
                await me.adapter.webwx.webwxrevokemsg(sent.id, wrong, "1")
        recalled_before = me.served.world.posts[0].recalled
        await me.adapter.recall(sent, target("Alice"), receipt(sent))

        assert (False, True) == (recalled_before, me.served.world.posts[0].recalled)


async def test_a_recall_in_a_room_that_is_gone_is_refused() -> None:
    async with account() as me:
        room = target("产品群", "group")
        (sent,) = await me.send("hi", to=room)
        me.served.world.network("wechat").groups["10001@chatroom"].gone = True
        with pytest.raises(TargetGone):
            await me.adapter.recall(sent, room, receipt(sent))

        assert not me.served.world.posts[0].recalled


@pytest.mark.parametrize(("code", "accepted"), [(1, True), (2, True), (5, True), (0, False), (6, False), (-1, False)])
async def test_status_notices_have_the_documented_codes(code: Any, accepted: bool) -> None:
    async with account() as me:
        if accepted:
            assert await me.adapter.webwx.webwxstatusnotify(code, "filehelper")
        else:
            with pytest.raises(Rejected, match="bad parameter"):
                await me.adapter.webwx.webwxstatusnotify(code, "filehelper")


async def test_a_status_notice_about_an_unknown_chat_is_refused() -> None:
    async with account() as me:
        with pytest.raises(TargetGone):
            await me.adapter.webwx.webwxstatusnotify(NotifyCode.READ, "@" + "0" * 64)


async def test_a_login_during_a_send_keeps_the_old_usernames_from_the_new_session() -> None:
    async with account() as me:
        old = me.adapter.webwx.ready
        refresh = me.adapter._contacts.refresh

        async def refresh_and_log_in() -> None:
            await refresh()
            me.server.end_session(me.server.sessions[old.sid], LOGGED_OUT)
            await me.adapter.login(lambda step: None)

        me.server.people("user", 30)
        me.adapter._contacts.refresh = refresh_and_log_in  # type: ignore[method-assign]
        with pytest.raises(Unavailable, match="a new login began"):
            await me.send("hi", to="friend000025")

        assert [] == me.served.world.posts
