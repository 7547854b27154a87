"""The file, the environment and options: which one counts, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from yizhan.config.reading import read_config, values
from yizhan.config.reloading import LiveConfig
from yizhan.config.settings import Settings
from yizhan.config.values import FOREVER, Size, Span
from yizhan.errors import ConfigError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "yizhan.toml"


def test_without_a_file_everything_has_its_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    config = read_config({})

    assert Settings() == config.settings
    assert "default" == config.origin("log.level")


def test_a_variable_wins_over_the_file_and_an_option_over_both(file: Path) -> None:
    file.write_text('[log]\nlevel = "warning"\nformat = "json"\n\n[run]\nport = 1\nhost = "::1"\n')

    config = read_config({"YIZHAN_LOG__LEVEL": "debug", "YIZHAN_RUN__PORT": "2"}, file=file, options={"run.port": 3})

    assert ("debug", "json") == (config.settings.log.level, config.settings.log.format)
    assert ("::1", 3) == (config.settings.run.host, config.settings.run.port)
    assert "YIZHAN_LOG__LEVEL" == config.origin("log.level")
    assert f"{file}, line 3" == config.origin("log.format")
    assert "--port" == config.origin("run.port")


def test_the_short_variables_count_less_than_the_long_ones(file: Path) -> None:
    file.write_text("")

    assert "info" == read_config({"YIZHAN_LOG": "INFO"}, file=file).settings.log.level
    both = {"YIZHAN_LOG": "info", "YIZHAN_LOG__LEVEL": "error"}
    assert "error" == read_config(both, file=file).settings.log.level


def test_relative_paths_start_from_the_folder_of_the_file(file: Path) -> None:
    file.write_text('[store]\npath = "data"\n[media]\nfolders = ["files", "/srv"]\n')

    settings = read_config({}, file=file).settings

    assert file.parent / "data" == settings.store.path
    assert (file.parent / "files", Path("/srv")) == settings.media.folders


def test_a_secret_may_stand_in_a_file_and_is_shown_masked(file: Path) -> None:
    (file.parent / "secret").write_text("c2VjcmV0\n")
    file.write_text('[store]\nkey_file = "secret"\n')

    config = read_config({}, file=file)

    assert "c2VjcmV0" == config.settings.store.key
    assert "***" == values(config.settings)["store.key"]
    assert f"{file}, line 2 (secret)" == config.origin("store.key")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[log]\nlevle = 'info'", "yizhan.toml, line 2: there is no setting 'log.levle'. Did you mean level?"),
        ("[lgo]\nlevel = 'info'", "yizhan.toml, line 1: there is no section [lgo]. Did you mean log?"),
        ("level = 'info'", "yizhan.toml, line 1: 'level' stands outside a section."),
        ("[log]\nlevel = 'loud'", "log.level is 'loud'. Expected one of debug, info, warning"),
        ("[run]\n\nport = true", "line 3: run.port is True. Expected a whole number."),
        ("[keep]\nevents = 30", "line 2: keep.events is 30. Expected a span such as 12h, 30d, 2w, or forever."),
        ("[media]\nallow = 1", 'media.allow is 1. Expected a list such as ["one", "two"].'),
        ("[media]\nmax_bytes = 'much'", "Expected bytes as a number, or a size such as 500MB or 2GB."),
        ("[store]\nkey_file = 'gone'", "which cannot be read: No such file or directory."),
        ("[store]\nkey = 3", "store.key is the value. Expected a text in quotes."),
        ("[log", "is not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_reported_with_its_place(file: Path, text: str, expected: str) -> None:
    file.write_text(text)

    with pytest.raises(ConfigError) as caught:
        read_config({}, file=file)

    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("YIZHAN_LOGS__LEVEL", "YIZHAN_LOGS__LEVEL: there is no section [logs]. Did you mean log?"),
        ("YIZHAN_RUN__PROT", "YIZHAN_RUN__PROT: there is no setting 'run.prot'. Did you mean port?"),
        ("YIZHAN_RUN__PORT", "YIZHAN_RUN__PORT: run.port is 'x'. Expected a whole number."),
    ],
)
def test_a_mistake_in_a_variable_is_reported_with_its_name(file: Path, name: str, expected: str) -> None:
    file.write_text("")

    with pytest.raises(ConfigError) as caught:
        read_config({name: "x"}, file=file)

    assert expected in str(caught.value)


def test_variables_of_accounts_and_options_are_none_of_the_configuration(file: Path) -> None:
    file.write_text("")

    assert Settings() == read_config({"YIZHAN_QQBOT_SECRET": "x", "YIZHAN_SEND_TO": "@a"}, file=file).settings


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory"):
        read_config({"YIZHAN_CONFIG": str(tmp_path / "gone.toml")})


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("12h", 43200), ("30d", 2592000)])
def test_spans_are_written_as_they_are_read(text: str, seconds: float) -> None:
    assert seconds == Span.read(text)
    assert text == str(Span.read(text))
    assert "forever" == str(FOREVER)


def test_sizes_are_powers_of_a_thousand() -> None:
    assert (500_000_000, 2_000_000_000, 7) == (Size.read("500MB"), Size.read("2GB"), Size.read(7))


def test_reloading_changes_log_and_keep_and_names_settings_that_need_a_restart(file: Path) -> None:
    file.write_text('[log]\nlevel = "info"\n[run]\nport = 1\n')
    live = LiveConfig({}, file=file)

    file.write_text('[log]\nlevel = "debug"\n[keep]\nevents = "1d"\n[run]\nport = 2\n')
    reloaded = live.reload()

    assert ("log.level", "keep.events") == reloaded.changed
    assert ("run.port",) == reloaded.restart
    assert ("debug", 86400.0, 1) == (
        live.config.settings.log.level,
        live.config.settings.keep.events,
        live.config.settings.run.port,
    )


def test_a_reload_of_a_wrong_file_changes_nothing(file: Path) -> None:
    file.write_text('[log]\nlevel = "info"\n')
    live = LiveConfig({}, file=file)

    file.write_text('[log]\nlevel = "loud"\n')
    with pytest.raises(ConfigError):
        live.reload()

    assert "info" == live.config.settings.log.level
