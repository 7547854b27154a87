"""Messages to parts, names to UserNames, received messages to events."""

from __future__ import annotations

from html import escape
from typing import Any

import msgspec
import pytest

from yizhan.errors import MediaFormat, MediaTooLarge, TargetGone, UnknownTarget, Unsupported
from yizhan.model import (
    Card,
    CardLine,
    ChannelVideo,
    ContactCard,
    EventKind,
    File,
    Forward,
    Image,
    Link,
    Media,
    Mention,
    MiniProgram,
    Native,
    Quote,
    Segment,
    SendKey,
    Sticker,
    Target,
    Text,
    Video,
    Voice,
    message_of,
)
from yizhan.platforms.kit.media_rules import MediaRule, choose
from yizhan.platforms.webwechat import PLATFORM
from yizhan.platforms.webwechat.convert import (
    CARD_NOTE,
    GIF_NOTE,
    QUOTE_NOTE,
    VOICE_NOTE,
    Reader,
    client_message_id,
    compose,
    media_rule,
    mentions_of,
    parse,
    recalled_id,
    upload_form,
)
from yizhan.platforms.webwechat.convert.address_book import AddressBook
from yizhan.platforms.webwechat.wire.contacts import Contact, Member
from yizhan.platforms.webwechat.wire.content import CdnReference, escape_content, image_xml
from yizhan.platforms.webwechat.wire.session import AddMsg, ModContact, RecommendedPerson
from yizhan.platforms.wechat_xml import parse_card

RULES = PLATFORM.rules()
USER = Target("webwechat.me", "user", "Alice")
ROOM = Target("webwechat.me", "group", "产品群")
ME, ALICE, BOB, ROOM_NAME = "@" + "00" * 32, "@" + "a1" * 16, "@" + "b2" * 32, "@@" + "c3" * 32


def media(format: str, size: int = 1000, kind: Any = "image", mime: str = "", name: str = "") -> Media:
    return Media("ab" * 32, "cd" * 16, 1, size, kind, mime or f"{kind}/{format}", format, name=name)


def parts(*segments: Segment | str, target: Target = USER) -> Any:
    return compose(message_of(*segments), target, RULES, "login:1")


@pytest.mark.parametrize(
    ("segment", "call", "use", "note"),
    [
        (Image(media("png")), "webwxsendmsgimg", "pic", ""),
        (Image(media("jpeg")), "webwxsendmsgimg", "pic", ""),
        (Image(media("gif")), "webwxsendemoticon", "doc", GIF_NOTE),
        (Sticker(media("gif")), "webwxsendemoticon", "doc", ""),
        (Video(media("mp4", kind="video")), "webwxsendvideomsg", "video", ""),
        (Voice(media("mp3", kind="voice")), "webwxsendappmsg", "doc", VOICE_NOTE),
        (File(media("pdf", kind="file")), "webwxsendappmsg", "doc", ""),
        (File(media("png")), "webwxsendappmsg", "doc", ""),
    ],
)
def test_each_kind_of_media_has_its_own_call(segment: Segment, call: str, use: str, note: str) -> None:
    (part,) = parts(segment)

    assert (call, note, True) == (part.call, part.note, part.repeatable)
    assert [(use, "login:1")] == [(need.use, need.scope) for need in part.needs]


@pytest.mark.parametrize(
    ("segment", "error", "says"),
    [
        (Sticker(), MediaFormat, "md5"),
        (Sticker(md5="nothing"), MediaFormat, "32 hex digits.*'nothing'"),
        (Forward("sticker", {"md5": "<x>"}), Unsupported, "send it as a file"),
        (Forward("image", {"aeskey": "ab" * 16}), Unsupported, "send it as a file"),
        (Link("https://x.y", "t"), Unsupported, "card.fresh"),
        (MiniProgram("wx1", "gh_1@app", "t"), Unsupported, "mini program"),
        (Quote("7", "x"), Unsupported, "right after it"),
        (Mention("Bob"), Unsupported, "group only"),
        (Forward("voice", {"msg_id": "1"}), Unsupported, "send it as a file"),
        (Forward("image", {"scope": "login:0", "content": "@token"}), Unsupported, "earlier login"),
        (Native("webwxlogout", {}), Unsupported, "webwxsendmsg"),
        (Native("webwxsendmsg", {"Cotent": "x"}), Unsupported, "Cotent"),
        (Native("webwxsendmsg", {"Content": {"a": 1}}), Unsupported, "Content"),
        (Native("webwxsendmsg", {"Msg": [1]}), Unsupported, "expected"),
        (Native("webwxsendmsg", {"Msg": {"Content": "x"}, "Scene": "two"}), Unsupported, "Scene"),
    ],
)
def test_a_segment_that_cannot_be_sent_is_refused_with_a_remedy(segment: Segment, error: Any, says: str) -> None:
    with pytest.raises(error, match=says):
        compose(
            message_of(segment, "x") if isinstance(segment, Mention) else message_of(segment), USER, RULES, "login:1"
        )


def rule_for(segment: Segment) -> MediaRule:
    rule = media_rule(segment, RULES)
    assert rule is not None
    return rule


@pytest.mark.parametrize(
    ("segment", "recipe"),
    [
        (Image(media("webp")), "image;animated=gif;animated_bytes=10485760;bytes=20971520;formats=jpeg+png"),
        (Image(media("png", 21 << 20)), "image;animated=gif;animated_bytes=10485760;bytes=20971520;formats=jpeg+png"),
        (Video(media("mp4", 20 << 20, "video")), "mp4;bytes=20971519"),
        (Video(media("mov", kind="video")), "mp4;bytes=20971519"),
        (Sticker(media("png")), "image;bytes=10485760;formats=gif"),
        (Voice(media("silk", kind="voice")), "voice;bytes=52428800;format=mp3"),
        (File(media("pdf", kind="file")), ""),
    ],
)
def test_media_of_another_format_or_size_are_converted(segment: Any, recipe: str) -> None:
    assert recipe == choose(segment.media, rule_for(segment)).recipe


@pytest.mark.parametrize("size", [51 << 20])
def test_a_file_over_the_limit_is_refused(size: int) -> None:
    segment = File(media("pdf", size, "file"))
    with pytest.raises(MediaTooLarge, match="52428800"):
        choose(segment.media, rule_for(segment))  # type: ignore[arg-type]


def test_a_quote_without_text_is_refused_with_a_remedy() -> None:
    with pytest.raises(Unsupported, match="text=…"):
        parts(Quote("7"), "yes")


def test_targets_other_than_users_and_groups_are_refused() -> None:
    with pytest.raises(Unsupported, match="reaches users and groups"):
        parts("x", target=Target("webwechat.me", "channel", "1"))


def test_text_and_mentions_in_a_row_are_one_part_and_blank_text_is_none() -> None:
    found = parts("hi ", Mention("Bob"), "and all: ", Mention("all"), Image(media("png")), "\n", target=ROOM)

    assert ["webwxsendmsg", "webwxsendmsgimg"] == [part.call for part in found]
    assert "hi @Bob\u2005and all: @所有人\u2005" == found[0].body.content
    assert ("Bob",) == found[0].body.mentions


def test_a_link_is_composed_if_the_profile_allows_cards() -> None:
    rules = RULES.overridden({"card.fresh": True})
    (part,) = compose(message_of(Link("https://x.y/?a=1&b=2", "T<1>")), USER, rules, "login:1")

    assert "<title>T&lt;1&gt;</title>" in part.body.content
    assert "webwxsendappmsg" == part.call


def test_quoted_text_is_above_its_answer() -> None:
    quote = Quote("7", "three or four?", "Alice", "Ada")
    before, answer, picture = parts("hi", quote, "four ", Mention("Bob"), Image(media("png")), target=ROOM)

    assert ("hi", "webwxsendmsgimg") == (before.body.content, picture.call)
    assert f"「Ada：three or four?」\n{'- ' * 14}-\nfour @Bob\u2005" == answer.body.content
    assert (QUOTE_NOTE, ("Bob",)) == (answer.note, answer.body.mentions)


@pytest.mark.parametrize(
    ("quote", "above"),
    [
        (Quote("7", "x", "Alice"), "「Alice：x」"),
        (Quote("7", "x", "@ab12"), "「x」"),
        (Quote("7", "y" * 300, "", "Ada"), f"「Ada：{'y' * 200}…」"),
    ],
)
def test_quoted_text_is_cut_and_shows_no_usernames(quote: Quote, above: str) -> None:
    (part,) = parts(quote, "yes")

    assert above == part.body.content.partition("\n")[0]


def test_cards_are_composed_if_the_profile_allows_them() -> None:
    rules = RULES.overridden({"card.fresh": True})
    message = message_of(
        Quote("7", "a < b?", "Alice"),
        "yes",
        MiniProgram("wx0123456789abcdef", "gh_0123456789ab@app", "t"),
        ChannelVideo("123", "4_0_1"),
    )
    found = compose(message, ROOM, rules, "login:1")
    cards = [parse_card(part.body.outgoing(ME, ROOM_NAME, "1").Content) for part in found]

    assert [(57, "yes"), (33, "t")] == [(card.type, card.title) for card in cards[:2]]
    assert [57, 33, 51] == [part.body.type for part in found]
    assert (Quote("7", "a < b?", "Alice", "Alice"), Text("yes")) == cards[0].segments()


def test_the_same_bytes_under_two_names_share_one_upload_and_keep_their_titles() -> None:
    one, two = parts(File(media("pdf", kind="file"), "一.pdf"), File(media("pdf", kind="file"), "../二.pdf"))

    assert one.needs == two.needs
    assert ["一.pdf", "二.pdf"] == [one.body.title, two.body.title]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("报告 1 & 2.pdf", "报告 1 & 2.pdf"),
        ("会议 2026|终稿.docx", "会议 2026_终稿.docx"),
        ("../a\u202eb.pdf", "ab.pdf"),
    ],
)
def test_a_changed_file_name_is_noted(name: str, title: str) -> None:
    (part,) = parts(File(media("pdf", kind="file"), name))

    assert title == part.body.title
    assert (title != name) == (name in part.note and title in part.note)


def test_outgoing_adds_sender_receiver_ids_and_media_id() -> None:
    (text,) = parts("hi")
    (file,) = parts(File(media("pdf", kind="file"), "a.pdf"))
    (card,) = parts(ContactCard("wxid_bob", "Bob"))
    (known,) = parts(Sticker(md5="AB" * 16))

    msg = text.body.outgoing(ME, ALICE, "77")
    assert ("hi", ME, ALICE, "77", "77", 1) == (
        msg.Content,
        msg.FromUserName,
        msg.ToUserName,
        msg.LocalID,
        msg.ClientMsgId,
        msg.Type,
    )
    sent = file.body.outgoing(ME, ALICE, "78", "@crypt_1", "sig")
    assert "<attachid>@crypt_1</attachid>" in sent.Content
    assert ("sig", 6) == (sent.Signature, sent.Type)
    assert (42, 'username="wxid_bob"') == (card.body.type, card.body.content[5:24])
    assert ("ab" * 16, 2, 47) == (
        known.body.outgoing(ME, ALICE, "79").EMoticonMd5,
        known.body.outgoing(ME, ALICE, "79").EmojiFlag,
        known.body.type,
    )


def test_a_native_body_is_sent_unchanged_except_for_the_ids() -> None:
    (part,) = parts(Native("webwxsendmsg", {"Msg": {"Type": 48, "Content": "<x/>", "ToUserName": "evil"}, "Scene": 2}))
    msg = part.body.outgoing(ME, ALICE, "1")

    assert (48, "<x/>", ALICE, 2) == (msg.Type, msg.Content, msg.ToUserName, part.body.scene)


@pytest.mark.parametrize(
    ("given", "use", "expected"),
    [
        (media("jpeg", name="a.jpg"), "pic", ("a.jpg", "image/jpeg")),
        (media("png", name="blob"), "pic", ("blob.png", "image/png")),
        (media("gif"), "doc", ("image.gif", "image/gif")),
        (media("mp3", kind="voice"), "doc", ("voice.mp3", "audio/mp3")),
        (media("", kind="file", mime="application/x-thing", name="x/../y z"), "doc", ("y z", "application/x-thing")),
    ],
)
def test_uploads_have_the_page_script_s_names_and_types(given: Media, use: str, expected: tuple[str, str]) -> None:
    assert expected == upload_form(given, use)


@pytest.mark.parametrize("at", [1_700_000_000.0, 1_700_000_000.0005, 1_899_999_999.999])
def test_a_client_message_id_looks_like_a_time_and_is_the_same_at_every_attempt(at: float) -> None:
    id = client_message_id(SendKey(2**52, 1, at=at, serial=4203))

    assert 17 == len(id)
    assert -0.001 <= int(id) / 1e7 - at < 100
    assert id == client_message_id(SendKey(2**52, 1, at=at, serial=4203))


def test_sends_of_one_moment_have_different_client_message_ids() -> None:
    keys = [SendKey(7, 1, at=1_700_000_000.0, serial=serial) for serial in range(20_000)]
    later = [SendKey(7, 1, at=1_700_000_000.0 + n / 1000, serial=20_000 + 10 * n) for n in range(5000)]

    assert 25_000 == len({client_message_id(key) for key in (*keys, *later)})


# --- names


def book(*contacts: Contact) -> AddressBook:
    found = AddressBook()
    found.add(contacts)
    return found


def test_a_remark_is_found_before_a_nickname() -> None:
    found = book(Contact(UserName=ALICE, NickName="Bob"), Contact(UserName=BOB, NickName="x", RemarkName="Bob"))

    assert BOB == found.find("user", "Bob")
    assert "Bob" == found.id_of(BOB)
    assert ALICE == found.id_of(ALICE), "its nickname belongs to another contact"


def test_an_ambiguous_name_is_refused_with_the_candidates() -> None:
    found = book(
        Contact(UserName=ALICE, NickName="Al"), Contact(UserName=BOB, NickName="Al", RemarkName="Al from work")
    )

    with pytest.raises(UnknownTarget, match=f"2 contacts are called 'Al'.*{ALICE}.*Al from work"):
        found.find("user", "Al")
    assert BOB == found.find("user", "Al from work")


def test_usernames_built_in_accounts_and_odd_nicknames_resolve() -> None:
    found = book(Contact(UserName=ALICE, NickName="@home"), Contact(UserName=BOB, NickName="filehelper"))

    assert "@abc" == found.find("user", "@abc")
    assert "filehelper" == found.find("user", "filehelper")
    assert ALICE == found.find("user", "name:@home")
    assert ["name:@home", "name:filehelper"] == [found.id_of(ALICE), found.id_of(BOB)]
    assert found.find("group", "Nobody") is None


def test_a_room_and_a_person_may_share_a_name() -> None:
    found = book(Contact(UserName=ALICE, NickName="X"), Contact(UserName=ROOM_NAME, NickName="X"))

    assert (ALICE, ROOM_NAME) == (found.find("user", "X"), found.find("group", "X"))


def test_an_unknown_name_suggests_a_close_one() -> None:
    error = book(Contact(UserName=ALICE, NickName="Alice")).not_found("webwechat.me", "user", "Alcie")

    assert isinstance(error, TargetGone)
    assert "Did you mean Alice?" in str(error)


def test_members_stay_known_when_the_room_is_listed_without_them() -> None:
    found = book(Contact(UserName=ROOM_NAME, NickName="r", MemberList=[Member(UserName=BOB, NickName="Bob")]))
    found.add([Contact(UserName=ROOM_NAME, NickName="r")])

    assert BOB == found.member(ROOM_NAME, "Bob")
    assert "Bob" == found.name_of(BOB, ROOM_NAME)


def test_mentions_name_the_members_and_the_room() -> None:
    found = book(Contact(UserName=ROOM_NAME, NickName="r", MemberList=[Member(UserName=BOB, NickName="Bob")]))
    (part,) = parts(Mention("Bob"), Mention("Nobody"), " hi", target=ROOM)

    assert (
        f"<msgsource><atusername>{BOB}</atusername><atchatroomname>{ROOM_NAME}</atchatroomname></msgsource>"
        == mentions_of(part.body, found, ROOM_NAME)
    )


# --- receiving

READER = Reader(
    "webwechat.me",
    ME,
    "login:1",
    book(
        Contact(UserName=ALICE, NickName="Alice"),
        Contact(
            UserName=ROOM_NAME, NickName="产品群", MemberList=[Member(UserName=BOB, NickName="b", DisplayName="Bobby")]
        ),
    ),
)


def arrived(**values: Any) -> Any:
    values.setdefault("FromUserName", ALICE)
    return parse(AddMsg(MsgId="5", ToUserName=ME, CreateTime=9, **values), READER)


def test_text_arrives_from_a_person_and_from_a_member_of_a_room() -> None:
    one = arrived(Content="a&lt;b<br/>c")
    two = arrived(FromUserName=ROOM_NAME, Content=f"{BOB}:<br/>hi")

    assert ("5", EventKind.MESSAGE, str(USER), "Alice", "Alice", 9.0) == (
        one.id,
        one.kind,
        str(one.target),
        one.sender,
        one.sender_name,
        one.at,
    )
    assert message_of("a<b\nc") == one.message
    assert (ROOM, BOB, "Bobby", message_of("hi")) == (two.target, two.sender, two.sender_name, two.message)


def test_an_own_message_from_the_phone_is_a_sent_event() -> None:
    event = arrived(FromUserName=ME, Content="hi")

    assert EventKind.SENT == event.kind


def test_an_own_message_in_a_room_has_no_other_speaker() -> None:
    own = AddMsg(MsgId="5", FromUserName=ME, ToUserName=ROOM_NAME, Content=f"{BOB}:<br/>hi")
    event = parse(own, READER)

    assert (EventKind.SENT, ROOM, ME, message_of(f"{BOB}:\nhi")) == (
        event.kind,
        event.target,
        event.sender,
        event.message,
    )


@pytest.mark.parametrize(("msgid", "newmsgid", "about"), [("7", "", "7"), ("0", "8", "8"), ("0", "", ""), ("", "", "")])
def test_a_recall_notice_names_a_message_or_none(msgid: str, newmsgid: str, about: str) -> None:
    ids = f"<msgid>{msgid}</msgid><newmsgid>{newmsgid}</newmsgid>"
    xml = f'<sysmsg type="revokemsg"><revokemsg>{ids}</revokemsg></sysmsg>'

    assert about == recalled_id(AddMsg(MsgType=10002, Content=escape_content(xml)))


@pytest.mark.parametrize(
    ("type_", "kind"), [(3, "image"), (34, "voice"), (43, "video"), (62, "video"), (47, "sticker")]
)
def test_media_arrive_as_forward_segments(type_: int, kind: str) -> None:
    event = arrived(MsgType=type_, Content='&lt;msg&gt;&lt;emoji md5="abc"/&gt;&lt;/msg&gt;')
    (segment,) = event.message.segments

    assert (kind, "5", "login:1") == (segment.kind, segment.reference["msg_id"], segment.reference["scope"])
    assert ("abc" if kind == "sticker" else None) == segment.reference.get("md5")


@pytest.mark.parametrize(
    ("values", "ms"), [({"MsgType": 34, "VoiceLength": 2350}, 2350), ({"MsgType": 43, "PlayLength": 12}, 12000)]
)
def test_voice_messages_and_videos_arrive_with_their_duration(values: dict[str, Any], ms: int) -> None:
    (segment,) = arrived(**values).message.segments

    assert ms == segment.duration_ms


def test_a_file_arrives_with_its_name_and_download_values() -> None:
    event = arrived(MsgType=49, AppMsgType=6, FileName="a&amp;b.pdf", FileSize="12", MediaId="@crypt_1", Content="x")
    (segment,) = event.message.segments
    assert 12 == segment.size

    assert ("file", "a&b.pdf", "@crypt_1", "12") == (
        segment.kind,
        segment.name,
        segment.reference["media_id"],
        segment.reference["file_size"],
    )


@pytest.mark.parametrize("size", ["", "1.5", "-3", "9" * 40, "many"])
def test_a_file_with_a_hostile_name_or_size_can_be_forwarded(size: str) -> None:
    name = "..\\..\\evil\u202e.lnk"
    event = arrived(MsgType=49, AppMsgType=6, FileName=name, FileSize=size, MediaId="@crypt_1")
    (segment,) = event.message.segments
    (part,) = compose(event.message, USER, RULES, "login:1")

    assert "evil.lnk" == segment.name
    assert "<title>evil.lnk</title>" in part.body.content
    assert "<totallen>0</totallen>" in part.body.content


def test_cards_arrive_as_their_segments() -> None:
    link = "<msg><appmsg><title>T</title><des>D</des><type>5</type><url>https://x.y</url></appmsg></msg>"
    event = arrived(MsgType=49, AppMsgType=5, FileName="T", Content=link.replace("<", "&lt;").replace(">", "&gt;"))
    person = arrived(MsgType=42, Content='&lt;msg username="wxid_b" nickname="Bob"/&gt;')

    assert (Link("https://x.y", "T", "D"),) == event.message.segments
    assert "wxid_b" == person.message.segments[0].username


def test_a_chat_record_of_any_app_type_arrives_with_its_lines() -> None:
    item = "<dataitem datatype='1'><sourcename>Ada</sourcename><datadesc>see the plan</datadesc></dataitem>"
    inner = f"<recordinfo><datalist>{item}</datalist></recordinfo>"
    xml = f"<appmsg><title>T</title><type>19</type><recorditem><![CDATA[{inner}]]></recorditem></appmsg>"
    event = arrived(MsgType=49, AppMsgType=0, FileName="T", Content=escape_content(f"<msg>{xml}</msg>"))

    assert (Card("T", kind="chat_record", xml=xml, lines=(CardLine("see the plan", "Ada"),)),) == event.message.segments


def test_a_quoted_picture_can_be_forwarded() -> None:
    picture = image_xml(CdnReference("ab" * 16, "3057" * 8, "cd" * 16), 100)
    refer = f"<type>3</type><svrid>7</svrid><createtime>9</createtime><content>{escape(picture)}</content>"
    xml = f"<msg><appmsg><title>nice</title><type>57</type><refermsg>{refer}</refermsg></appmsg></msg>"
    event = arrived(MsgType=49, AppMsgType=57, Content=escape_content(xml))
    quote, answer = event.message.segments
    (part,) = compose(message_of(quote.media[0]), USER, RULES, "login:2")

    assert ("7", "[图片]", 9.0, Text("nice")) == (quote.message_id, quote.text, quote.at, answer)
    assert ("webwxsendmsgimg", 2) == (part.call, part.body.scene)
    assert "3057" * 8 in part.body.content


OWN_ROOM = Contact(
    UserName=ROOM_NAME,
    NickName="产品群",
    MemberList=[Member(UserName=BOB, NickName="Bob B."), Member(UserName=ME, NickName="I", DisplayName="Me here")],
)


@pytest.mark.parametrize(
    ("text", "segments", "mentioned"),
    [
        ("hi @Bob B.\u2005and all", (Text("hi "), Mention("Bob B.", "Bob B."), Text("and all")), False),
        ("@Me here\u2005look", (Mention("Me here", "Me here", own=True), Text("look")), True),
        ("@I\u2005look", (Mention("I", "I", own=True), Text("look")), True),
        ("@所有人\u2005look", (Mention("all", "所有人"), Text("look")), True),
        ("@Nobody\u2005look", (Text("@Nobody\u2005look"),), False),
        ("me@example.com", (Text("me@example.com"),), False),
    ],
)
def test_mentions_in_a_room_are_segments(text: str, segments: Any, mentioned: bool) -> None:
    reader = Reader("webwechat.me", ME, "login:1", book(OWN_ROOM))
    event = parse(AddMsg(MsgId="5", FromUserName=ROOM_NAME, ToUserName=ME, Content=f"{BOB}:<br/>{text}"), reader)

    assert event is not None
    assert (segments, mentioned) == (event.message.segments, event.mentioned)  # type: ignore[union-attr]


def test_a_friend_request_names_the_person_and_the_data_that_accepts_it() -> None:
    info = {"UserName": ALICE, "NickName": "Al &amp; Co", "Ticket": "v2_x@stranger", "Content": "hi"}
    event = arrived(FromUserName="fmessage", MsgType=37, RecommendInfo=msgspec.convert(info, RecommendedPerson))

    assert (ALICE, "Al & Co", message_of("hi")) == (event.person, event.person_name, event.message)
    assert f'{{"Value":"{ALICE}","VerifyUserTicket":"v2_x@stranger"}}' == event.data


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ('a<span class="emoji emoji1f604"></span>b', "a😄b"),
        ('<span class="emoji emoji1f1e81f1f3"></span>', "🇨🇳"),
        ("[微笑]", "[微笑]"),
    ],
)
def test_emoji_codes_arrive_as_characters(given: str, shown: str) -> None:
    assert message_of(shown) == arrived(Content=given).message


def test_a_card_goes_as_its_words_and_the_receipt_says_so() -> None:
    card = Card("T", "D", "https://x.y", lines=(CardLine("see the plan", "Ada"),), xml="<appmsg></appmsg>")
    (part,) = parts(card)

    assert ("webwxsendmsg", "T\nD\nhttps://x.y\nAda: see the plan", CARD_NOTE) == (
        part.call,
        part.body.content,
        part.note,
    )


def test_a_card_with_xml_goes_unchanged_if_the_profile_allows_cards() -> None:
    rules = RULES.overridden({"card.fresh": True})
    xml = "<appmsg><title>T</title><type>19</type></appmsg>"
    (part,) = compose(message_of(Card("T", xml=xml)), USER, rules, "login:1")

    assert ("webwxsendappmsg", 19, xml) == (part.call, part.body.type, part.body.content)


@pytest.mark.parametrize("content", ["&lt;msg&gt;&lt;appmsg&gt;", "&lt;!DOCTYPE x&gt;&lt;appmsg/&gt;", "", "x" * 100])
def test_a_broken_card_still_shows_its_title(content: str) -> None:
    event = arrived(MsgType=49, AppMsgType=33, FileName="title", Content=content)

    assert message_of("title") == event.message


def test_a_location_shows_its_label_and_can_be_forwarded() -> None:
    event = arrived(SubMsgType=48, Content="街道1号:<br/>/cgi-bin/x", OriContent="<msg><location/></msg>")

    assert Text("街道1号") == event.message.segments[0]
    (part,) = compose(message_of(event.message.segments[1]), USER, RULES, "login:2")
    assert ("webwxsendmsg", 48, "<msg><location/></msg>", 2) == (
        part.call,
        part.body.type,
        part.body.content,
        part.body.scene,
    )


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"MsgType": 10002, "Content": "x"}, EventKind.RECALL),
        ({"MsgType": 10000, "Content": "red packet"}, EventKind.OTHER),
        ({"MsgType": 37}, EventKind.FRIEND_REQUESTED),
        ({"MsgType": 50}, EventKind.OTHER),
    ],
)
def test_notices_have_their_own_event_kinds(values: dict[str, Any], kind: EventKind) -> None:
    assert kind == arrived(**values).kind


@pytest.mark.parametrize("type_", [51, 9999])
def test_messages_for_the_page_script_are_not_events(type_: int) -> None:
    assert arrived(MsgType=type_) is None


def test_a_changed_contact_is_found_under_its_new_name() -> None:
    found = book(Contact(UserName=ALICE, NickName="Alice"))

    assert [] == found.add([ModContact(UserName=ALICE, NickName="Alice", RemarkName="Ally")])
    assert (ALICE, "Ally") == (found.find("user", "Ally"), found.id_of(ALICE))
