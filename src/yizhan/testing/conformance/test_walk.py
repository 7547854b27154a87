"""Each kind of segment is sent, is seen where it arrives, and comes back when a person there sends it on."""

from __future__ import annotations

import asyncio
import hashlib
import html
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

import yizhan
from yizhan.engine import Engine
from yizhan.errors import UnknownTarget, YizhanError
from yizhan.model import (
    Button,
    Buttons,
    Card,
    ChannelVideo,
    ContactCard,
    Event,
    EventKind,
    File,
    Forward,
    Image,
    Link,
    Markdown,
    Mention,
    Message,
    MiniProgram,
    Quote,
    Segment,
    State,
    Sticker,
    Target,
    Text,
    Video,
    Voice,
)
from yizhan.platforms.adapter import Adapter
from yizhan.platforms.spec import Platform
from yizhan.testing import RunningSandbox
from yizhan.testing.conformance.test_delivery import PAPER, picture
from yizhan.world import Post

pytestmark = pytest.mark.asyncio

PATIENCE = 60.0
"""Seconds until something that has not happened counts as broken."""
GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    b"!\xf9\x04\x00\x0a\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00"
    b"!\xf9\x04\x00\x0a\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02L\x01\x00;"
)
"""Two frames of one pixel."""


def film() -> bytes:
    """Return half a second of gray in H.264."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([100 + 9 * number]) * plane.buffer_size)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def voice() -> bytes:
    """Return a second of SILK, as WeChat and QQ write it."""
    import pysilk

    out = io.BytesIO()
    pysilk.encode(io.BytesIO(b"\x00\x10\x00\xf0" * 12000), out, 24000, 24000, tencent=True)
    return out.getvalue()


@dataclass
class Walk:
    """One account and one conversation, and what the account heard there."""

    platform: Platform
    engine: Engine
    sandbox: RunningSandbox
    target: Target
    person: str
    """A person of the conversation; empty where nobody in it writes."""
    heard: list[Event] = field(default_factory=list)
    rung: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def place(self) -> str:
        return self.target.id if self.target.kind == "group" else "bot"

    async def listen(self) -> None:
        async for event in self.engine.events([self.target.account]):
            if event.kind is EventKind.MESSAGE:
                self.heard.append(event)
                self.rung.set()

    async def be_heard(self) -> bool:
        """Have the person write until the account hears it; return False where nobody can."""
        adapter = await self.engine.adapter(self.target.account)
        if not self.person or type(adapter).events is Adapter.events:
            return False
        async with asyncio.timeout(PATIENCE):
            while not self.heard:
                await asyncio.to_thread(
                    self.sandbox.event, self.platform.name, "message", self.person, to=self.place, text="hello?"
                )
                await self._ring(0.2)
        return True

    async def sent_on(self, post: Post) -> Event:
        """Have the person send on what arrived; return it as the account hears it."""
        self.rung.clear()
        id = await asyncio.to_thread(
            self.sandbox.event, self.platform.name, "message", self.person, to=self.place, forward=post.message_id
        )
        async with asyncio.timeout(PATIENCE):
            while (found := next((event for event in self.heard if event.id == id), None)) is None:
                await self._ring(PATIENCE)
        return found

    async def _ring(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.rung.wait(), seconds)
        except TimeoutError:
            return
        self.rung.clear()


@asynccontextmanager
async def walking(platform: Platform, kind: str, folder: Path) -> AsyncIterator[Walk]:
    account = f"{platform.name}.walk"
    settings = {**platform.sandbox_settings, "rules": {"limits": False}}
    with RunningSandbox(platforms=[platform]) as sandbox:
        sandbox.rules(platform.name, limits=False)
        async with yizhan.open(folder / "store", clock=sandbox.clock) as engine:
            await engine.add_account(account, **settings, base_url=sandbox.url)
            await engine.login(account, lambda step: None)
            make = sandbox.groups if kind == "group" else sandbox.users
            walk = Walk(platform, engine, sandbox, Target.parse(make(1, account)[0]), "")
            walk.person = _person(walk)
            listening = asyncio.create_task(walk.listen())
            try:
                yield walk
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)


def _person(walk: Walk) -> str:
    if walk.target.kind == "user":
        return walk.target.id
    network = walk.sandbox.world.network(walk.platform.network)
    id = walk.target.id
    group = next((one for one in network.groups.values() if id in (one.id, one.name)), None)
    if group is not None and not group.members:
        # Groups of some platforms have nobody in them who is known; those write without being members.
        return next(iter(network.people), "")
    return group.members[0] if group is not None else ""


def _samples(walk: Walk, quoted: str) -> dict[str, tuple[Segment, ...]]:
    who = walk.sandbox.world.network(walk.platform.network).people.get(walk.person)
    name = who.name if who is not None else walk.person
    record = (
        "<appmsg><title>A song</title><des>by somebody</des><type>3</type><url>https://example.com/s</url></appmsg>"
    )
    rows = ((Button("Yes", "y"), Button("Read", url="https://example.com/")),)
    samples: dict[str, tuple[Segment, ...]] = {
        "text": (Text("第一行\nhello & <b> 👨‍👩‍👧"),),
        "image": (Image(picture(), "图.png"),),
        "video": (Video(film(), "片.mp4"),),
        "voice": (Voice(voice(), "声.silk"),),
        "file": (File(PAPER, "员工手册.pdf"),),
        "sticker": (Sticker(GIF),),
        "link": (Link("https://example.com/a?b=1&c=2", "A title", "what it is"),),
        "mini_program": (MiniProgram("wx0123456789abcdef", "gh_0123456789ab@app", "Open me", "pages/index.html"),),
        "channel_video": (ChannelVideo("123456789", "nonce_1"),),
        "contact_card": (ContactCard("wxid_bob", "Bob"),),
        "mention": (Mention(walk.person, name), Text("look")),
        "card": (Card("A song", "by somebody", "https://example.com/s", "song", record),),
        "markdown": (Markdown("# A title\n\n**bold** words"),),
        "buttons": (Markdown("Ready?"), Buttons(rows)),
    }
    if quoted:
        samples["quote"] = (Quote(quoted, "hello?", walk.person, name), Text("an answer"))
    return samples


def _visible(segments: Sequence[Segment]) -> list[str]:
    """The words that a reader must find where the segments arrive, in whatever form."""
    words: list[str] = []
    for segment in segments:
        match segment:
            case Text(text):
                words.append(text)
            case Link():
                words += [segment.title, segment.url, segment.description]
            case MiniProgram():
                words += [segment.title, segment.app_id, segment.path]
            case ChannelVideo():
                words += [segment.object_id, segment.object_nonce_id]
            case ContactCard():
                words.append(segment.username)
            case Sticker():
                words.append(hashlib.md5(GIF, usedforsecurity=False).hexdigest())
            case Card():
                words += [segment.title, segment.description, segment.url]
            case Markdown():
                words.append("A title" if "title" in segment.text else segment.text)
            case Buttons():
                words += [button.text for row in segment.rows for button in row] + ["https://example.com/"]
            case File():
                words.append(segment.name)
    return words


def _unseen(posts: Sequence[Post], segments: Sequence[Segment]) -> list[str]:
    """Return the words that no post shows."""
    shown = "\n".join(
        f"{post.text}\n{post.name}\n{msgspec.json.encode(post.extra).decode()}\n{post.extra.get('xml', '')}"
        for post in posts
    )
    shown = html.unescape(html.unescape(shown)) + "\n".join(post.blob.md5 for post in posts if post.blob is not None)
    for mention in [segment for segment in segments if isinstance(segment, Mention)]:
        if mention.name not in shown and mention.user not in shown:
            return [mention.name]
    return [word for word in _visible(segments) if word not in shown and word.replace("\n", "\\n") not in shown]


def _differs(sent: Sequence[Segment], received: Message) -> str:
    """Return in what way the received message is not the sent one; empty if it is the same to a reader."""
    others = list(received.segments)
    for segment in sent:
        match segment:
            case Text(text) | Markdown(text=text):
                shown = "".join(one.text for one in others if isinstance(one, (Text, Markdown)))
                if isinstance(segment, Text) and text.strip() not in shown:
                    return f"the text {text!r} came back as {shown!r}"
            case Quote():
                quote = next((one for one in others if isinstance(one, Quote)), None)
                # Where the wire has no quotes, the quoted words stand in the text.
                words = "".join(one.text for one in others if isinstance(one, (Text, Quote)))
                if segment.text not in (words if quote is None else quote.text):
                    return f"the quote came back as {others}"
            case Mention():
                # Some wires keep the mentioned ids beside the text, and what is sent on there mentions nobody anew.
                words = "".join(one.text for one in others if isinstance(one, Text))
                names = [one.name or one.user for one in others if isinstance(one, Mention)]
                if f"@{segment.name}" not in words and not {segment.user, segment.name} & {*names}:
                    return f"the mention came back as {others}"
            case Link() | MiniProgram() | ChannelVideo() | ContactCard():
                other = next((one for one in others if type(one) is type(segment)), None)
                words = "".join(one.text for one in others if isinstance(one, Text))
                if other is None and not all(word in words for word in _visible([segment])):
                    return f"it came back as {others}"
                if other is not None and (changed := _changed(segment, other)):
                    return f"{', '.join(changed)} changed: {other}"
            case Card():
                card = next((one for one in others if isinstance(one, Card)), None)
                words = "".join(one.text for one in others if isinstance(one, Text))
                if card is None and segment.title not in words:
                    return f"the card came back as {others}"
                if card is not None and (card.title, card.kind) != (segment.title, segment.kind):
                    return f"the card came back as {card}"
    return ""


def _changed(sent: Segment, received: Segment) -> list[str]:
    """Return the names of the fields that had a value and came back with another."""
    values = {name: getattr(sent, name) for name in sent.__struct_fields__}
    return [name for name, value in values.items() if value and getattr(received, name) != value]


async def _media_problem(walk: Walk, sent: Segment, post: Post, received: Message) -> str:
    assert post.blob is not None
    forward = next((one for one in received.segments if isinstance(one, Forward)), None)
    if forward is None:
        return f"no media came back: {received.segments}"
    if isinstance(sent, Sticker) and post.blob.md5 in str(forward.reference):
        # Some wires name a sticker by its digest alone, and have no call that fetches it.
        return "" if forward.kind == "sticker" else f"the sticker came back as {forward.kind}"
    saved = await walk.engine.save(forward, as_received=True)
    data = b"".join([piece async for piece in walk.engine.library.open(saved).chunks()])
    if data != post.blob.read():
        return f"{len(data)} bytes came back, {post.blob.size} had arrived"
    given = getattr(sent, "media", None)
    if post.kind == "file" and isinstance(sent, File):
        if data != given:
            return "a file arrived with other bytes"
        if saved.name != sent.name:
            return f"the file {sent.name} came back as {saved.name}"
    return ""


async def test_each_segment_is_seen_where_it_arrives_and_comes_back_when_it_is_sent_on(
    platform: Platform, kind: str, tmp_path: Path
) -> None:
    if kind not in ("user", "group"):
        pytest.skip("the sandbox makes people and groups")
    problems: list[str] = []
    async with walking(platform, kind, tmp_path) as walk:
        answers = await walk.be_heard()
        quoted = walk.heard[0].id if walk.heard else ""
        for name, segments in _samples(walk, quoted).items():
            if name not in platform.capabilities[kind].segments:
                continue
            problems += [f"{name}: {problem}" for problem in await _walked(walk, segments, answers)]

    assert [] == problems


async def _walked(walk: Walk, segments: Sequence[Segment], answers: bool) -> list[str]:
    before = len(walk.sandbox.posts(walk.target))
    try:
        receipt = await walk.engine.send(walk.target, *segments)
    except (YizhanError, UnknownTarget) as error:
        return [f"refused although the capabilities name it: {error}"]
    posts = walk.sandbox.posts(walk.target)[before:]
    if receipt.state is not State.SENT or not posts:
        return [f"{receipt}, {len(posts)} posts"]
    problems = [f"{word!r} is in no post" for word in _unseen(posts, segments)]
    if not answers:
        return problems
    for post in posts:
        if post.kind == "sticker" and post.blob is None:
            # Known to the platform by its digest; nobody uploaded its bytes.
            continue
        received = (await walk.sent_on(post)).message
        if received is None:
            problems.append("an empty message came back")
        elif post.blob is not None:
            problems += filter(None, [await _media_problem(walk, segments[0], post, received)])
        else:
            problems += filter(None, [_differs(segments, received)])
    return problems
