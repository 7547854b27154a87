"""The folder of a reader, with the files that the pages name."""

from __future__ import annotations

from pathlib import Path

import pytest

from yizhan.cli.demo.files import book, picture


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "photo.png").write_bytes(picture())
    (tmp_path / "report.pdf").write_bytes(book())
    monkeypatch.chdir(tmp_path)
    return tmp_path
