"""Messages on their way: an engine sends to the platform's serving end in a sandbox, over a real socket."""

from __future__ import annotations

import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

import yizhan
from yizhan.engine import Engine
from yizhan.errors import DeliveryFailed, Refused
from yizhan.model import File, Image, Message, Segment, State, Target, Text
from yizhan.platforms.spec import Platform
from yizhan.testing import RunningSandbox
from yizhan.testing.conformance.samples import SEGMENTS

pytestmark = pytest.mark.asyncio

MADE_HERE = ("text", "image", "file", "link", "contact_card", "markdown", "buttons")
"""Segments that need nothing of the platform's own; the others need its ids or formats, which its own tests know."""


@dataclass
class Scene:
    """An engine with one account, and people and groups of the sandbox."""

    platform: Platform
    engine: Engine
    sandbox: RunningSandbox

    @property
    def account(self) -> str:
        return f"{self.platform.name}.conformance"

    def target(self) -> str:
        return self.targets(1)[0]

    def targets(self, count: int) -> list[str]:
        """Return people, or groups where the platform knows no people; fewer where it reaches only one."""
        make = self.sandbox.users if "user" in self.platform.capabilities else self.sandbox.groups
        return make(count, self.account)


@pytest.fixture
async def scene(platform: Platform, tmp_path: Path) -> AsyncIterator[Scene]:
    with RunningSandbox(platforms=[platform]) as sandbox:
        async with yizhan.open(tmp_path / "store", clock=sandbox.clock) as engine:
            found = Scene(platform, engine, sandbox)
            await engine.add_account(found.account, **platform.sandbox_settings, base_url=sandbox.url)
            await engine.login(found.account, lambda step: None)
            yield found


def picture() -> bytes:
    """Return a small PNG."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = b"".join(b"\0" + bytes((3 * x, 5 * y, 120)[i] for x in range(48) for i in range(3)) for y in range(48))
    head = struct.pack(">IIBBBBB", 48, 48, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PAPER = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n" * 20


def _with_content(name: str) -> Segment:
    match name:
        case "image":
            return Image(picture(), "图.png")
        case "file":
            return File(PAPER, "员工手册.pdf")
    return SEGMENTS[name]


async def test_each_segment_that_the_capabilities_name_is_sent(scene: Scene) -> None:
    target = scene.target()
    kind = target.split("/")[1]

    for name in MADE_HERE:
        if name in scene.platform.capabilities[kind].segments:
            before = len(scene.sandbox.posts(target))
            receipt = await scene.engine.send(target, _with_content(name))
            assert receipt.ok, f"{name}: {receipt}"
            assert len(scene.sandbox.posts(target)) > before, f"{name}: the receipt says sent, and nothing arrived"
            scene.sandbox.clock.advance(120)


async def test_a_file_arrives_unchanged_and_under_its_name(scene: Scene) -> None:
    target = scene.target()
    if "file" not in scene.platform.capabilities[target.split("/")[1]].segments:
        pytest.skip("the platform takes no files")

    await scene.engine.send(target, File(PAPER, "员工手册.pdf"))

    (post,) = [post for post in scene.sandbox.posts(target) if post.blob]
    assert PAPER == post.blob.read() if post.blob else False
    assert "员工手册.pdf" == post.name


async def test_one_upload_serves_many_targets(scene: Scene) -> None:
    targets = (scene.targets(3) * 3)[:3]
    segments = scene.platform.capabilities[targets[0].split("/")[1]].segments
    if not {"file", "image"} & segments:
        pytest.skip("the platform takes no media")
    segment = _with_content("file" if "file" in segments else "image")
    requests = []

    for target in targets:
        before = len(scene.sandbox.requests())
        assert (await scene.engine.send(target, segment)).ok
        requests.append(len(scene.sandbox.requests()) - before)

    posts = [post for target in set(targets) for post in scene.sandbox.posts(target)]
    assert len(targets) == sum(post.blob is not None for post in posts)
    assert requests[0] >= requests[1] == requests[2], "later targets cost more requests than the first"


async def test_a_call_with_the_same_key_is_sent_once(scene: Scene) -> None:
    target = scene.target()

    first = await scene.engine.send(target, "hello", key="k1")
    second = await scene.engine.send(target, "hello", key="k1")

    assert first.delivery == second.delivery
    assert 1 == len([post for post in scene.sandbox.posts(target) if post.text == "hello"])


async def test_a_lost_answer_is_repeated_without_a_double_or_is_unknown(scene: Scene) -> None:
    target = scene.target()
    adapter = await scene.engine.adapter(scene.account)
    (part,) = adapter.compose(Message((Text("hello"),)), Target.parse(target))
    scene.sandbox.chaos(part.call, platform=scene.platform.name, cut="after", times=1)

    try:
        state = (await scene.engine.send(target, "hello")).state
    except DeliveryFailed as failed:
        state = failed.receipts[0].state

    assert 2 <= scene.sandbox.calls(part.call) or state is State.UNKNOWN
    assert 1 == len([post for post in scene.sandbox.posts(target) if post.text == "hello"])
    assert state in (State.SENT, State.UNKNOWN)


async def test_long_text_arrives_whole_and_in_order_or_not_at_all(scene: Scene) -> None:
    target = scene.target()
    scene.sandbox.rules(scene.platform.name, limits=False)
    await scene.engine.add_account(
        scene.account, **scene.platform.sandbox_settings, base_url=scene.sandbox.url, rules={"limits": False}
    )
    text = "".join(f"第{number}段。" + "句子很长，" * 100 + "\n\n" for number in range(30))

    with suppress(Refused):
        await scene.engine.send(target, text)

    posts = [post.text for post in scene.sandbox.posts(target)]
    assert not posts or "".join(text.split()) == "".join("".join(posts).split())


async def test_a_recall_takes_the_message_back_or_is_refused(scene: Scene) -> None:
    target = scene.target()
    receipt = await scene.engine.send(target, "hello")

    try:
        recalled = (await scene.engine.recall(receipt)).state
    except Refused:
        recalled = receipt.state

    (post,) = [post for post in scene.sandbox.posts(target) if post.text == "hello"]
    assert (recalled is State.RECALLED) == post.recalled
