"""Chat records, songs and other cards as `Card` segments."""

from __future__ import annotations

from html import escape

import pytest

from yizhan.model import Card, CardLine, Link, Text
from yizhan.platforms.wechat_xml import parse_card
from yizhan.platforms.wechat_xml.record import MAX_LINES

ITEMS = (
    '<dataitem datatype="1"><sourcename>Ada</sourcename><srcMsgCreateTime>1721485740</srcMsgCreateTime>'
    "<datadesc>see the plan</datadesc></dataitem>"
    '<dataitem datatype="8"><sourcename>Ben</sourcename><sourcetime>2024-07-20 22:30</sourcetime>'
    "<datatitle>..\\plan.pdf</datatitle></dataitem>"
    '<dataitem datatype="2"><sourcename>Ben</sourcename></dataitem>'
    '<dataitem datatype="17"><sourcename>Ben</sourcename><datatitle>an older talk</datatitle></dataitem>'
)
LINES = (
    CardLine("see the plan", "Ada", 1721485740.0),
    CardLine("[文件] ..\\plan.pdf", "Ben", 1721485800.0),
    CardLine("[图片]", "Ben"),
    CardLine("[聊天记录] an older talk", "Ben"),
)


def record(items: str = ITEMS, form: str = "cdata") -> str:
    info = f"<recordinfo><title>T</title><datalist count='9'>{items}</datalist></recordinfo>"
    inner = {"cdata": f"<![CDATA[{info}]]>", "escaped": escape(info), "elements": info}[form]
    return f"<appmsg><title>T</title><des>D</des><type>19</type><recorditem>{inner}</recorditem></appmsg>"


@pytest.mark.parametrize("form", ["cdata", "escaped", "elements"])
def test_a_chat_record_has_its_lines(form: str) -> None:
    xml = record(form=form)
    (card,) = parse_card(xml).segments(as_cards=True)

    assert Card("T", "D", kind="chat_record", xml=xml, lines=LINES) == card


@pytest.mark.parametrize("inner", ["", "&lt;recordinfo", "<![CDATA[<recordinfo>]]>", "text", "<![CDATA[<a/>]]>"])
def test_a_broken_chat_record_is_a_card_without_lines(inner: str) -> None:
    xml = f"<appmsg><title>T</title><type>19</type><recorditem>{inner}</recorditem></appmsg>"
    (card,) = parse_card(xml).segments(as_cards=True)

    assert Card("T", kind="chat_record", xml=xml) == card


def test_a_chat_record_has_a_bounded_number_of_lines() -> None:
    (card,) = parse_card(record("<dataitem datatype='1'><datadesc>x</datadesc></dataitem>" * 900)).segments(
        as_cards=True
    )

    assert isinstance(card, Card)
    assert MAX_LINES == len(card.lines)


@pytest.mark.parametrize("time", ["soon", "2024-13-45 10:00", "", "99999999999"])
def test_a_line_with_an_unreadable_time_has_none(time: str) -> None:
    item = (
        f"<dataitem datatype='1'><sourcetime>{time}</sourcetime><srcMsgCreateTime>{time}</srcMsgCreateTime></dataitem>"
    )
    (card,) = parse_card(record(item)).segments(as_cards=True)

    assert isinstance(card, Card)
    assert 0.0 == card.lines[0].at


@pytest.mark.parametrize(
    ("xml", "segment"),
    [
        (
            "<appmsg><title>Night Ferry</title><des>The Quay</des><type>3</type><url>https://m.example.org/1</url></appmsg>",
            ("Night Ferry", "The Quay", "https://m.example.org/1", "song"),
        ),
        ("<appmsg><title>Sign up</title><type>53</type></appmsg>", ("Sign up", "", "", "53")),
        ("<appmsg><title>T</title><type>2000</type><url>weixin://pay</url></appmsg>", ("T", "", "", "2000")),
    ],
)
def test_songs_and_other_types_are_cards_with_their_xml(xml: str, segment: tuple[str, str, str, str]) -> None:
    (card,) = parse_card(xml).segments(as_cards=True)

    title, description, url, kind = segment
    assert Card(title, description, url, kind, xml) == card


def test_cards_with_a_segment_of_their_own_keep_it() -> None:
    link = "<appmsg><title>T</title><type>5</type><url>https://x.y</url></appmsg>"

    assert (Link("https://x.y", "T"),) == parse_card(link).segments(as_cards=True)
    assert (Text("T\nD"),) == parse_card(record()).segments()
