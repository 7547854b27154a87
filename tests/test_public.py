"""The public names: all there, and none loaded before its first use."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import yizhan
from yizhan.model import Kind, Media, message_of

HEAVY = ("aiohttp", "sqlalchemy", "alembic", "PIL", "av", "cryptography", "obstore", "typer", "rich", "msgspec")


@pytest.mark.parametrize("name", yizhan.__all__)
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(yizhan, name) is not None


@pytest.mark.parametrize(("name", "module"), yizhan._modules().items())
def test_a_public_name_is_that_of_the_module_in_the_list(name: str, module: str) -> None:
    assert getattr(yizhan, name) is getattr(import_module(module), name)


def test_a_star_import_brings_every_public_name() -> None:
    names: dict[str, object] = {}
    exec("from yizhan import *", names)

    assert set(yizhan.__all__) <= set(names)
    assert {"open", "Engine", "Image", "YizhanError", "Broadcast"} <= set(names)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'sendd'"):
        _ = yizhan.sendd  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", ["import yizhan", "import yizhan; yizhan.__version__; dir(yizhan)"])
def test_importing_loads_nothing_heavy(code: str) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys, json; print(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )

    loaded = {module.partition(".")[0] for module in json.loads(shown.stdout)}
    assert set() == loaded & set(HEAVY)


def test_opening_an_engine_loads_no_media_libraries(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys, json, yizhan\n"
        "async def main():\n"
        f"    async with yizhan.open({str(tmp_path / 'store')!r}):\n"
        "        pass\n"
        "asyncio.run(main())\n"
        "print(json.dumps(list(sys.modules)))\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = {module.partition(".")[0] for module in json.loads(shown.stdout)}
    assert set() == loaded & {"PIL", "av", "pysilk", "typer", "rich"}


@pytest.mark.parametrize("kind", ["image", "video", "voice", "file"])
def test_media_alone_are_a_segment_of_their_kind(kind: Kind) -> None:
    media = Media("0" * 64, "", 0, 1, kind, "", "", name="报告.pdf")

    _, segment = message_of("look", [media]).segments

    assert (kind, media, "报告.pdf") == (
        segment.__struct_config__.tag,
        getattr(segment, "media", 0),
        getattr(segment, "name", 0),
    )
