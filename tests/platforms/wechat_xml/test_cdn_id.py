"""CDN ids have the format of published ones and contain their object's name."""

from __future__ import annotations

import random

import pytest

from yizhan.platforms.wechat_xml.cdn_id import make_cdn_id, object_of_cdn_id

PRINTED = (
    "3057020100044b30490201000204c9476ca302032f7f1e02043e5006070204669cc4b00424"
    "62653836306364342d613436632d346565352d396333322d3438313763646365386431620204052400050201000405004c218800"
)


def test_an_id_has_the_format_of_a_published_one() -> None:
    made = make_cdn_id(random.Random(1), 5, 0x669CC4B0)
    same = (slice(0, 28), slice(36, 42), slice(58, 74), slice(146, 170))

    assert 178 == len(made) == len(PRINTED)
    assert [PRINTED[part] for part in same] == [made[part] for part in same]


def test_an_id_contains_the_name_of_its_object() -> None:
    assert "be860cd4-a46c-4ee5-9c32-4817cdce8d1b" == object_of_cdn_id(PRINTED)


@pytest.mark.parametrize("text", ["", "3", "zz", "3057", "00" * 89, "张"])
def test_an_unknown_id_has_an_empty_name(text: str) -> None:
    assert "" == object_of_cdn_id(text)
