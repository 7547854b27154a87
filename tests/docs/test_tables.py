"""The tables of the pages are those of the code, and the texts beside them fit."""

from __future__ import annotations

import pytest

from tests.docs.pages import marked, name_of
from tests.docs.tables import CODES, MAKERS, _faults
from yizhan.platforms.spec import platforms

BLOCKS = [pytest.param(block, id=f"{name_of(block.page)}-{block.name}") for block in marked("made")]
SEARCHED = {413, 850026, 40054005, 40034102, 40034105, 40034100, 40093002, 11298, 11255, 304023, -2, -14, 1203}
"""Codes that people type into a search engine."""


@pytest.mark.parametrize("block", BLOCKS)
def test_the_table_is_that_of_the_code(block) -> None:  # type: ignore[no-untyped-def]
    assert MAKERS[block.name]() == block.text, "make it anew: python -m tests.docs.tables --write"


def test_every_table_has_a_place() -> None:
    assert MAKERS.keys() == {block.name for block in marked("made")}


def test_the_codes_that_people_search_for_are_explained() -> None:
    explained = {_faults(name)[code].code for name, code, _ in CODES}

    assert SEARCHED <= explained


@pytest.mark.parametrize("name", platforms())
def test_no_code_is_explained_twice(name: str) -> None:
    mine = [code for platform, code, _ in CODES if platform == name]

    assert len(mine) == len(set(mine))
