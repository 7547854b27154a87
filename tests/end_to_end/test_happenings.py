"""What happens beside messages: words withdrawn, people and groups that come and go, logins that end, broken lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.accounts import ALL, QQ_GROUP, QQ_USER, ROOM, add_accounts, person_of
from tests.end_to_end.conftest import QUICK
from tests.end_to_end.ear import PATIENCE, Ear, connected, listening
from yizhan.engine import Engine
from yizhan.errors import LoginNeeded
from yizhan.model import EventKind, State, Target
from yizhan.platforms.ohwxapi.wire import frames
from yizhan.platforms.webwechat.server.contacts import push_gone
from yizhan.platforms.webwechat.wire.base import LOGGED_OUT
from yizhan.platforms.webwechat.wire.session import DelContact
from yizhan.platforms.wechatsdk.wire import PUSH_GROUP
from yizhan.testing import RunningSandbox

Act = Callable[[Any], Any]
"""An action on the serving end of a platform, on its own loop; a coroutine is awaited."""


@pytest.fixture
async def engine(sandbox: RunningSandbox, tmp_path: Path) -> AsyncIterator[Engine]:
    engine = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=QUICK)
    await add_accounts(engine, sandbox, tuple(ALL))
    yield engine
    await engine.close()


async def act(sandbox: RunningSandbox, platform: str, what: Act) -> Any:
    async def do() -> Any:
        done = what(sandbox.sandbox.server(platform))
        return await done if isinstance(done, Awaitable) else done

    return await asyncio.to_thread(sandbox._loop.run, do())


async def turning(sandbox: RunningSandbox, wanted: Awaitable[Any], step: float = 2.0) -> Any:
    """Wait for something while the world's clock runs, so that pauses end; ever slower, for slow machines."""

    async def turn() -> None:
        pause = 0.05
        while True:
            await asyncio.sleep(pause)
            sandbox.clock.advance(step)
            pause = min(1.0, 1.1 * pause)

    turner = asyncio.ensure_future(turn())
    try:
        return await wanted
    finally:
        turner.cancel()


# --- relations ---


def _unfriend(server: Any) -> None:
    server.push_to_all(lambda session: [DelContact(session.names.of("person", "wxid_alice"), 0)])


def _leave_room(server: Any) -> None:
    push_gone(server, server.network.groups[ROOM])


def _sdk_group(change: int) -> Act:
    return lambda server: server.pushes.push(
        PUSH_GROUP, {"chatroomUserName": ROOM, "subType": change, "members": [{"userName": "wxid_sandbox"}]}
    )


def _invite(server: Any) -> None:
    server.contacts._invited(server.accounts.network.groups[ROOM], "wxid_alice", "wxid_sandbox")


RELATIONS: list[tuple[str, EventKind, str, Act]] = [
    ("qqbot", EventKind.FRIEND_ADDED, f"user/{QQ_USER}", lambda s: s.event_source.relate("FRIEND_ADD", QQ_USER)),
    ("qqbot", EventKind.FRIEND_REMOVED, f"user/{QQ_USER}", lambda s: s.event_source.relate("FRIEND_DEL", QQ_USER)),
    ("qqbot", EventKind.GROUP_ADDED, f"group/{QQ_GROUP}", lambda s: s.event_source.relate("GROUP_ADD_ROBOT", QQ_GROUP)),
    (
        "qqbot",
        EventKind.GROUP_REMOVED,
        f"group/{QQ_GROUP}",
        lambda s: s.event_source.relate("GROUP_DEL_ROBOT", QQ_GROUP),
    ),
    ("qqbot", EventKind.ACTIVE_ALLOWED, f"user/{QQ_USER}", lambda s: s.event_source.relate("C2C_MSG_RECEIVE", QQ_USER)),
    ("qqbot", EventKind.ACTIVE_REFUSED, f"user/{QQ_USER}", lambda s: s.event_source.relate("C2C_MSG_REJECT", QQ_USER)),
    (
        "qqbot",
        EventKind.ACTIVE_ALLOWED,
        f"group/{QQ_GROUP}",
        lambda s: s.event_source.relate("GROUP_MSG_RECEIVE", QQ_GROUP),
    ),
    (
        "qqbot",
        EventKind.ACTIVE_REFUSED,
        f"group/{QQ_GROUP}",
        lambda s: s.event_source.relate("GROUP_MSG_REJECT", QQ_GROUP),
    ),
    ("webwechat", EventKind.FRIEND_ADDED, "user/friend000004", lambda s: s.people("user", 1)),
    ("webwechat", EventKind.FRIEND_REMOVED, "user/Alice", _unfriend),
    ("webwechat", EventKind.GROUP_ADDED, "group/群00001", lambda s: s.people("group", 1)),
    ("webwechat", EventKind.GROUP_REMOVED, "group/产品群", _leave_room),
    ("wechatsdk", EventKind.GROUP_ADDED, f"group/{ROOM}", _sdk_group(4)),
    ("wechatsdk", EventKind.GROUP_REMOVED, f"group/{ROOM}", _sdk_group(5)),
    ("ohwxapi", EventKind.GROUP_ADDED, f"group/{ROOM}", _invite),
]


@pytest.mark.parametrize(
    ("platform", "kind", "place", "what"), RELATIONS, ids=[f"{p}-{k}-{w[:5]}" for p, k, w, _ in RELATIONS]
)
async def test_relations_that_begin_or_end_are_events_of_their_kind(
    sandbox: RunningSandbox, engine: Engine, platform: str, kind: EventKind, place: str, what: Act
) -> None:
    async with listening(engine, platform) as ear:
        if platform == "webwechat":
            # Known people are not new, so the address book is read first.
            said = await asyncio.to_thread(sandbox.say, platform, "Alice", "hi")
            await ear.message(said)
        await act(sandbox, platform, what)
        event = await ear.kind(kind, ALL[platform])

    assert place == str(event.target).partition("/")[2]


async def test_who_adds_the_bot_is_welcomed_by_an_answer_to_that_event(sandbox: RunningSandbox, engine: Engine) -> None:
    async with listening(engine, "qqbot") as ear:
        for name, id in (("FRIEND_ADD", QQ_USER), ("GROUP_ADD_ROBOT", QQ_GROUP)):
            await act(sandbox, "qqbot", lambda server, name=name, id=id: server.event_source.relate(name, id))
        for kind in (EventKind.FRIEND_ADDED, EventKind.GROUP_ADDED):
            event = await ear.kind(kind, ALL["qqbot"])
            assert State.SENT is (await engine.reply(event, "welcome")).state

    sent = [*sandbox.requests("sendToUser"), *sandbox.requests("sendToGroup")]
    assert ["FRIEND_ADD", "GROUP_ADD_ROBOT"] == [request.body["event_id"].partition(":")[0] for request in sent]
    assert [1, 1] == [request.body["msg_seq"] for request in sent]


# --- withdrawn ---


def _withdraw(platform: str, id: str) -> Act:
    match platform:
        case "webwechat":
            return lambda server: server.take_back(id)
        case "wechatsdk":
            return lambda server: server.event_source.withdraw(id)

    def revoke(server: Any) -> None:
        words = f"<revokemsg><newmsgid>{id}</newmsgid><replacemsg>withdrawn</replacemsg></revokemsg>"
        content = f'<sysmsg type="revokemsg">{words}</sysmsg>'
        server.messages.notice(server.accounts.first, "wxid_alice", content, frames.MsgType.SYSTEM)

    return revoke


@pytest.mark.parametrize("platform", ["webwechat", "wechatsdk", "ohwxapi"])
async def test_a_message_that_a_person_withdraws_is_a_recall_that_names_it(
    sandbox: RunningSandbox, engine: Engine, platform: str
) -> None:
    person = Target.parse(await person_of(engine, platform))
    async with listening(engine, platform) as ear:
        said = await asyncio.to_thread(sandbox.say, platform, person.id, "oops")
        await ear.message(said)
        await act(sandbox, platform, _withdraw(platform, said))
        event = await ear.kind(EventKind.RECALL, ALL[platform])

    assert (person, said) == (event.target, event.about)


# --- logins that end ---


async def _end_login(sandbox: RunningSandbox, engine: Engine, platform: str) -> None:
    adapter: Any = await engine.adapter(ALL[platform])
    match platform:
        case "qqbot":
            sandbox.chaos("getAppAccessToken", fault=100016)
            await act(sandbox, platform, lambda server: server.tokens.forget())
            await act(sandbox, platform, lambda server: server.gateway.close())
        case "webwechat":
            await act(
                sandbox,
                platform,
                lambda server: [server.end_session(s, LOGGED_OUT) for s in [*server.sessions.values()]],
            )
        case "wechatsdk":
            from yizhan.platforms.wechatsdk import wire as sdk

            await adapter.call(sdk.LOGOUT, sdk.Request())
        case "ohwxapi":
            account = lambda server: server._logout(server.accounts.first, None)  # noqa: E731
            await act(sandbox, platform, account)
        case "ilink":
            await act(sandbox, platform, lambda server: server.bots.end_session(adapter.calls.session.bot_token))


async def _heard_again(sandbox: RunningSandbox, ear: Ear, platform: str, person: str) -> None:
    """Write until it is received: pushes are lost while no connection is open."""
    while True:
        said = await asyncio.to_thread(sandbox.say, platform, Target.parse(person).id, "there?")
        for _ in range(50):
            if any(event.id == said for event in ear.heard):
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("platform", ALL)
async def test_a_lost_login_is_reported_once_and_holds_deliveries_until_the_next(
    sandbox: RunningSandbox, engine: Engine, platform: str
) -> None:
    person = await person_of(engine, platform)
    async with listening(engine, platform) as ear:
        if platform == "ilink":
            await ear.kind(EventKind.MESSAGE, ALL[platform])
        await engine.send(person, "before")
        await _end_login(sandbox, engine, platform)
        await turning(sandbox, ear.kind(EventKind.LOGIN_LOST, ALL[platform]))
        with pytest.raises(LoginNeeded):
            await engine.send(person, "meanwhile")
        sandbox.calm()
        await engine.login(ALL[platform], lambda step: None)
        person = await person_of(engine, platform)
        again = await turning(sandbox, engine.send(person, "after"))
        await turning(sandbox, _heard_again(sandbox, ear, platform, person))

    assert again.state in (State.SENT, State.HELD)
    if platform != "ilink":
        # A new iLink login is another bot, for another person.
        texts = [post.text for post in sandbox.posts(person)]
        assert ["before", "meanwhile", "after"] == texts
    assert 1 == sum(event.kind is EventKind.LOGIN_LOST for event in ear.heard)


# --- lines that break ---


async def _cut(sandbox: RunningSandbox, engine: Engine, platform: str) -> None:
    adapter: Any = await engine.adapter(ALL[platform])
    match platform:
        case "qqbot":
            await act(sandbox, platform, lambda server: server.gateway.close())
        case "webwechat":
            sandbox.chaos("synccheck", cut="before", times=3)
        case "wechatsdk":
            # Cleared first: the line may be open again before anybody looks.
            adapter.registration.done.clear()
            await act(sandbox, platform, lambda server: server.pushes.close())
        case "ohwxapi":
            before = adapter.line._socket
            await act(sandbox, platform, lambda server: server.sockets.close())
            async with asyncio.timeout(PATIENCE):
                while adapter.line._socket is before:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        case "ilink":
            sandbox.chaos("getupdates", cut="before", times=3)


@pytest.mark.parametrize("platform", ALL)
async def test_a_line_that_was_cut_is_opened_again(sandbox: RunningSandbox, engine: Engine, platform: str) -> None:
    person = Target.parse(await person_of(engine, platform)).id
    async with listening(engine, platform) as ear:
        said = await asyncio.to_thread(sandbox.say, platform, person, "before")
        await ear.message(said)
        await _cut(sandbox, engine, platform)
        await turning(sandbox, connected(engine, ALL[platform]), 20)
        said = await asyncio.to_thread(sandbox.say, platform, person, "after")
        event = await turning(sandbox, ear.message(said))

    assert event.message is not None
    assert "after" == event.message.text
    assert EventKind.LOGIN_LOST not in {event.kind for event in ear.heard}


@pytest.mark.parametrize("platform", ["qqbot", "webwechat", "ilink"])
async def test_messages_written_while_the_program_was_away_arrive_once(
    sandbox: RunningSandbox, tmp_path: Path, platform: str
) -> None:
    texts: list[str] = []
    kept = Ear()
    for turn in range(3):
        engine = await Engine.open(tmp_path / "store", clock=sandbox.clock, policy=QUICK)
        if turn == 0:
            await add_accounts(engine, sandbox, (platform,))
        person = Target.parse(await person_of(engine, platform)).id
        async with listening(engine, platform) as ear:
            if turn:
                await ear.event(lambda event: bool(event.message and event.message.text == f"away {turn}"))  # noqa: B023
            said = await asyncio.to_thread(sandbox.say, platform, person, f"there {turn}")
            await ear.message(said)
            kept.heard += ear.heard
        await engine.close()
        await asyncio.to_thread(sandbox.say, platform, person, f"away {turn + 1}")

    texts = [event.message.text for event in kept.heard if event.message and event.message.text != "hi"]
    assert ["there 0", "away 1", "there 1", "away 2", "there 2"] == texts
