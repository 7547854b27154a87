"""The commands as a person types them, against a sandbox over real sockets."""

from __future__ import annotations

import base64
import io
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.gate import Gate
from tests.media.support import picture
from tests.support import PATIENCE
from yizhan.cli import main
from yizhan.runtime.event_loop import LoopThread
from yizhan.sandbox import Sandbox
from yizhan.world import Post

USER = "qqbot.main/user/A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4"
GROUP = "qqbot.main/group/B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4E5"
BOT = ["--set", "app_id=102000001", "--set", "secret=DG5g3B4j9X2KOErG", "--set", "receive=off"]


@dataclass
class Said:
    """The output of a command, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        (line,) = self.err.splitlines()
        found: dict[str, Any] = json.loads(line)
        return found


Run = Callable[..., Said]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    loop = LoopThread()
    sandbox = Sandbox(platforms=["qqbot", "webwechat", "ilink"])
    loop.run(sandbox.start())
    yield sandbox
    loop.run(sandbox.close())
    loop.close()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", Piped(b""))

    def command(*words: str) -> Said:
        code = main(words)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return command


@contextmanager
def talking(sandbox: Sandbox) -> Iterator[None]:
    """Write to the QQ bot repeatedly, since messages are lost before the socket is open."""
    body = {"platform": "qqbot", "from": USER.rpartition("/")[2], "text": "hello bot"}
    said = urllib.request.Request(
        f"{sandbox.url}/_sandbox/say", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )

    def talk() -> None:
        while not done.wait(0.2):
            urllib.request.urlopen(said).close()

    done = threading.Event()
    talker = threading.Thread(target=talk)
    talker.start()
    try:
        yield
    finally:
        done.set()
        talker.join()


class ClockOff:
    """The module `time`, so many seconds off."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def time(self) -> float:
        return time.time() + self._seconds


class Piped:
    """Standard input with something in it."""

    def __init__(self, data: bytes) -> None:
        self.buffer = io.BytesIO(data)

    def isatty(self) -> bool:
        return False


@pytest.fixture
def qq(run: Run, sandbox: Sandbox) -> Run:
    """The commands, with a QQ bot added."""
    assert 0 == run("account", "add", "qqbot.main", *BOT, "--set", f"base_url={sandbox.url}").code
    return run


@pytest.fixture
def both(qq: Run, sandbox: Sandbox) -> Run:
    """The commands, with a QQ bot and a web WeChat account."""
    assert 0 == qq("login", "webwechat.me", "--set", f"base_url={sandbox.url}").code
    return qq


def posts(sandbox: Sandbox) -> list[Post]:
    return [post for post in sandbox.world.posts if post.call != "say"]


# --- sending ----------------------------------------------------------------------------------------------------------


def test_a_text_is_sent_and_its_receipt_shown(qq: Run, sandbox: Sandbox) -> None:
    said = qq("send", USER, "早上好")

    assert (0, "") == (said.code, said.err)
    assert ["d1", "sent", USER] == said.out.splitlines()[1].split()
    assert ["早上好"] == [post.text for post in posts(sandbox)]


def test_with_json_every_receipt_is_one_object(both: Run) -> None:
    said = both("send", USER, "webwechat.me/user/Alice", "hi", "--json")

    assert 0 == said.code
    assert [("d1", "sent", USER), ("d2", "sent", "webwechat.me/user/Alice")] == [
        (one["delivery"], one["state"], one["target"]) for one in said.objects
    ]
    assert all(one["platform_ids"][0]["id"] for one in said.objects)


def test_quiet_says_nothing(qq: Run) -> None:
    said = qq("send", USER, "hi", "-q")

    assert Said(0, "", "") == said


def test_the_text_comes_from_a_pipe(qq: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped("第一行\n第二行\n".encode()))

    said = qq("send", "-t", USER)

    assert 0 == said.code
    assert ["第一行\n第二行"] == [post.text for post in posts(sandbox)]


def test_a_piped_text_of_more_than_ten_messages_is_refused(
    qq: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(("a" * 99 + "\n").encode() * 1_100))

    said = qq("send", "-t", USER)

    assert (2, []) == (said.code, posts(sandbox))
    assert "--file PATH" in said.err
    assert "--max-messages" in said.err
    assert [] == qq("deliveries", "list", "--json").objects


def test_max_messages_allows_more_and_less(qq: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "a" * 99 + "\n"

    assert 2 == qq("send", USER, long * 110, "--max-messages", "1").code
    assert [] == posts(sandbox)
    assert 0 == qq("send", USER, long * 110, "--max-messages", "9").code
    assert 1 < len(posts(sandbox))


@pytest.mark.parametrize("bad", ["\udcc4\udce3", "a\ud83d"], ids=ascii)
@pytest.mark.parametrize(
    "words",
    [
        ("send", USER, "{}"),
        ("send", "qqbot.main/user/{}", "hi"),
        ("send", USER, "hi", "--key", "{}"),
        ("send", "@{}", "hi"),
    ],
)
def test_bytes_of_another_encoding_are_refused_in_words(
    qq: Run, sandbox: Sandbox, words: Sequence[str], bad: str
) -> None:
    said = qq(*(word.format(bad) for word in words))

    assert 2 == said.code
    assert "half a character" in said.err
    assert "Traceback" not in said.err
    assert [] == posts(sandbox)


def test_files_go_once_to_all_and_arrive_under_their_name(both: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(picture("PNG"))

    said = both(
        "send", GROUP, "webwechat.me/user/Alice", "webwechat.me/user/Bob", "--file", "a.bin", "--name", "照片.dat"
    )

    assert 0 == said.code, said
    assert {"照片.dat"} == {post.name for post in posts(sandbox) if post.kind == "file"}
    assert 3 == len(posts(sandbox))
    assert 1 == sandbox.request_log.count(endpoint="uploadToGroup")
    assert 1 == sandbox.request_log.count(endpoint="webwxuploadmedia")


def test_attached_files_go_by_the_kind_of_their_content(qq: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "no-extension").write_bytes(picture("PNG"))

    said = qq("send", USER, "-a", "no-extension")

    assert 0 == said.code, said
    assert ["image"] == [post.kind for post in posts(sandbox)]


def test_a_dry_run_shows_the_uploads_and_sends_nothing(both: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture("PNG"))
    words = "send", GROUP, USER, "webwechat.me/user/Alice", "--image", "a.png"

    before = both(*words, "--dry-run")
    assert 0 == both(*words).code
    after = both(*words, "--dry-run")
    planned = both(*words, "--dry-run", "--json").objects

    assert "3 targets on qqbot.main, webwechat.me, 3 parts, 3 uploads" in before.out
    assert "nothing to upload. Nothing was sent." in after.out
    assert 3 == len(posts(sandbox))
    assert [1, 1, 1] == [one["parts"][0]["ready"] for one in planned]


def test_the_same_key_sends_nothing_twice(qq: Run, sandbox: Sandbox) -> None:
    first = qq("send", USER, "hi", "--key", "k", "--json").objects
    second = qq("send", USER, "hi", "--key", "k", "--json").objects
    other = qq("send", USER, "something else", "--key", "k", "--json")

    assert first == second
    assert 1 == len(posts(sandbox))
    assert (2, "Refused") == (other.code, other.error["class"])


def test_without_waiting_it_is_stored_and_sent_by_wait(qq: Run, sandbox: Sandbox) -> None:
    stored = qq("send", USER, GROUP, "hi", "--no-wait", "--json")
    assert not posts(sandbox)
    waited = qq("wait", "d1-d2", "--json")

    assert (4, ["queued", "queued"]) == (stored.code, [one["state"] for one in stored.objects])
    assert (0, ["sent", "sent"]) == (waited.code, [one["state"] for one in waited.objects])
    assert 2 == len(posts(sandbox))


def test_names_stand_for_targets(both: Run, sandbox: Sandbox) -> None:
    assert 0 == both("contacts", "set", "@alice", "webwechat.me/user/Alice").code
    assert 0 == both("contacts", "set", "#all", "@alice", USER).code
    said = both("send", "#all", "hi")
    wrong = both("send", "@alcie", "hi")
    listed = both("contacts", "list", "--json").objects

    assert 0 == said.code
    assert 2 == len(posts(sandbox))
    assert 2 == wrong.code
    assert "Did you mean @alice?" in wrong.err
    assert [("@alice", 1), ("#all", 2)] == [(one["name"], len(one["targets"])) for one in listed]


def test_a_sent_message_is_recalled(qq: Run, sandbox: Sandbox) -> None:
    qq("send", USER, "oh")

    said = qq("recall", "d1", "--json")
    again = qq("recall", "d1", "--json")

    assert (0, "recalled") == (said.code, said.objects[0]["state"])
    assert [True] == [post.recalled for post in posts(sandbox)]
    assert (2, "Refused") == (again.code, again.error["class"])


# --- what can go wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "name", "detail"),
    [
        (["send", "qqbot.main", "hi"], 2, "UnknownTarget", "Expected platform.account/kind/id"),
        (["send", "hello"], 2, "UnknownTarget", "is not a target"),
        (["send"], 2, "UnknownTarget", "There is no target"),
        (["send", "qqbot.mian/user/A", "hi"], 2, "UnknownAccount", "Did you mean qqbot.main?"),
        (["send", "qqbt.main/user/A", "hi"], 2, "UnknownAccount", "yizhan account add"),
        (["send", "qqbot.main/usr/A", "hi"], 2, "Unsupported", "Did you mean user?"),
        (["send", "@nobody", "hi"], 2, "UnknownTarget", "no alias"),
        (["send", USER], 2, "Refused", "empty"),
        (["send", USER, "--image", "none.png"], 2, "MediaFormat", "no file none.png"),
        (["send", USER, "--image", "empty.png"], 2, "MediaFormat", "empty"),
        (["send", USER, "--image", "text.png"], 2, "MediaFormat", "wanted as image"),
        (["send", USER, "--video", "text.png"], 2, "MediaFormat", "wanted as video"),
        (["send", USER, "hi", "--name", "x"], 2, "Refused", "--name"),
        (["send", "qqbot.main/user/" + "0" * 32, "hi"], 1, "TargetGone", "好友"),
        (["wait", "d99"], 2, "Refused", "no delivery d99"),
        (["recall", "d99"], 2, "Refused", "no delivery d99"),
        (["deliveries", "--state", "snet"], 2, "Refused", "Did you mean sent"),
        (["deliveries", "settle", "d99", "--as", "arrived"], 2, "Refused", "no delivery d99"),
        (["account", "add", "qqbt.main"], 2, "ConfigError", "Did you mean qqbot?"),
        (["account", "add", "qqbot"], 2, "UnknownTarget", "Expected platform.name"),
        (["account", "add", "qqbot.x", "--set", "app_id=1"], 2, "ConfigError", "secret is missing"),
        (["account", "remove", "qqbot.mian"], 2, "UnknownAccount", "Did you mean qqbot.main?"),
        (["upload", "none.png"], 2, "MediaFormat", "no file"),
        (["library", "show", "deadbeef"], 2, "Refused", "not in the library"),
        (["contacts", "set", "@a b", USER], 2, "UnknownTarget", "is no name"),
        (["contacts", "remove", "@nobody"], 2, "UnknownTarget", "no alias '@nobody'"),
        (["send", "--bogus", "x"], 2, "UsageError", "No such option"),
        (["frobnicate"], 2, "UsageError", "No such command"),
        (["demo", "--scale", "0"], 2, "UsageError", "scale"),
    ],
)
def test_bad_input_gets_one_clear_line_and_its_exit_code(
    qq: Run, sandbox: Sandbox, tmp_path: Path, words: list[str], code: int, name: str, detail: str
) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_text("this is no picture")

    said = qq(*words)
    as_json = qq(*words, "--json")

    assert code == said.code == as_json.code
    assert 1 == len(said.err.splitlines())
    assert detail in said.err
    assert "Traceback" not in said.err
    assert name == as_json.error["class"]
    assert detail in as_json.error["detail"]
    assert {"error", "class", "detail"} == set(as_json.error)
    assert not posts(sandbox)


def test_a_refused_message_leaves_nothing_in_the_outbox(qq: Run) -> None:
    for words in (["qqbot.main/usr/A", "hi"], [USER, "--image", "none.png"], [USER, "--link", "http://x.y/"]):
        assert 2 == qq("send", *words).code

    assert [] == qq("deliveries", "--json").objects


def test_a_refused_file_is_not_copied_into_the_library(qq: Run, tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("no picture")

    said = qq("send", USER, "see", "--image", str(tmp_path / "plain.txt"))

    assert 2 == said.code
    assert "is wanted as image" in said.err
    assert [] == qq("library", "list", "--json").objects


def test_without_a_store_the_first_step_is_named(run: Run, tmp_path: Path) -> None:
    said = run("deliveries")

    assert 2 == said.code
    assert "yizhan account add" in said.err
    assert not (tmp_path / "yizhan-data").exists()


def test_a_wrong_secret_is_reported_when_the_account_is_added(run: Run, sandbox: Sandbox) -> None:
    words = "account", "add", "qqbot.main", "--set", "app_id=102000001", "--set", "secret=wrong"

    added = run(*words, "--set", f"base_url={sandbox.url}")
    left = run("account", "list", "--json").objects
    kept = run(*words, "--set", f"base_url={sandbox.url}", "--no-check")
    sent = run("send", USER, "hi", "--json")

    assert 1 == added.code
    assert "It was not added: it cannot send with these settings. To keep them anyway: --no-check." in added.out
    assert [] == left
    assert 0 == kept.code
    assert "FAIL" in added.out
    assert "→" in added.out
    assert (1, "LoginNeeded") == (sent.code, sent.error["class"])
    assert ["queued"] == [one["state"] for one in sent.objects]


def test_an_account_is_replaced_only_on_request(qq: Run, sandbox: Sandbox) -> None:
    words = "account", "add", "qqbot.main", *BOT, "--set", f"base_url={sandbox.url}", "--set", "rules.limits=false"

    refused = qq(*words, "--json")
    before = qq("account", "show", "qqbot.main", "--json").objects[0]["settings"]
    replaced = qq(*words, "--replace")
    after = qq("account", "show", "qqbot.main", "--json").objects[0]["settings"]

    assert (2, "Refused") == (refused.code, refused.error["class"])
    assert "yizhan account set qqbot.main KEY=VALUE" in refused.error["detail"]
    assert {} == before["rules"]
    assert (0, {"limits": False}) == (replaced.code, after["rules"])


def test_some_settings_are_changed_and_the_others_stay(qq: Run, sandbox: Sandbox) -> None:
    first = qq("account", "set", "qqbot.main", "rules.limits=false", "rules.chunks.concurrency=3")
    wrong = qq("account", "set", "qqbot.main", "secret=wrong", "--json")
    second = qq("account", "set", "qqbot.main", "rules.limits=true")
    settings = qq("account", "show", "qqbot.main", "--json").objects[0]["settings"]
    sent = qq("send", USER, "hi")

    assert (0, 0) == (first.code, second.code)
    assert (1, False) == (wrong.code, wrong.objects[0]["kept"])
    assert {"limits": True, "chunks.concurrency": 3} == settings["rules"]
    assert ("102000001", sandbox.url, 0) == (settings["app_id"], settings["base_url"], sent.code)


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["qqbot.mian", "secret=x"], "UnknownAccount", "Did you mean qqbot.main?"),
        (["qqbot.main", "secrt=x"], "ConfigError", "Did you mean secret?"),
        (["qqbot.main", "secret"], "ConfigError", "KEY=VALUE"),
        (["qqbot.main", "rules.limts=false"], "ConfigError", "Did you mean limits?"),
    ],
)
def test_settings_that_make_no_sense_change_nothing(qq: Run, words: list[str], error: str, said: str) -> None:
    before = qq("account", "list", "--json").objects

    refused = qq("account", "set", *words, "--json")

    assert (2, error) == (refused.code, refused.error["class"])
    assert said in refused.error["detail"]
    assert before == qq("account", "list", "--json").objects


def test_codes_errors_and_states_are_explained(run: Run) -> None:
    code = run("explain", "304023", "--json").objects
    throttled = run("explain", "throttled")
    unknown = run("explain", "unknown")
    elsewhere = run("explain", "22009", "--platform", "webwechat", "--json")
    nothing = run("explain", "Throtled", "--json")

    assert [("qqbot", "304023")] == [(one["platform"], one["name"]) for one in code]
    assert code[0]["delivery"]
    assert "waits and tries again" in throttled.out
    assert "Throttled: an error of yizhan, exit code 1" in throttled.out
    assert "yizhan deliveries settle ID --as arrived|lost|again" in unknown.out
    assert (2, "Refused") == (elsewhere.code, elsewhere.error["class"])
    assert "Did you mean Throttled?" in nothing.error["detail"]


def test_every_code_of_every_platform_is_explained(run: Run) -> None:
    from yizhan.cli.explain import _codes, _table
    from yizhan.platforms.spec import platforms

    for name, platform in platforms().items():
        for row in _table(platform.calls).rows if platform.calls else ():
            assert any(str(row.code) == one["name"] for one in _codes(str(row.code), name)), (name, row)


def test_some_that_fail_make_exit_code_3(qq: Run) -> None:
    said = qq("send", USER, "qqbot.main/user/" + "0" * 32, "hi")

    assert 3 == said.code
    assert {"sent", "failed"} == {line.split()[1] for line in said.out.splitlines()[1:]}
    assert 1 == len(said.err.splitlines())


def test_a_lost_answer_is_exit_code_5_and_is_settled_by_hand(qq: Run, sandbox: Sandbox) -> None:
    from yizhan.sandbox.wire import ChaosRule

    sandbox.chaos.set([ChaosRule(endpoint="sendToUser", cut="after", times=1)])

    said = qq("send", USER, "hi", "--json")
    settled = qq("deliveries", "settle", "d1", "--as", "arrived", "--json")
    twice = qq("deliveries", "settle", "d1", "--as", "arrived")

    assert (5, "unknown") == (said.code, said.objects[0]["state"])
    assert "OutcomeUnknown" == said.error["class"]
    assert (0, "sent") == (settled.code, settled.objects[0]["state"])
    assert 2 == twice.code
    assert 1 == len(posts(sandbox))


def test_a_lost_message_is_sent_again_on_demand(qq: Run, sandbox: Sandbox) -> None:
    from yizhan.sandbox.wire import ChaosRule

    sandbox.chaos.set([ChaosRule(endpoint="sendToUser", cut="before", times=1)])
    assert 5 == qq("send", USER, "hi").code

    settled = qq("deliveries", "settle", "d1", "--as", "again")
    waited = qq("wait", "d1")

    assert 4 == settled.code
    assert 0 == waited.code
    assert 1 == len(posts(sandbox))


def test_a_quota_that_is_used_up_holds_the_rest(run: Run, sandbox: Sandbox) -> None:
    quota = "--set", "rules.active.user.target_per_day=2"
    assert 0 == run("account", "add", "qqbot.main", *BOT, "--set", f"base_url={sandbox.url}", *quota).code
    assert [0, 0] == [run("send", USER, f"number {n}").code for n in range(2)]

    planned = run("send", USER, "one more", "--dry-run")
    said = run("send", USER, "one more")

    assert "waits: " in planned.out
    assert 4 == said.code
    assert "held" in said.out
    assert said.out.rstrip().endswith("yizhan wait d3 --held")
    assert 2 == len(posts(sandbox))


def test_a_broadcast_faster_than_the_platforms_pace_continues_at_that_pace(qq: Run, sandbox: Sandbox) -> None:
    people = [f"qqbot.main/user/{id}" for id in sandbox.people("qqbot", "user", 7)]

    said = qq("send", *people, "hi", "--json")

    assert 0 == said.code
    assert 7 == len(posts(sandbox))


def test_sigterm_lets_sends_in_progress_end_and_be_recorded(qq: Run, sandbox: Sandbox) -> None:
    gate = Gate(sandbox.server("qqbot"), "sendToUser")
    sending = subprocess.Popen([sys.executable, "-m", "yizhan.cli", "send", USER, "slow"])
    while not gate.came:
        assert sending.poll() is None
        time.sleep(0.02)

    sending.send_signal(signal.SIGTERM)
    gate.open = True
    code = sending.wait(PATIENCE)

    assert 143 == code
    assert ["sent"] == [one["state"] for one in qq("deliveries", "--json").objects]
    assert 1 == len(posts(sandbox))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("as_json", [False, True])
def test_a_stopped_broadcast_shows_its_progress_and_the_command_that_continues_it(
    qq: Run, sandbox: Sandbox, number: signal.Signals, code: int, as_json: bool
) -> None:
    people = [f"qqbot.main/user/{id}" for id in sandbox.people("qqbot", "user", 200)]
    words = [sys.executable, "-m", "yizhan.cli", "send", *people, "hi", *(["--json"] if as_json else [])]
    sending = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # It goes at the platform's pace, which is far from done.
    while len(posts(sandbox)) < 5 and sending.poll() is None:
        time.sleep(0.02)
    sending.send_signal(number)
    _, said = sending.communicate(timeout=60)

    (line,) = said.splitlines()
    assert code == sending.returncode
    assert " of 200 sent so far. Continue with: yizhan wait d" in line
    assert ("Stopped" == json.loads(line)["class"]) if as_json else line.startswith("yizhan: Stopped; ")


def test_a_reader_that_leaves_early_is_no_failure(qq: Run) -> None:
    qq("send", USER, "hi")
    line = f"{sys.executable} -m yizhan.cli deliveries --json | true; exit ${{PIPESTATUS[0]}}"

    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_of_one_line(qq: Run) -> None:
    qq("send", USER, "hi")
    for as_json in ([], ["--json"]):
        with Path("/dev/full").open("w") as full:
            words = [sys.executable, "-m", "yizhan.cli", "deliveries", *as_json]
            done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)

        (line,) = done.stderr.splitlines()
        assert 1 == done.returncode
        assert "StorageError" in line
        assert "yizhan deliveries shows the result" in line


@pytest.mark.parametrize("follow", ["--follow", "--no-follow"])
def test_tail_knows_the_accounts_there_are(qq: Run, follow: str) -> None:
    said = qq("tail", "--account", "qqbot.mian", "--json", follow)

    assert (2, "UnknownAccount") == (said.code, said.error["class"])
    assert "Did you mean qqbot.main?" in said.error["detail"]


def test_tail_in_a_pipe_says_everything_at_once_and_ends_with_its_reader(run: Run, sandbox: Sandbox) -> None:
    assert 0 == run("account", "add", "qqbot.main", *BOT[:4], "--set", f"base_url={sandbox.url}").code
    tail = subprocess.Popen([sys.executable, "-m", "yizhan.cli", "tail", "--json"], stdout=subprocess.PIPE, text=True)
    assert tail.stdout is not None
    with talking(sandbox):
        heard = tail.stdout.readline()
        tail.stdout.close()
        code = tail.wait(PATIENCE)

    assert "hello bot" in heard
    assert 0 == code


# --- looking ----------------------------------------------------------------------------------------------------------


def test_deliveries_are_listed_filtered_and_shown_with_their_tries(qq: Run, sandbox: Sandbox) -> None:
    qq("send", USER, "one")
    qq("send", "qqbot.main/user/" + "0" * 32, "two")
    qq("send", GROUP, "three")

    everything = qq("deliveries", "--json").objects
    newest = qq("deliveries", "-n", "1", "--json").objects
    failed = qq("deliveries", "--state", "failed", "--json").objects
    to_group = qq("deliveries", "--target", GROUP, "--json").objects
    listed = qq("deliveries", "list", "--json").objects
    gone = qq("deliveries", "list", "--error", "TargetGone", "--json").objects
    keyed = qq("deliveries", "list", "--key", "no such", "--json").objects
    since = qq("deliveries", "list", "--since", "1h", "--json").objects
    until = qq("deliveries", "list", "--until", "1h", "--json").objects
    shown = qq("deliveries", "show", "d2", "--json").objects
    in_words = qq("deliveries", "show", "d2")

    assert ["d1", "d2", "d3"] == [one["delivery"] for one in everything]
    assert ["d3"] == [one["delivery"] for one in newest]
    assert ["d2"] == [one["delivery"] for one in failed]
    assert ["d3"] == [one["delivery"] for one in to_group]
    assert listed == everything == since
    assert (["d2"], [], []) == ([one["delivery"] for one in gone], keyed, until)
    assert ["one", "two", "three"] == [one["excerpt"] for one in listed]
    assert "TargetGone" == shown[0]["tries"][0]["error"]
    assert "give up" in in_words.out


def test_accounts_are_listed_without_their_secrets(qq: Run) -> None:
    said = qq("account", "list")
    (shown,) = qq("account", "list", "--json").objects

    assert "DG5g3B4j9X2KOErG" not in said.out
    assert "***" == shown["settings"]["secret"]


def test_an_account_that_is_removed_is_gone(qq: Run) -> None:
    assert 0 == qq("account", "remove", "qqbot.main").code

    assert [] == qq("account", "list", "--json").objects


def test_a_login_shows_the_code_and_is_kept(both: Run) -> None:
    again = both("login", "webwechat.me", "--json")

    assert 0 == again.code
    assert ["logged_in"] == [one["state"] for one in again.objects]


def test_the_code_of_a_login_is_shown_and_saved(run: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    said = run("login", "webwechat.me", "--set", f"base_url={sandbox.url}", "--image", "code.svg", "--json")

    assert 0 == said.code
    assert ["qr", "scanned", "confirmed", "logged_in"] == [one["state"] for one in said.objects]
    assert said.objects[0]["qr"].startswith("https://")
    assert b"<svg" in (tmp_path / "code.svg").read_bytes()


def test_an_upload_makes_the_send_need_none(qq: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture("PNG"))

    (uploaded,) = qq("upload", "a.png", "--to", GROUP, "--json").objects
    assert 1 == sandbox.request_log.count(endpoint="uploadToGroup")
    sent = qq("send", GROUP, "--image", "a.png")
    (listed,) = qq("library", "list", "--json").objects
    (shown,) = qq("library", "show", uploaded["sha256"][:8], "--json").objects
    (verified,) = qq("library", "verify", "--json").objects

    assert 0 == sent.code
    assert 1 == sandbox.request_log.count(endpoint="uploadToGroup")
    assert uploaded["sha256"] == listed["media"]["sha256"]
    assert ["group"] == [row["scope"] for row in shown["handles"]]
    assert {"media": 1, "wrong": 0} == verified


def test_the_library_notices_bytes_that_have_changed(qq: Run, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture("PNG"))
    (uploaded,) = qq("upload", "a.png", "--json").objects
    (blob,) = [
        p for p in (tmp_path / "yizhan-data" / "blobs").rglob("*") if p.is_file() and uploaded["sha256"][4:] in p.name
    ]
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-1] + b"\0")

    said = qq("library", "verify")

    assert 1 == said.code
    assert "have changed" in said.out


def test_media_that_were_not_used_for_long_are_pruned(qq: Run, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture("PNG"))
    qq("upload", "a.png")

    recent = qq("library", "prune")
    tried = qq("library", "prune", "--unused-for", "0", "--dry-run", "--json").objects
    within = qq("library", "prune", "--unused-for", "0", "--quota", "1 GB")
    done = qq("library", "prune", "--unused-for", "0")
    wrong = qq("library", "prune", "--quota", "much")

    assert recent.out.startswith("0 media removed")
    assert [False] == [one["removed"] for one in tried]
    assert within.out.startswith("0 media removed")
    assert "1 medium removed" in done.out
    assert [] == qq("library", "list", "--json").objects
    assert 2 == wrong.code


def test_the_digits_that_a_login_asks_for_are_read_from_the_input(
    run: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.set_rules("ilink", changes={"login.verify_code": "246810"})
    monkeypatch.setattr(sys, "stdin", io.StringIO("111\n246810\n"))

    said = run("login", "ilink.me", "--set", f"base_url={sandbox.url}", "--json")

    assert 0 == said.code, said
    assert ["qr", "code", "code"] == [one["state"] for one in said.objects][:3]
    assert "logged_in" == said.objects[-1]["state"]


@pytest.mark.parametrize("address", ["127.0.0.1:8791", "http://", "api.sgroup.qq.com", "http://[::1"])
def test_an_invalid_address_is_refused_and_nothing_is_stored(run: Run, address: str) -> None:
    said = run("account", "add", "qqbot.main", *BOT, "--set", f"base_url={address}", "--json")

    assert (2, "ConfigError") == (said.code, said.error["class"])
    assert f"base_url is '{address}'" in said.error["detail"]
    assert "http://127.0.0.1:8791" in said.error["detail"]
    assert [] == run("account", "list", "--json").objects


def test_an_unreachable_platform_is_not_reported_as_a_wrong_secret(run: Run) -> None:
    said = run("account", "add", "qqbot.main", *BOT, "--set", "base_url=http://127.0.0.1:9")

    assert 1 == said.code
    assert ["      → See whether base_url is right and can be reached."] == [
        line for line in said.out.splitlines() if "→" in line
    ]


def test_doctor_finds_no_problem_or_names_the_remedy(both: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    well = both("doctor")
    (tmp_path / "yizhan-data" / "key").chmod(0o644)
    ill = both("doctor", "--json")

    assert (0, "All is well.") == (well.code, well.out.splitlines()[-1])
    assert 1 == ill.code
    assert ["key"] == [one["what"] for one in ill.objects if not one["ok"]]
    assert "chmod 600" in next(one["remedy"] for one in ill.objects if not one["ok"])


@pytest.mark.parametrize(
    ("off", "fine", "words"),
    [(0.0, True, ", the same as "), (7200.0, False, " s ahead of "), (-7200.0, False, " s behind ")],
)
def test_doctor_compares_the_clock_with_the_platforms(
    qq: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, off: float, fine: bool, words: str
) -> None:
    import yizhan.http.server_date
    import yizhan.http.tcp_dial

    # The machine's clock is wrong; that of the platform is not.
    monkeypatch.setattr(yizhan.http.tcp_dial, "is_loopback", lambda url: False)
    monkeypatch.setattr(yizhan.http.server_date, "time", ClockOff(off))

    said = qq("doctor", "--json")
    (clock,) = (one for one in said.objects if one["what"] == "clock")

    assert fine is clock["ok"]
    assert words in clock["detail"]
    assert ("timedatectl" in clock["remedy"]) is not fine


def test_doctor_continues_after_an_account_that_cannot_be_read_and_names_the_reason(qq: Run, tmp_path: Path) -> None:
    (tmp_path / "yizhan-data" / "key").write_text(base64.b64encode(bytes(32)).decode())

    said = qq("doctor")

    assert (1, "") == (said.code, said.err)
    assert "FAIL  accounts: account qqbot.main cannot be decrypted" in said.out
    assert "1 problem to fix." in said.out


def test_tail_shows_received_events(run: Run, sandbox: Sandbox) -> None:
    words = "account", "add", "qqbot.main", *BOT[:4], "--set", f"base_url={sandbox.url}"
    assert 0 == run(*words).code

    with talking(sandbox):
        said = run("tail", "--count", "1", "--json")
    past = run("tail", "--no-follow")

    assert 0 == said.code
    assert "hello bot" == said.objects[0]["message"]["segments"][0]["text"]
    assert USER == said.objects[0]["target"]
    assert "hello bot" in past.out


def test_deliveries_are_found_by_key_broadcast_and_account(both: Run, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    both("send", USER, "hello\nthere", "--file", "a.txt", "--name", "报告.txt", "--key", "k")
    both("send", GROUP, "webwechat.me/user/Alice", "to all")

    (keyed,) = both("deliveries", "list", "--key", "k", "--json").objects
    broadcast = both("deliveries", "list", "--broadcast", "b1", "--json").objects
    account = both("deliveries", "list", "--account", "webwechat.me", "--json").objects
    unknown = both("deliveries", "list", "--account", "webwechat.you", "--json")
    shown = both("deliveries", "show", keyed["delivery"])

    assert ("k", "", "hello there", ["报告.txt"], 2, 2) == (
        keyed["key"], keyed["broadcast"], keyed["excerpt"], keyed["files"], keyed["parts"], keyed["parts_done"]
    )  # fmt: skip
    assert ["b1", "b1"] == [one["broadcast"] for one in broadcast]
    assert ["webwechat.me/user/Alice"] == [one["target"] for one in account]
    assert (2, "UnknownAccount") == (unknown.code, unknown.error["class"])
    assert "hello there [报告.txt]" in shown.out
    assert "2 of 2" in shown.out


@pytest.mark.parametrize("words", [["--since", "soon"], ["--until", "25:00"], ["--broadcast", "d1"], ["--after", "b1"]])
def test_filters_that_make_no_sense_are_refused(qq: Run, words: list[str]) -> None:
    said = qq("deliveries", "list", *words, "--json")

    assert (2, "Refused") == (said.code, said.error["class"])
    assert words[1] in said.error["detail"]


def test_a_plan_says_how_many_go_now_and_until_when_the_rest(run: Run, sandbox: Sandbox) -> None:
    pace = "rules.limit.send.count=3", "rules.limit.send.seconds=3600"
    words = [word for one in pace for word in ("--set", one)]
    assert 0 == run("account", "add", "wechatsdk.me", "--no-check", *words).code
    targets = [f"wechatsdk.me/user/wxid_{n}" for n in range(5)]

    said = run("send", "-t", targets[0], "--text", "hi", "--dry-run", "--at", "2h")
    many = run("send", *targets, "hi", "--dry-run")
    each = run("send", *targets, "hi", "--dry-run", "--json").objects

    assert (2, True) == (said.code, "no time" in said.err)
    assert 0 == many.code, many.err
    assert "5 targets on wechatsdk.me (3 now, the rest until " in many.out
    assert "Nothing was sent." in many.out
    assert [None, None, None] == [one["opens_at"] for one in each[:3]]
    assert each[3]["opens_at"] == each[4]["opens_at"] > 0
