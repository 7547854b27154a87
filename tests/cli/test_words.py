"""Words, files and receipts on the command line. Pure but for the files that are read."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Annotated

import pytest

from yizhan.cli.account import settings_for
from yizhan.cli.content import body, looks_like_target, split_words
from yizhan.cli.exits import code_of, explain, explain_failures
from yizhan.cli.findings import Findings
from yizhan.cli.ids import ids_of
from yizhan.cli.output import Output, size
from yizhan.cli.target_files import targets_of
from yizhan.errors import ConfigError, LoginNeeded, Refused, UnknownTarget
from yizhan.model import Receipt, State
from yizhan.model.secret import Secret
from yizhan.platforms.adapter import Finding
from yizhan.platforms.spec import AccountSettings, Platform

A, B = "qqbot.main/user/A", "webwechat.me/group/B"


@pytest.mark.parametrize(
    ("words", "to", "targets", "text"),
    [
        ([A, "hello"], [], [A], "hello"),
        ([A, B, "hello there"], [], [A, B], "hello there"),
        ([A, B], [], [A, B], None),
        ([A], [], [A], None),
        (["hello"], [A], [A], "hello"),
        (["hello"], [], ["hello"], None),
        ([A, "-"], [], [A], "-"),
        (["@ops", "#staff", "off at five"], [], ["@ops", "#staff"], "off at five"),
        ([B, "-"], [A], [A, B], "-"),
        ([A, "and/or"], [], [A], "and/or"),
        ([A, "https://example.com/a/b"], [], [A], "https://example.com/a/b"),
        # A target with a slip in it is refused later; it is never sent to the first one as a text.
        ([A, "qqbot.main/usr/B"], [], [A, "qqbot.main/usr/B"], None),
        ([A, "qqbot/user/B"], [], [A, "qqbot/user/B"], None),
        ([], [A], [A], None),
    ],
)
def test_the_last_word_is_the_text_unless_it_looks_like_a_target(
    words: list[str], to: list[str], targets: list[str], text: str | None
) -> None:
    assert (targets, text) == split_words(words, to)


@pytest.mark.parametrize("word", ["@a", "#tag", "file:people.csv", A, "webwechat/x"])
def test_targets_are_recognized_by_their_form(word: str) -> None:
    assert looks_like_target(word)


@pytest.mark.parametrize("word", ["@", "@all hello", "1/2", "hi", "a.b/c", "https://x/y/z", ""])
def test_text_is_recognized_by_its_form(word: str) -> None:
    assert not looks_like_target(word)


@pytest.mark.parametrize(
    "text",
    [
        f"{A}\n{B}\n",
        f"\ufeff{A}\r\n{B}\r\n",
        f"# who is on duty\n{A}\n\n{B},Bob\n",
        f"name,target\nann,{A}\nbob,{B}\n",
        f'"Target","name"\n"{A}","Ann, of course"\n"{B}",\n',
    ],
)
def test_targets_come_from_a_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(text, "utf-8")

    assert [A, B] == targets_of([f"file:{tmp_path / 'people.csv'}"])


@pytest.mark.parametrize("content", [None, b"", b"# nobody\n", b"\xff\xfe\x00"])
def test_a_file_without_targets_is_refused(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "people.csv").write_bytes(content)

    with pytest.raises(UnknownTarget, match=r"people\.csv"):
        targets_of([f"file:{tmp_path / 'people.csv'}"])


class Piped:
    """Standard input with something in it, or a terminal."""

    def __init__(self, data: bytes, terminal: bool = False) -> None:
        self.buffer = io.BytesIO(data)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("last", "option", "only_text", "piped", "expected"),
    [
        ("hi", None, True, b"ignored", "hi"),
        (None, "hi", True, b"ignored", "hi"),
        ("-", None, False, "早上好\n".encode(), "早上好"),
        (None, None, True, b"from a pipe", "from a pipe"),
        (None, None, False, b"not asked for", ""),
        (None, "-", False, b"two\n\n", "two\n"),
    ],
)
def test_the_text_is_the_word_the_option_or_standard_input(
    monkeypatch: pytest.MonkeyPatch, last: str | None, option: str | None, only_text: bool, piped: bytes, expected: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(piped))

    assert expected == body(last, option, only_text=only_text)


def test_a_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b"never read", terminal=True))

    assert "" == body(None, None, only_text=True)


def test_text_that_is_given_twice_or_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(b"\xff\xd8\xff"))

    with pytest.raises(Refused, match="twice"):
        body("a", "b", only_text=True)
    with pytest.raises(Refused, match="--file"):
        body("-", None, only_text=True)


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ("sent", 0),
        ("sent recalled", 0),
        ("failed", 1),
        ("failed expired cancelled", 1),
        ("sent failed", 3),
        ("failed unknown", 3),
        ("failed queued", 3),
        ("held", 4),
        ("sent queued", 4),
        ("unknown", 5),
        ("sent unknown queued", 5),
    ],
)
def test_the_exit_code_says_how_deliveries_stand(states: str, code: int) -> None:
    assert code == code_of(Receipt("d1", A, State(state)) for state in states.split())


@pytest.mark.parametrize(
    ("words", "ids"),
    [(["d4"], ["d4"]), (["4", "D4"], ["d4"]), (["d9-d11", "d10"], ["d9", "d10", "d11"]), (["d3-3"], ["d3"])],
)
def test_ids_come_alone_and_in_ranges(words: list[str], ids: list[str]) -> None:
    assert ids == ids_of(words)


@pytest.mark.parametrize("word", ["x", "d", "d5-d4", "d1-d99999999999", "-d3", "d1-"])
def test_a_word_that_is_no_id_is_refused(word: str) -> None:
    with pytest.raises(Refused):
        ids_of([word])


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (6_275_701, "6.3 MB"), (9.3e12, "9300.0 GB")]
)
def test_sizes_are_short(count: float, text: str) -> None:
    assert text == size(count)


class Settings(AccountSettings, frozen=True, kw_only=True):
    app_id: str
    secret: Annotated[str, Secret()]
    port: int = 1


PLATFORM = Platform(
    name="pigeon",
    title="Pigeon post",
    network="qq",
    settings=Settings,
    capabilities={},
    adapter="",
    server="",
    folder=Path(),
)


def test_settings_come_as_words_from_files_and_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    monkeypatch.setenv("YIZHAN_PIGEON_APP_ID", "from outside")

    settings = settings_for(
        PLATFORM, [f"secret=@{tmp_path / 'secret'}", "port=7", "rules.limits=false", "rules.passive.user.count=5"]
    )

    expected_rules = {"limits": False, "passive.user.count": 5}
    assert {"app_id": "from outside", "secret": "s3cret", "port": "7", "rules": expected_rules} == settings


def test_a_word_goes_before_the_environment_and_may_begin_with_an_at_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YIZHAN_PIGEON_SECRET", "outside")

    settings = settings_for(PLATFORM, ["app_id=a=b", "secret=@@home"])

    assert {"app_id": "a=b", "secret": "@home"} == settings


@pytest.mark.parametrize(
    ("words", "words_of_the_error"),
    [
        (["app_id=1"], "secret is missing.*YIZHAN_PIGEON_SECRET"),
        ([], "app_id, secret are missing"),
        (["app_id=1", "secrt=2"], r"no setting 'secrt'\. Did you mean secret\?"),
        (["app_id"], "KEY=VALUE"),
        (["app_id=1", "secret=@/nowhere/at/all"], "cannot be read"),
        (["app_id=1", "secret="], "secret is missing"),
    ],
)
def test_settings_that_are_missing_or_unknown_are_named(words: list[str], words_of_the_error: str) -> None:
    with pytest.raises(ConfigError, match=words_of_the_error):
        settings_for(PLATFORM, words)


# --- output and errors ------------------------------------------------------------------------------------------------


def _receipt(error: str, detail: str, state: State = State.FAILED) -> Receipt:
    return Receipt("d1", A, state, detail=detail, error=error)


@pytest.mark.parametrize(
    ("error", "state", "remedy"),
    [
        ("TargetGone", State.FAILED, "Check the target"),
        ("NotAllowed", State.FAILED, "Give the account that right"),
        ("Rejected", State.FAILED, "docs/codes.md"),
        ("Duplicate", State.FAILED, "docs/codes.md"),
        ("OutcomeUnknown", State.UNKNOWN, "yizhan deliveries settle"),
        ("Unavailable", State.FAILED, "yizhan doctor"),
        ("WireMismatch", State.FAILED, "base_url"),
    ],
)
def test_the_platforms_words_are_followed_by_a_remedy(
    capsys: pytest.CaptureFixture[str], error: str, state: State, remedy: str
) -> None:
    explain_failures([_receipt(error, "qqbot.main: sendToUser: 不 (code 1)", state)], as_json=False)
    explain_failures([_receipt(error, "qqbot.main: sendToUser: 不 (code 1)", state)], as_json=True)

    line, told = capsys.readouterr().err.splitlines()
    assert line.startswith(f"yizhan: {error}: d1 to {A} is {state.value}: qqbot.main: sendToUser: 不 (code 1). ")
    assert remedy in line
    assert remedy in json.loads(told)["detail"]


def test_a_text_that_names_a_command_gets_no_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    explain(LoginNeeded("it is logged out. Log in: yizhan login webwechat.me"), as_json=False)
    explain(LoginNeeded("the secret is wrong"), as_json=False)

    told, other = capsys.readouterr().err.splitlines()
    assert "yizhan: LoginNeeded: it is logged out. Log in: yizhan login webwechat.me" == told
    assert "correct its secret (yizhan account set" in other


def test_a_cause_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Findings(Output())
    for what, trace in (("token", "0a"), ("the bot itself", "b1")):
        shown.show(Finding(what, False, f"wrong secret (code 1, trace {trace})", f"mend the {what}"), "qqbot.main")
    shown.show(Finding("clock", True))
    shown.show(Finding("key", False, "", "chmod"))

    assert 2 == shown.wrong
    assert [
        "FAIL  qqbot.main: token: wrong secret (code 1, trace 0a)",
        "      → mend the token",
        "FAIL  qqbot.main: the bot itself: for the same reason",
        "ok    clock",
        "FAIL  key",
        "      → chmod",
    ] == capsys.readouterr().out.splitlines()


def test_a_row_is_one_line_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Output().table(("id", "why"), [("d1", "word " * 200 + "end")])

    assert 2 == len(capsys.readouterr().out.splitlines())
