"""The skeleton of a new platform passes the conformance suite and mypy --strict unchanged."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.docs.pages import install, run_tests
from yizhan.testing import new_platform


async def test_the_skeleton_passes_its_test_the_conformance_suite_and_the_type_checker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 0 == new_platform.main(["heron", "--title", "Heron mail", "--into", str(tmp_path)])
    monkeypatch.chdir(tmp_path)
    install(tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"])

    said = await asyncio.to_thread(
        run_tests, "test_heron.py", "--pyargs", "yizhan.testing.conformance", "--conform", "heron"
    )
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-incremental",
        "--config-file",
        "",
        "heron",
        "test_heron.py",
    ]
    typed = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)

    assert not said, said
    assert 0 == typed.returncode, typed.stdout


@pytest.mark.parametrize("name", ["Heron", "class", "qqbot", "json", "a-b", "x", ""])
def test_a_name_that_cannot_be_used_is_refused_and_nothing_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        new_platform.main([name, "--into", str(tmp_path / "new")])

    assert "platform" in capsys.readouterr().err or name == "json"
    assert not (tmp_path / "new").exists()


def test_files_that_exist_are_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("mine")

    with pytest.raises(SystemExit):
        new_platform.main(["heron", "--into", str(tmp_path)])
    assert "mine" == (tmp_path / "pyproject.toml").read_text()
    assert ["pyproject.toml"] == [path.name for path in tmp_path.iterdir()]
