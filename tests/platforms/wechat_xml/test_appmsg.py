"""Cards: composed ones parse back, sloppy ones of real clients are read, hostile ones are refused."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yizhan.model import ChannelVideo, ContactCard, Link, MiniProgram, Quote, Text
from yizhan.platforms.wechat_xml import (
    OHWXAPI,
    WEBWECHAT,
    WECHATSDK,
    Cover,
    Dialect,
    FileCard,
    as_received,
    compose_channel_video,
    compose_contact,
    compose_file,
    compose_link,
    compose_media,
    compose_mini_program,
    compose_quote,
    parse_card,
    parse_contact,
    parse_friend_request,
    parse_media,
    parse_revoked,
    split_sender,
)
from yizhan.wire.filename import MAX_NAME_BYTES, safe_name

ID = "3057020100044b30490201000204c9476ca302032f7f1e"
KEY = "0123456789abcdef0123456789abcdef"
MD5 = "fedcba9876543210fedcba9876543210"
FILE = FileCard("meeting plan.pdf", 204800, cdnattachurl=ID, aeskey=KEY, md5=MD5, filekey="x_1")
LINK = Link("https://news.example.org/a?id=17&src=card", "Bridge & <walkers>", "4 km", "https://news.example.org/t.jpg")
PROGRAM = MiniProgram(
    "wx00112233445566aa",
    "gh_0a1b2c3d4e5f@app",
    "Order two coffees",
    "pages/order/index.html?table=7&from=share",
    display_name="Corner Coffee",
    icon_url="https://img.example.org/c.png",
)
VIDEO = ChannelVideo(
    "14300000000000000001",
    "8800000000000000001_0_20_2_1_1721485744000000_a0b1c2d3",
    nickname="Harbour Lights",
    username="v2_06@finder",
    description="Boats come home #harbour",
    url="https://finder.example.org/v?id=1&token=x",
    cover_url="https://finder.example.org/c?id=1",
    thumb_url="https://finder.example.org/t?id=1",
    avatar_url="https://wx.example.org/a/0",
    duration_seconds=21,
    width=1080,
    height=1920,
)
DIALECTS = [WEBWECHAT, WECHATSDK, OHWXAPI]


@pytest.mark.parametrize("dialect", DIALECTS, ids=["webwechat", "wechatsdk", "ohwxapi"])
@pytest.mark.parametrize("received", [False, True])
def test_every_composed_card_parses_back_to_its_segment(dialect: Dialect, received: bool) -> None:
    def back(xml: str) -> Any:
        return parse_card(f"wxid_a:\n{as_received(xml, 'wxid_a')}" if received else xml).segments()

    assert (LINK,) == back(compose_link(LINK, dialect))
    assert (PROGRAM,) == back(compose_mini_program(PROGRAM, dialect))
    assert (VIDEO,) == back(compose_channel_video(VIDEO, dialect))
    quote = Quote("7301234567890123456", "Three o'clock?", "wxid_ada", "Ada")
    assert (quote, Text("Agreed")) == back(compose_quote("Agreed", quote, dialect, chat="1@chatroom"))


def test_a_web_file_card_equals_the_bytes_of_web_clients() -> None:
    card = FileCard("note.txt", 22, attachid="@crypt_006a7589_e050")

    assert compose_file(card, WEBWECHAT) == (
        "<appmsg appid='wxeb7ec651dd0aefa9' sdkver=''><title>note.txt</title><des></des><action></action>"
        "<type>6</type><content></content><url></url><lowurl></lowurl><appattach><totallen>22</totallen>"
        "<attachid>@crypt_006a7589_e050</attachid><fileext>txt</fileext></appattach><extinfo></extinfo></appmsg>"
    )


def test_a_pc_file_card_has_the_documented_order_and_builds_its_attachid() -> None:
    assert compose_file(FILE, WECHATSDK) == (
        '<appmsg appid="wx6618f1cfc6c132f8" sdkver="0"><title>meeting plan.pdf</title><des></des><action>view</action>'
        "<type>6</type><showtype>0</showtype><content></content><url></url><appattach><totallen>204800</totallen>"
        f"<fileext>pdf</fileext><attachid>@cdn_{ID}_{KEY}_1</attachid><cdnattachurl>{ID}</cdnattachurl>"
        f"<cdnthumbaeskey></cdnthumbaeskey><aeskey>{KEY}</aeskey><encryver>0</encryver><filekey>x_1</filekey>"
        "<overwrite_newmsgid>0</overwrite_newmsgid><fileuploadtoken></fileuploadtoken></appattach>"
        f"<md5>{MD5}</md5><webviewshared><jsAppId><![CDATA[]]></jsAppId><publisherReqId><![CDATA[0]]></publisherReqId>"
        "</webviewshared></appmsg>"
    )


def test_the_gateway_file_card_has_the_long_form() -> None:
    xml = compose_file(FILE, OHWXAPI)

    assert xml.startswith('<appmsg appid=""  sdkver="0"><title>meeting plan.pdf</title><des></des><action></action>')
    assert "<soundtype>0</soundtype><mediatagname></mediatagname>" in xml
    assert xml.endswith(
        "<directshare>0</directshare><recorditem><![CDATA[<recordinfo><edittime>0</edittime><fromscene>0</fromscene>"
        "</recordinfo>]]></recorditem></appmsg>"
    )


@pytest.mark.parametrize("dialect", [WECHATSDK, OHWXAPI], ids=["wechatsdk", "ohwxapi"])
def test_a_parsed_file_card_has_everything_a_download_needs(dialect: Dialect) -> None:
    card = parse_card(compose_file(FILE, dialect)).file()

    assert card is not None
    assert (FILE.title, 204800, "pdf", ID, KEY, MD5) == (
        card.title,
        card.totallen,
        card.fileext,
        card.cdnattachurl,
        card.aeskey,
        card.md5,
    )


def test_a_mini_program_carries_its_cover_and_a_page_with_html() -> None:
    program = MiniProgram("wx00112233445566aa", "gh_0a1b2c3d4e5f@app", "t", "pages/a?b=1&c=2")
    card = parse_card(compose_mini_program(program, cover=Cover(ID, KEY, MD5, 18320)))

    assert "pages/a.html?b=1&c=2" == card.text("weappinfo/pagepath")
    assert (ID, KEY, MD5) == (
        card.text("appattach/cdnthumburl"),
        card.text("appattach/cdnthumbaeskey"),
        card.text("md5"),
    )
    assert "" == parse_card(compose_mini_program(MiniProgram("wx1", "gh_1@app", "t"))).text("weappinfo/pagepath")


@pytest.mark.parametrize(
    "compose",
    [
        lambda: compose_link(Link("javascript:alert(1)", "x")),
        lambda: compose_link(Link("weixin://pay", "x")),
        lambda: compose_mini_program(MiniProgram("", "gh_1@app", "x")),
        lambda: compose_channel_video(ChannelVideo("12x", "n")),
        lambda: compose_channel_video(ChannelVideo("12", "")),
    ],
)
def test_cards_that_wechat_cannot_open_are_refused(compose: Any) -> None:
    with pytest.raises(ValueError):
        compose()


# --- hostile ---------------------------------------------------------------------------------------------------------

BOMB = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    "<msg><appmsg><title>&b;</title><type>5</type></appmsg></msg>"
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        '<?xml version="1.0"?>' + BOMB,
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><msg><appmsg><type>5</type></appmsg></msg>',
        "<msg><appmsg>" + "<a>" * 10_000 + "</a>" * 10_000 + "</appmsg></msg>",
        "<msg><appmsg><title>" + "x" * 10_000_000 + "</title><type>5</type></appmsg></msg>",
        "<msg><appmsg><title>" + "x" * 600_000 + "</title><type>5</type></appmsg></msg>",
        '<msg><appmsg appid="' + "x" * 100_000 + '"><type>5</type></appmsg></msg>',
        "<msg><appmsg><type>5</type>" + "<a/>" * 30_000 + "</appmsg></msg>",
        "<msg><appmsg><title>x</title>",
        "<msg><appmsg/><appmsg/></msg>",
        "<msg></msg>",
        "",
        "no xml at all",
        "<" * 100_000,
        "&" * 100_000,
        "<title>" * 100_000,
        "</yizhan><appmsg><type>5</type></appmsg><yizhan>",
        "<msg><appmsg><title>&#0;</title></appmsg></msg>",
    ],
    ids=lambda text: f"{text[:24]!r} {len(text)}",
)
def test_hostile_xml_is_refused_quickly(text: str) -> None:
    began = time.process_time()

    with pytest.raises(ValueError):
        parse_card(text)
    assert time.process_time() - began < 5


@pytest.mark.parametrize("parse", [parse_contact, parse_friend_request, parse_media, parse_revoked])
def test_no_parser_expands_entities(parse: Any) -> None:
    with pytest.raises(ValueError):
        parse('<!DOCTYPE x [<!ENTITY a "ha">]><msg username="&a;"><img/></msg>')


@pytest.mark.parametrize(
    ("inside", "title"),
    [
        ("Tom & Jerry.pdf", "Tom & Jerry.pdf"),
        ("a&b=c;d", "a&b=c;d"),
        ("&nbsp;x", "&nbsp;x"),
        ("1 < 2.txt", "1 < 2.txt"),
        ("i <3 you", "i <3 you"),
        ("x <b y & z", "x <b y & z"),
        ("R&amp;D &lt;1&gt;", "R&D <1>"),
        ("R&amp;amp;D", "R&amp;D"),
        ("<![CDATA[a & <b>]]>", "a & <b>"),
        ("nul\x00l", "null"),
        ("报告\u202egnp.exe", "报告\u202egnp.exe"),
    ],
)
def test_markup_that_real_clients_leave_unescaped_still_parses(inside: str, title: str) -> None:
    card = parse_card(f"<appmsg appid='' sdkver=''><title>{inside}</title><type>6</type></appmsg>")

    assert title == card.title
    assert 6 == card.type
    assert title == parse_card(card.xml).title


def test_a_title_cannot_change_the_type_of_its_card() -> None:
    evil = "</title><type>2000</type><title>"
    card = parse_card(compose_link(Link("https://example.org/", evil)))

    assert 5 == card.type
    assert evil == card.title


def test_only_the_first_direct_type_counts() -> None:
    card = parse_card(
        "<appmsg><refermsg><type>2000</type></refermsg><type>57</type><type>5</type><title>a</title><title>b</title></appmsg>"
    )

    assert (57, "a") == (card.type, card.title)


@pytest.mark.parametrize(
    "before",
    ["", "wxid_x:\n", "wxid_x:\r\n", "A:\nB : \nwxid_x:\n", "10001@chatroom:\n<br/>"],
)
def test_a_name_before_the_xml_is_skipped(before: str) -> None:
    assert "plan" == parse_card(before + as_received("<appmsg><title>plan</title><type>5</type></appmsg>")).title


def test_a_card_keeps_its_original_text_for_forwarding() -> None:
    xml = '<appmsg sdkver="0" appid=""><type>6</type>\n\t<title><![CDATA[a & b]]></title><appattach/></appmsg>'

    assert xml == parse_card(as_received(xml, "wxid_a")).xml
    assert "wxid_a" == parse_card(as_received(xml, "wxid_a")).sender


def test_a_fragment_with_siblings_parses() -> None:
    card = parse_card(
        "<appmsg><title>t</title><type>5</type><url>http://a.b/</url></appmsg><fromusername/><scene>0</scene>"
        "<appinfo><version>1</version></appinfo><commenturl/>"
    )

    assert (Link("http://a.b/", "t"),) == card.segments()
    assert "<fromusername" not in card.xml


@pytest.mark.parametrize(
    ("chat", "member", "author"),
    [
        ("1@chatroom", "wxid_bob", "wxid_bob"),
        ("@@ab12", "@cd34", "@cd34"),
        ("wxid_bob", "wxid_me", "wxid_bob"),
        ("", "wxid_bob", "wxid_bob"),
    ],
)
def test_the_author_of_a_quote_is_the_member_in_every_kind_of_group(chat: str, member: str, author: str) -> None:
    refer = f"<refermsg><type>1</type><fromusr>{chat}</fromusr><chatusr>{member}</chatusr></refermsg>"
    quote, _ = parse_card(f"<appmsg><title>yes</title><type>57</type>{refer}</appmsg>").segments()

    assert isinstance(quote, Quote)
    assert author == quote.sender


@pytest.mark.parametrize(
    ("kind", "content", "shown"),
    [
        (1, "&lt;b&gt; is a tag", "<b> is a tag"),
        (1, "wxid_ada: three?", "three?"),
        (3, "&lt;msg&gt;&lt;img/&gt;&lt;/msg&gt;", "[图片]"),
        (62, "&lt;msg/&gt;", "[视频]"),
        (10002, "wxid_ada:&#10;&lt;sysmsg/&gt;", ""),
        (10000, "a notice", "a notice"),
    ],
)
def test_the_text_of_a_quote_is_the_visible_text(kind: int, content: str, shown: str) -> None:
    refer = f"<refermsg><type>{kind}</type><content>{content}</content></refermsg>"
    quote, _ = parse_card(f"<appmsg><title>yes</title><type>57</type>{refer}</appmsg>").segments()

    assert isinstance(quote, Quote)
    assert shown == quote.text


def test_a_quote_without_a_name_shows_the_sender() -> None:
    assert "<displayname>wxid_ada</displayname>" in compose_quote("yes", Quote("7", "x", "wxid_ada"))


@pytest.mark.parametrize("where", ["url", "dataurl"])
def test_music_parses_as_a_link_with_its_cover(where: str) -> None:
    xml = (
        f"<appmsg><title>Night Ferry</title><des>The Quay Quartet</des><type>3</type><{where}>https://x.y/42</{where}>"
        "<songalbumurl>https://x.y/c.jpg</songalbumurl></appmsg>"
    )

    assert (Link("https://x.y/42", "Night Ferry", "The Quay Quartet", "https://x.y/c.jpg"),) == parse_card(
        xml
    ).segments()


def test_the_md5_of_a_mini_program_cover_is_in_the_place_of_the_vendors_template() -> None:
    cover = Cover("3057", "ab" * 16, "cd" * 16, 10)
    xml = compose_mini_program(MiniProgram("wx0123456789abcdef", "gh_0123456789ab@app", "t"), cover=cover)

    assert xml.index("<thumburl>") < xml.index("<md5>") < xml.index("<sourceusername>")


def test_a_quote_of_a_quote_shows_one_level() -> None:
    inner = as_received(compose_file(FILE), "wxid_ada")
    quoted = Quote("1", inner, "wxid_ada", "Ada")
    thrice = compose_quote("c", Quote("3", compose_quote("b", quoted, kind=49)), kind=49)

    assert "meeting plan.pdf" == parse_card(compose_quote("a", quoted, kind=49)).segments()[0].text  # type: ignore[union-attr]
    assert "b" == parse_card(thrice).segments()[0].text  # type: ignore[union-attr]
    picture = compose_quote("a", Quote("1", "<msg><img/></msg>"), kind=3)
    assert "[图片]" == parse_card(picture).segments()[0].text  # type: ignore[union-attr]
    said = compose_quote("a", Quote("1", "wxid_ada:\nhello:\nyou"))
    assert "hello:\nyou" == parse_card(said).segments()[0].text  # type: ignore[union-attr]


@pytest.mark.parametrize("number", ["", "-5", "1e9", "9" * 400, "abc", "0x10"])
def test_an_invalid_number_reads_as_zero(number: str) -> None:
    card = parse_card(f"<appmsg><type>6</type><appattach><totallen>{number}</totallen></appattach></appmsg>")

    assert 0 == card.number("appattach/totallen")


def test_keys_of_the_wrong_form_are_left_empty() -> None:
    xml = compose_file(FileCard("a.txt", 1, cdnattachurl="../../etc/passwd", aeskey="short", md5="x"))
    card = parse_card(xml).file()

    assert card is not None
    assert ("", "", "") == (card.cdnattachurl, card.aeskey, card.md5)


def test_cards_without_a_segment_and_links_with_bad_addresses_become_text() -> None:
    assert (Text("Transfer\n12.00"),) == parse_card(
        "<appmsg><title>Transfer</title><des>12.00</des><type>2000</type></appmsg>"
    ).segments()
    assert (Text("t"),) == parse_card(
        "<appmsg><title>t</title><type>5</type><url>javascript:x</url></appmsg>"
    ).segments()
    assert () == parse_card("<appmsg><type>unheard</type></appmsg>").segments()


# --- what travels beside cards ---------------------------------------------------------------------------------------


def test_contact_cards_round_trip_and_received_ones_stay_unchanged() -> None:
    card = parse_contact(compose_contact(ContactCard("wxid_ben", 'B"en\n<&>', "ben_wx")))

    assert ("wxid_ben", 'B"en\n<&>', "ben_wx") == (card.username, card.nickname, card.alias)
    assert card.xml == compose_contact(card)


def test_media_friend_requests_and_recalls_parse() -> None:
    image = parse_media(compose_media("img", {"aeskey": KEY, "cdnmidimgurl": ID, "length": 68112}))
    request = parse_friend_request(
        '<msg fromusername="wxid_c" encryptusername="v3_1@stranger" fromnickname="Cyd" content="Hi" scene="30" '
        'ticket="v4_1"/>'
    )
    revoked = parse_revoked(
        'wxid_a:\n<sysmsg type="revokemsg"><revokemsg><session>1@chatroom</session><msgid>10</msgid>'
        '<newmsgid>73012</newmsgid><replacemsg><![CDATA["Ada" 撤回了一条消息]]></replacemsg></revokemsg></sysmsg>'
    )

    assert ("img", KEY, ID, 68112) == (image.tag, image.key(), image.file_id("cdnmidimgurl"), image.number("length"))
    assert ("wxid_c", "v3_1@stranger", "v4_1", 30) == (request.username, request.token, request.ticket, request.scene)
    assert revoked is not None
    assert ("1@chatroom", "73012", "10") == (revoked.chat, revoked.message_id, revoked.local_id)
    assert parse_revoked('<sysmsg type="pat"><pat/></sysmsg>') is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("wxid_a:\nhello:\nyou", ("wxid_a", "hello:\nyou")),
        ("wxid_a:\r\nhi", ("wxid_a", "hi")),
        ("@ab12:<br/>hi", ("@ab12", "hi")),
        ("see this:\nx", ("", "see this:\nx")),
        ("hi", ("", "hi")),
        (":\nhi", ("", ":\nhi")),
    ],
)
def test_the_sender_is_split_off_once(text: str, wanted: tuple[str, str]) -> None:
    assert wanted == split_sender(text)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("报告 1.pdf", "报告 1.pdf"),
        ("..\\..\\evil.lnk", "evil.lnk"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\a.txt", "a.txt"),
        ("..", "file"),
        ("...", "file"),
        ("", "file"),
        ("a/", "file"),
        ("con.txt", "_con.txt"),
        ("NUL", "_NUL"),
        ("x. . ", "x"),
        ("pic\u202egpj.exe", "picgpj.exe"),
        ("a\x00b\n.txt", "ab.txt"),
        ('a<b>:"|?*.txt', "a_b______.txt"),
        ("console.txt", "console.txt"),
    ],
)
def test_file_names_never_leave_their_folder(name: str, safe: str) -> None:
    assert safe == safe_name(name)


# --- any text --------------------------------------------------------------------------------------------------------

typed = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def _kept(text: str) -> str:
    """What XML can carry of a text, as it reads back."""
    kept = "".join(c for c in text if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff"))
    return kept.replace("\r\n", "\n").replace("\r", "\n").strip()


@settings(max_examples=150, deadline=None)
@given(title=typed, description=typed, dialect=st.sampled_from(DIALECTS))
def test_any_text_in_a_link_parses_back(title: str, description: str, dialect: Dialect) -> None:
    (link,) = parse_card(compose_link(Link("https://example.org/?a=1&b=2", title, description), dialect)).segments()

    assert Link("https://example.org/?a=1&b=2", _kept(title), _kept(description)) == link


@settings(max_examples=100, deadline=None)
@given(path=typed, name=typed)
def test_any_text_in_cdata_parses_back(path: str, name: str) -> None:
    program = MiniProgram("wx1", "gh_1@app", name, icon_url=path)
    (back,) = parse_card(compose_mini_program(program)).segments()

    assert isinstance(back, MiniProgram)
    assert (_kept(name), _kept(path)) == (back.title, back.icon_url)


@settings(max_examples=100, deadline=None)
@given(title=typed, size=st.integers(0, 10**12), dialect=st.sampled_from(DIALECTS))
def test_a_file_card_stays_a_file_card_under_any_name(title: str, size: int, dialect: Dialect) -> None:
    card = parse_card(compose_file(FileCard(title, size), dialect)).file()

    assert card is not None
    assert (_kept(title), size) == (card.title, card.totallen)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=200) | st.text("<>&;![]CDATAmsgappmsgtitle/\"'= x", max_size=200))
def test_parsing_raises_nothing_but_value_error(text: str) -> None:
    for parse in (parse_card, parse_contact, parse_media, parse_friend_request, parse_revoked):
        for form in (text, f"<msg><appmsg><title>{text}</title><type>6</type></appmsg></msg>"):
            try:
                parse(form)
            except ValueError:
                continue


@settings(max_examples=200, deadline=None)
@given(name=st.text(max_size=300))
def test_safe_names_are_safe(name: str) -> None:
    safe = safe_name(name)

    assert 0 < len(safe.encode()) <= MAX_NAME_BYTES
    assert not set(safe) & set('/\\\0<>:"|?*')
    assert safe not in (".", "..")
    assert safe == safe_name(safe)
