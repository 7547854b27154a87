"""The base of adapters over HTTP, on a wire that is real."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest
from aiohttp import web

from tests.platforms.kit.robot import PLATFORM, SEND, Done, RobotComposer, Send, Server, Settings, rules
from yizhan.errors import LoginNeeded, OutcomeUnknown
from yizhan.model import BytesContent, Content, Handle, Message, PlatformId, SendKey, Target
from yizhan.platforms.adapter import AccountContext, MediaNeed, Part, Progress
from yizhan.platforms.kit.client import HttpAdapter
from yizhan.platforms.server import ServerOptions
from yizhan.testing.conformance.samples import PICTURE, MemoryStateStore
from yizhan.world import TurnableClock, World

NEED = MediaNeed(PICTURE, "account", "image")


class RobotAdapter(HttpAdapter):
    def compose(self, message: Message, target: Target) -> Sequence[Part]:
        return RobotComposer(target, self.context.rules).compose(message)

    async def upload(
        self, need: MediaNeed, content: Content, target: Target, progress: Progress | None = None
    ) -> Handle:
        return self.handle("m1", need)

    async def send(
        self, part: Part, handles: Mapping[MediaNeed, Handle], target: Target, key: SendKey, message: Message
    ) -> PlatformId:
        await self.call(SEND, part.body)
        return self.sent_without_id()


def context(base_url: str, **changed: Any) -> AccountContext:
    return AccountContext(
        name="robot.a",
        settings=Settings(base_url=base_url),
        clock=TurnableClock(),
        state_store=MemoryStateStore(),
        rules=rules(**changed),
        open_media=lambda sha256: BytesContent(b""),
        title=PLATFORM.title,
    )


@pytest.fixture
async def served() -> AsyncIterator[tuple[Server, str]]:
    world = World(clock=TurnableClock())
    server = Server(world, rules(), ServerOptions())
    app = web.Application()
    server.router.mount(app)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield server, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_call_goes_to_the_address_of_the_settings_and_its_refusal_is_an_error(
    served: tuple[Server, str],
) -> None:
    server, address = served
    (group,) = server.people("group", 1)
    adapter = RobotAdapter(context(address))

    assert Done() == await adapter.call(SEND, Send(group, "hello"))
    with pytest.raises(LoginNeeded, match="invalid webhook url"):
        await adapter.call(SEND, Send("nobody", "hello"))
    await adapter.close()


def test_a_handle_ends_as_the_rules_say() -> None:
    handle = RobotAdapter(context("http://127.0.0.1:9")).handle("t", NEED)

    assert handle.expires_at == pytest.approx(TurnableClock().now() + 60, abs=5)
    assert Handle("t", "account") == RobotAdapter(context("http://127.0.0.1:9", handle__seconds=0)).handle("t", NEED)


def test_an_answer_without_the_documented_id_leaves_the_outcome_open() -> None:
    adapter = RobotAdapter(context("http://127.0.0.1:9"))

    sent = adapter.sent(17, "send", seq=3)
    assert ("17", {"seq": 3}) == (sent.id, sent.extra)
    assert "" == adapter.sent_without_id().id
    for missing in (None, "", 0, "0"):
        with pytest.raises(OutcomeUnknown, match="gave no message id"):
            adapter.sent(missing, "send")
