"""The pytest plugin, as its users have it: from blocking tests, from async ones, and in a test run of its own."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import threading
import urllib.error
import urllib.request

import aiohttp
import msgspec
import pytest

from tests.pigeon import PIGEON
from tests.support import PATIENCE
from yizhan.testing import RunningSandbox

pytest_plugins = ("pytester",)
TESTER = "A1B2C3D4E5F6A1B2C3D4E5F6A1B2C3D4"
pytestmark = pytest.mark.sandbox(platforms=[PIGEON])


def _letter(sandbox: RunningSandbox, to: str, text: str = "hi") -> int:
    data = msgspec.json.encode({"text": text})
    try:
        with urllib.request.urlopen(f"{sandbox.url}/pigeon/{to}/letters", data) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_blocking_test_sends_and_sees_the_post(sandbox: RunningSandbox) -> None:
    assert 200 == _letter(sandbox, "x", "one")
    assert 200 == _letter(sandbox, "y", "two")

    assert ["one", "two"] == [post.text for post in sandbox.posts()]
    assert ["two"] == [post.text for post in sandbox.posts("y")]
    assert ["two"] == [post.text for post in sandbox.posts("pigeon.main/user/y")]
    assert [] == sandbox.posts("other.main/user/y")
    assert (2, 2, 0) == (sandbox.calls("sendLetter"), sandbox.calls(), sandbox.calls("sendParcel"))
    assert 1 == sandbox.calls("send*", target="x")
    assert ["/pigeon/x/letters"] == [seen.path for seen in sandbox.requests(target="x")]
    assert 2 == len(sandbox.world.posts)


async def test_an_async_test_has_the_same_methods(sandbox: RunningSandbox) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{sandbox.url}/pigeon/x/letters", json={"text": "hi"}) as answer:
            assert 200 == answer.status

    assert 1 == sandbox.calls("sendLetter")


def test_people_and_groups_come_as_targets(sandbox: RunningSandbox) -> None:
    users, groups = sandbox.users(2, "pigeon.loft"), sandbox.groups(3, "pigeon.loft")

    assert (2, 3) == (len(set(users)), len(set(groups)))
    assert all(user.startswith("pigeon.loft/user/") for user in users)
    assert all(group.startswith("pigeon.loft/group/") for group in groups)
    assert 200 == _letter(sandbox, users[0].rpartition("/")[2])


def test_a_person_writes(sandbox: RunningSandbox) -> None:
    (user,) = sandbox.users(1, "pigeon.loft")
    text = sandbox.say("pigeon", TESTER, "你好")
    image = sandbox.say("pigeon", user, media=b"png", kind="image", name="a.png")

    assert [text, image] == [post.message_id for post in sandbox.posts(said=True)]
    assert [] == sandbox.posts()
    assert b"png" == sandbox.blob(hashlib.sha256(b"png").hexdigest())
    with pytest.raises(LookupError):
        sandbox.say("pigeon", "NOBODY", "hi")
    with pytest.raises(LookupError):
        sandbox.blob("00")


def test_rules_clock_chaos_and_reset(sandbox: RunningSandbox) -> None:
    sandbox.rules("pigeon", "2025", set={"letters.count": 1})
    assert [200, 429] == [_letter(sandbox, "x") for _ in range(2)]
    sandbox.clock.advance(61)
    assert 200 == _letter(sandbox, "x")
    assert "2025" == sandbox.rules("pigeon", limits=False).profile
    sandbox.chaos("sendLetter", status=503, times=1)
    assert [503, 200] == [_letter(sandbox, "x") for _ in range(2)]
    sandbox.chaos(fault="tired")
    sandbox.calm()
    assert 200 == _letter(sandbox, "x")
    sandbox.reset()
    assert ("2026", 0, 0) == (sandbox.rules("pigeon").profile, sandbox.calls(), len(sandbox.posts()))
    with pytest.raises(msgspec.ValidationError, match="unknown field `stauts`"):
        sandbox.chaos(stauts=500)


def test_logins_and_webhooks_are_played(sandbox: RunningSandbox) -> None:
    sandbox.login("one==", "scan")
    sandbox.webhook("pigeon", "http://127.0.0.1:9/")

    server = sandbox.sandbox.servers["pigeon"]
    assert ({"one==": "scan"}, ["http://127.0.0.1:9/"]) == (server.logins, server.hooks)  # type: ignore[attr-defined]


async def test_a_clock_that_is_turned_here_wakes_a_sleeper_elsewhere(sandbox: RunningSandbox) -> None:
    here = asyncio.create_task(sandbox.clock.sleep(3600))
    there = asyncio.create_task(asyncio.to_thread(sandbox._loop.run, sandbox.clock.sleep(3600)))
    while len(sandbox.clock._sleepers) < 2:  # noqa: ASYNC110  (nobody tells when somebody has lain down)
        await asyncio.sleep(0)
    sandbox.clock.advance(3601)

    await asyncio.wait_for(asyncio.gather(here, there), PATIENCE)


def test_a_test_can_wait_for_a_bots_action(sandbox: RunningSandbox) -> None:
    bot = threading.Thread(target=lambda: [_letter(sandbox, "x", text) for text in ("one", "two")])
    bot.start()
    posts = sandbox.wait_for(lambda: len(sandbox.posts("x")) == 2 and sandbox.posts("x"))
    bot.join()

    assert posts
    assert ["one", "two"] == [post.text for post in posts]


def test_a_failed_wait_shows_the_requests(sandbox: RunningSandbox) -> None:
    for _ in range(3):
        _letter(sandbox, "x", "to somebody else")

    with pytest.raises(AssertionError, match="within 0 s") as caught:
        sandbox.wait_for(lambda: sandbox.posts("y"), timeout=0)
    assert "POST /pigeon/x/letters sendLetter → 200" in str(caught.value)
    assert 2 == len(sandbox.seen(last=1).splitlines())


def test_a_failed_test_shows_the_requests_to_the_sandbox(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import urllib.request

        def test_one(sandbox):
            urllib.request.urlopen(sandbox.url + "/jslogin?appid=wx782c26e4c19acffb&fun=new")
            assert sandbox.posts()

        def test_two(sandbox):
            urllib.request.urlopen(sandbox.url + "/_sandbox/")
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*Requests to the sandbox*", "GET /jslogin * 200"])


def test_every_test_has_a_sandbox_of_its_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        seen = []

        def test_one(sandbox):
            seen.append(sandbox.url)
            sandbox.clock.advance(1000)
            assert sandbox.url.startswith("http://127.0.0.1:")

        @pytest.mark.sandbox(manual_logins=True)
        def test_two(sandbox):
            assert sandbox.sandbox.options.manual_logins
            assert 0 == sandbox.clock.turned
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--strict-markers")

    result.assert_outcomes(passed=2)


def test_the_plugin_costs_a_run_without_sandboxes_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_nothing(): pass")
    script = (
        "import sys, pytest; pytest.main(['-q']); print(sorted(m for m in ('aiohttp', 'msgspec') if m in sys.modules))"
    )
    result = pytester.run(sys.executable, "-c", script)

    result.stdout.fnmatch_lines(["*1 passed*", "[[][]]"])


def test_a_message_that_never_arrived_cannot_be_sent_on() -> None:
    with RunningSandbox(platforms=["qqbot"]) as sandbox:
        (user,) = sandbox.users(1)

        with pytest.raises(LookupError, match="no message 'x' on qqbot to send on"):
            sandbox.event("qqbot", "message", user, forward="x")
