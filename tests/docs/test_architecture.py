"""Claims of pages about the code are true: files exist, layers and names are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, name_of, pages, pieces
from tests.docs.tables import layers

ARCHITECTURE = ROOT / "docs/architecture.md"
SOURCE = ROOT / "src/yizhan"
FOLDERS = {path.name for parent in (ROOT, SOURCE) for path in parent.iterdir() if path.is_dir()}
PATH = re.compile(r"[\w.]+(?:/[\w.-]+)+/?|[\w-]+\.(?:py|toml)")


def _tree_and_path() -> tuple[str, str]:
    tree, *_, path = [piece.text for piece in pieces(ARCHITECTURE) if piece.kind == "text" and "/" in piece.text]
    return tree, path


def test_every_file_of_the_tree_exists() -> None:
    tree, _ = _tree_and_path()
    missing, folder = [], SOURCE
    for line in tree.splitlines()[1:]:
        indent, names = re.match(r"( *)((?:[\w.]+/?)(?: [\w]+/)*)", line).groups()  # type: ignore[union-attr]
        if len(indent) == 2:
            folder = SOURCE
        missing += [name for name in names.split() if not (folder / name).exists()]
        if len(indent) == 2 and names.endswith("/"):
            folder = SOURCE / names
    assert [] == missing


def test_every_part_of_the_code_is_in_the_tree() -> None:
    tree, _ = _tree_and_path()
    parts = {path.name for path in SOURCE.iterdir() if any(path.glob("*.py")) or path.suffix == ".py"}

    assert set() == {part for part in parts if f"  {part}" not in tree}


def test_every_file_of_the_one_path_exists() -> None:
    _, path = _tree_and_path()
    named = set(PATH.findall(path)) - {"adapter.upload"}

    assert len(named) >= 10
    assert set() == {name for name in named if not (SOURCE / name).exists()}


def test_the_layers_are_those_of_the_contract() -> None:
    shown = next(p.text.split("\n") for p in pieces(ARCHITECTURE) if p.kind == "text" and "gateway | console" in p.text)

    assert layers() == [line for line in shown if line]


@pytest.mark.parametrize("page", [pytest.param(page, id=name_of(page)) for page in pages()])
def test_files_that_a_page_names_exist(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    named = {name for name in re.findall(r"`([\w./-]+/[\w./-]*)`", text) if name.split("/")[0] in FOLDERS}

    assert [] == [name for name in named if not (ROOT / name).exists() and not (SOURCE / name).exists()]
