"""docs/configuration.md names every setting with its default, and its example is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from yizhan.config.reading import read_config, values
from yizhan.config.reference import reference

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")


def test_the_table_of_settings_is_made_from_the_code() -> None:
    assert PAGE.endswith(reference() + "\n")


def test_the_example_is_a_configuration(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    key = tmp_path / "key"
    key.write_text("a2V5")
    file = tmp_path / "yizhan.toml"
    file.write_text(found[1].replace("/run/secrets/yizhan_key", str(key)))

    shown = values(read_config({}, file=file).settings)

    assert "90d" == str(shown["keep.deliveries"])
    assert 500_000_000 == shown["media.max_bytes"]


@pytest.mark.parametrize("page", ["configuration.md", "log.md"])
def test_links_to_other_pages_lead_somewhere(page: str) -> None:
    folder = Path(__file__).parents[2] / "docs"
    for target in re.findall(r"\]\(([\w/-]+\.md)\)", (folder / page).read_text("utf-8")):
        assert (folder / target).exists(), target
