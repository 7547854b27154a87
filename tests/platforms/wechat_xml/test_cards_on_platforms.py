"""A received chat record or song can be sent on by every WeChat platform that takes its XML."""

from __future__ import annotations

from typing import Any

import pytest

from yizhan.model import Card, CardLine, Target, message_of
from yizhan.platforms.ohwxapi import PLATFORM as OHWXAPI
from yizhan.platforms.ohwxapi import convert as ohwxapi
from yizhan.platforms.wechat_xml import card_type, parse_card
from yizhan.platforms.wechatsdk import PLATFORM as WECHATSDK
from yizhan.platforms.wechatsdk import convert as wechatsdk

RECORD = (
    "<appmsg><title>Talk</title><type>19</type><recorditem><![CDATA[<recordinfo><datalist>"
    "<dataitem datatype='1'><sourcename>Ada</sourcename><datadesc>see the plan</datadesc></dataitem>"
    "</datalist></recordinfo>]]></recorditem></appmsg>"
)
SONG = "<appmsg><title>Night Ferry</title><des>The Quay</des><type>3</type><url>https://m.example.org/1</url></appmsg>"
WORDS = Card("Talk", lines=(CardLine("see the plan", "Ada"),))


def compose_wechatsdk(card: Card) -> Any:
    return wechatsdk.compose(message_of(card), Target("wechatsdk.main", "user", "wxid_bob"), WECHATSDK.rules())


def compose_ohwxapi(card: Card) -> Any:
    return ohwxapi.compose(message_of(card), Target("ohwxapi.main", "user", "wxid_bob"), OHWXAPI.rules())


@pytest.mark.parametrize(("xml", "type_"), [(RECORD, 19), (SONG, 3)])
def test_wechatsdk_sends_a_card_unchanged_by_its_xml(xml: str, type_: int) -> None:
    (card,) = parse_card(xml).segments(as_cards=True)
    (part,) = compose_wechatsdk(card)  # type: ignore[arg-type]

    assert ("send_xml", xml, type_) == (part.call, part.body.request.content, part.body.request.msgType)


@pytest.mark.parametrize("xml", [RECORD, SONG])
def test_ohwxapi_sends_a_card_unchanged_by_its_xml(xml: str) -> None:
    (card,) = parse_card(xml).segments(as_cards=True)
    (part,) = compose_ohwxapi(card)  # type: ignore[arg-type]

    assert (xml, "") == (part.body.parameters.AppMsgXml, part.note)


def test_a_card_without_xml_goes_as_its_words_with_a_note() -> None:
    (one,) = compose_wechatsdk(WORDS)
    (two,) = compose_ohwxapi(WORDS)

    assert "Talk\nAda: see the plan" == one.body.request.msgContent == two.body.parameters.Content
    assert all("sent as text" in part.note for part in (one, two))


@pytest.mark.parametrize(
    ("xml", "type_"), [(RECORD, 19), ("<appmsg><title>t</title></appmsg>", 0), ("", 0), ("<a>", 0)]
)
def test_the_type_of_an_unreadable_card_is_zero(xml: str, type_: int) -> None:
    assert type_ == card_type(xml)
