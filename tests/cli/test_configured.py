"""Which store and which settings a command uses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from yizhan.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("YIZHAN_STORE", "YIZHAN_CONFIG", "YIZHAN_LOG"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def begin(*words: str) -> None:
    """Make a store by adding an account to it."""
    assert 0 == main([*words, "account", "add", "qqbot.main", "--set", "app_id=1", "--set", "secret=x", "--no-check"])


def test_the_first_account_begins_a_store_in_the_current_folder(folder: Path) -> None:
    begin()

    assert (folder / "yizhan-data" / "yizhan.db").exists()


def test_the_option_may_stand_before_or_after_the_command(folder: Path, capsys: Capture) -> None:
    begin("--store", "a")
    capsys.readouterr()

    assert 0 == main(["account", "list", "--store", "a", "--json"])
    assert 0 == main(["--store", "a", "account", "list", "--json"])
    assert "qqbot.main" in capsys.readouterr().out


def test_the_option_before_the_command_wins_over_the_variable(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YIZHAN_STORE", "b")

    begin("--store", "a")

    assert (folder / "a" / "yizhan.db").exists()
    assert not (folder / "b").exists()


def test_the_variable_wins_over_the_folder_and_the_folder_over_the_file(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "yizhan.toml").write_text('[store]\npath = "c"\n')

    begin()
    assert (folder / "c" / "yizhan.db").exists()

    (folder / "yizhan-data").mkdir()
    begin()
    assert (folder / "yizhan-data" / "yizhan.db").exists()

    monkeypatch.setenv("YIZHAN_STORE", "b")
    begin()
    assert (folder / "b" / "yizhan.db").exists()


def test_without_a_store_everything_that_was_looked_for_is_named(folder: Path, capsys: Capture) -> None:
    assert 2 == main(["account", "list"])

    said = capsys.readouterr().err
    assert (
        "There is no store. Looked for: --store (not given), YIZHAN_STORE (not set), "
        f"{folder}/yizhan-data (not there), [store] path in {folder}/yizhan.toml (no such file). Begin one "
        "by adding an account (yizhan account add qqbot.main …), or name another with --store."
    ) in said


def test_a_missing_store_is_reported_with_the_place_that_names_it(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 2 == main(["account", "list", "--store", "x"])
    assert f"There is no store at {folder}/x, which --store names." in capsys.readouterr().err

    monkeypatch.setenv("YIZHAN_STORE", "y")
    assert 2 == main(["account", "list"])
    assert f"There is no store at {folder}/y, which YIZHAN_STORE names." in capsys.readouterr().err


def test_a_wrong_configuration_stops_every_command(folder: Path, capsys: Capture) -> None:
    (folder / "yizhan.toml").write_text("[log]\nlevle = 'info'\n")

    assert 2 == main(["config", "show", "--json"])

    assert (
        f"{folder}/yizhan.toml, line 2: there is no setting 'log.levle'"
        in json.loads(capsys.readouterr().err)["detail"]
    )


def test_an_unknown_level_is_refused(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YIZHAN_LOG", "loud")

    assert 2 == main(["config", "show"])

    assert "YIZHAN_LOG: log.level is 'loud'. Expected one of debug, info, warning" in capsys.readouterr().err


def test_settings_are_shown_with_where_they_come_from(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "my.toml").write_text('[keep]\nevents = "7d"\n[store]\nkey = "geheim"\n')
    monkeypatch.setenv("YIZHAN_RUN__PORT", "9000")

    assert 0 == main(["--config", "my.toml", "config", "show", "--origin"])

    said = capsys.readouterr().out
    rows = [line.split(maxsplit=2) for line in said.splitlines()]
    assert ["keep.events", "7d", f"{folder}/my.toml, line 2"] in rows
    assert ["run.port", "9000", "YIZHAN_RUN__PORT"] in rows
    assert "geheim" not in said


def test_files_outside_the_configured_folders_are_refused(folder: Path, capsys: Capture) -> None:
    begin()
    (folder / "yizhan.toml").write_text('[media]\nfolders = ["in"]\nmax_bytes = 10\n')
    (folder / "in").mkdir()
    (folder / "out.txt").write_text("x")
    (folder / "in" / "long.txt").write_text("x" * 11)
    (folder / "in" / "short.txt").write_text("x" * 10)

    assert 2 == main(["upload", "out.txt"])
    assert 2 == main(["upload", "in/long.txt"])
    assert 0 == main(["upload", "in/short.txt"])


def test_the_log_is_written_as_the_configuration_says(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "yizhan.toml").write_text('[log]\nlevel = "debug"\nformat = "json"\n')

    begin()

    for line in capfd.readouterr().err.splitlines():
        assert {"time", "level", "event", "account", "delivery", "endpoint", "reason"} <= set(json.loads(line))


def test_one_account_is_shown_with_its_secrets_masked(capsys: Capture) -> None:
    begin()
    capsys.readouterr()

    assert 0 == main(["account", "show", "qqbot.main", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert ("qqbot.main", "1", "***") == (shown["account"], shown["settings"]["app_id"], shown["settings"]["secret"])
    assert 0 == main(["account", "show", "qqbot.main"])
    assert ["secret", "***"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_an_unknown_account_is_not_shown_but_the_close_one_named(capsys: Capture) -> None:
    begin()

    assert 2 == main(["account", "show", "qqbot.mian"])
    assert "Did you mean qqbot.main?" in capsys.readouterr().err


def test_platforms_are_listed_with_the_settings_that_an_account_needs(capsys: Capture) -> None:
    assert 0 == main(["platforms", "--json"])

    shown = {one["platform"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    assert {"qqbot", "webwechat", "wechatsdk", "ohwxapi", "ilink"} <= set(shown)
    assert ["app_id", "secret"] == shown["qqbot"]["needed"]
    assert "base_url" in shown["webwechat"]["further"]
