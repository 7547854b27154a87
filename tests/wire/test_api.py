"""Endpoints with shared fields, secrets by mark, and the wording of wrong fields."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct

from tests.pigeon import COO, SEND, Delivered
from yizhan.errors import Throttled
from yizhan.wire import (
    Api,
    Endpoint,
    FaultCode,
    FaultTable,
    Header,
    HttpRequest,
    MalformedRequest,
    Query,
    Secret,
    WrongField,
    decode_request,
    is_secret,
    mask_text,
    mask_value,
)


class Inner(Struct):
    combination: Annotated[str, Secret()] = ""


class Locked(Struct):
    nest: Annotated[str, Query("nestKey", secret=True)]
    count: int
    wanted: bool | None = None
    feather: Annotated[str, Header("X-Feather", secret=True)] = ""
    boxes: list[Inner] = []
    size: Annotated[int, Meta(ge=1)] = 1
    word: Annotated[str, Meta(max_length=5)] = ""
    mood: Literal["glad", "calm"] = "calm"


LOFT = Api(COO, "the Handbook", "/loft", timeout=5)
OPEN = LOFT.post("open", Locked, Delivered, acts=True)
ROW = FaultCode(1, "tired", means=Throttled)
NAMED = FaultCode(2, "asleep", name="sleeping")


def test_endpoints_of_an_api_share_its_envelope_source_prefix_and_timeout() -> None:
    assert ("POST", "/loft/open", COO, "the Handbook", 5, True) == (
        OPEN.method,
        OPEN.path,
        OPEN.envelope,
        OPEN.source,
        OPEN.timeout,
        OPEN.acts,
    )


def test_an_endpoint_may_differ_from_its_api() -> None:
    letter = LOFT.call("PUT", "letter", SEND.request, Delivered, "/{to}", timeout=60, source="elsewhere")

    assert ("PUT", "/loft/{to}", 60, "elsewhere") == (letter.method, letter.path, letter.timeout, letter.source)


def test_the_fault_codes_of_a_module_make_its_table_and_their_variables_their_names() -> None:
    table = FaultTable.of(globals())

    assert (ROW, NAMED) == table.rows
    assert ROW is table.find("row") is table.find(1)
    assert NAMED is table.find("sleeping")
    assert ("row", "sleeping") == (table.name_of(ROW), table.name_of(NAMED))


def test_marked_fields_are_masked_at_every_depth() -> None:
    assert all(is_secret(name) for name in ("nestKey", "x-feather", "combination"))
    assert "/loft?nestKey=***&count=1" == mask_text("/loft?nestKey=k-17&count=1")
    assert {"boxes": [{"combination": "***"}], "count": 1} == mask_value(
        {"boxes": [{"combination": "4-8-15"}], "count": 1}
    )


@pytest.mark.parametrize(
    ("body", "words", "field"),
    [
        (b"{}", "the field 'count' is missing", "count"),
        (b'{"count":1,"wanted":"perhaps"}', "the field 'wanted' is text; it takes true or false or nothing", "wanted"),
        (b'{"count":"x"}', "the field 'count' is text; it takes an integer", "count"),
        (b'{"count":1,"boxes":[{"combination":{}}]}', "the field 'boxes[0].combination' is an object; it takes text",
         "boxes[0].combination"),
        (b'{"count":1,"size":0}', "the field 'size' takes an integer of at least 1", "size"),
        (b'{"count":1,"word":"abcdef"}', "the field 'word' takes text of at most 5 characters", "word"),
        (b'{"count":1,"mood":"sad"}', "the field 'mood' cannot be 'sad'", "mood"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_in_plain_words(body: bytes, words: str, field: str) -> None:
    with pytest.raises(WrongField) as caught:
        decode_request(OPEN, HttpRequest("POST", "/loft/open", [("nestKey", "k")], body=(body,)))

    assert (words, field) == (str(caught.value), caught.value.field)


def test_nothing_but_json_is_malformed_in_plain_words() -> None:
    plain = Endpoint("plain", "POST", "/x", Inner, Delivered, COO, "a page")

    with pytest.raises(MalformedRequest, match=r"^the body is not valid JSON$"):
        decode_request(plain, HttpRequest("POST", "/x", body=(b"{",)))
