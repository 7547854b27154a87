"""The store is opened by `async with`; any other use is a clear error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import yizhan
from yizhan.model import PlatformId, Receipt, State


async def _awaited(opening: Any) -> None:
    await opening


async def _entered(opening: Any) -> None:
    with opening:
        pass


async def _used(opening: Any) -> None:
    await opening.send("fake.me/user/a", "hi")


@pytest.mark.parametrize("use", [_awaited, _entered, _used])
async def test_open_without_async_with_says_how_it_is_opened(use: Callable[[Any], Any], tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"async with yizhan\.open\(.*Without async, use `with yizhan\.open_blocking"):
        await use(yizhan.open(tmp_path / "store"))
    assert not (tmp_path / "store").exists()


RECEIPT = Receipt("d42", "qqbot.main/user/x", State.UNKNOWN, (PlatformId("m1", 5.0),), 2, "no answer", parts=2)


def test_a_receipt_is_readable() -> None:
    assert "<Receipt d42 unknown to qqbot.main/user/x, 1 of 2 parts: no answer>" == repr(RECEIPT)


def test_a_receipt_becomes_plain_values_with_every_field() -> None:
    shown = RECEIPT.to_dict()

    assert {*Receipt.__struct_fields__, "parts_done"} == set(shown)
    assert ("unknown", [{"id": "m1", "at": 5.0}], 1, None) == (
        shown["state"],
        shown["platform_ids"],
        shown["parts_done"],
        shown["retry_of"],
    )
