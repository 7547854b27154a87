"""Example values for any struct, one message of every kind of segment, and an adapter that sends nothing."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct

from yizhan.model import (
    Button,
    Buttons,
    BytesContent,
    Card,
    ChannelVideo,
    ContactCard,
    File,
    Forward,
    Image,
    Link,
    Markdown,
    Media,
    Mention,
    MiniProgram,
    Native,
    Quote,
    Segment,
    Sticker,
    Text,
    Video,
    Voice,
)
from yizhan.platforms.adapter import AccountContext, Adapter
from yizhan.platforms.spec import Platform
from yizhan.wire import Endpoint
from yizhan.world import TurnableClock


def endpoints_of(platform: Platform) -> list[Endpoint[Any, Any]]:
    """Every call of a platform, each once, in the order in which its wire declares them."""
    seen: dict[int, Endpoint[Any, Any]] = {}
    for module in _modules(platform.calls):
        for value in vars(module).values():
            for endpoint in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(endpoint, Endpoint):
                    seen[id(endpoint)] = endpoint
    return list(seen.values())


def _modules(name: str) -> Iterator[Any]:
    import pkgutil

    module = import_module(name)
    yield module
    for found in pkgutil.iter_modules(getattr(module, "__path__", ())):
        yield import_module(f"{name}.{found.name}")


def sample_struct(kind: type[Struct], depth: int = 0) -> Any:
    """Return an instance of `kind` with a telling value in every field."""
    hints = get_type_hints(kind, include_extras=True)
    values = {}
    for field in msgspec.structs.fields(kind):
        value = sample(hints[field.name], depth)
        if value is not msgspec.UNSET:
            values[field.name] = value
    return kind(**values)


def sample(hint: Any, depth: int = 0) -> Any:
    """Return a value of the type `hint` that is not its usual default."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return sample(args[0], depth)
    if origin in (Union, types.UnionType):
        usual = [arg for arg in args if arg not in (type(None), msgspec.UnsetType)]
        return sample(usual[0], depth)
    if origin is Literal:
        return args[-1]
    if origin in (list, tuple, typing.Sequence) or (origin and origin.__name__ in ("Sequence", "Iterable")):
        return [sample(args[0], depth + 1)] if args and depth < 3 else []
    if origin is dict or (origin and origin.__name__ == "Mapping"):
        return {"k": sample(args[1], depth + 1)} if args and depth < 3 else {}
    if isinstance(hint, type) and issubclass(hint, Struct):
        return sample_struct(hint, depth + 1) if depth < 4 else msgspec.UNSET
    known = {str: "值 a/b?&=%", int: 7, float: 1.5, bool: True, bytes: b"x"}
    return known.get(hint, {"x": 1})


def media(kind: Any, format: str, mime: str, size: int = 4000, **more: Any) -> Media:
    return Media(sha256="ab" * 32, md5="cd" * 16, crc32=123, size=size, kind=kind, mime=mime, format=format, **more)


PICTURE = media("image", "png", "image/png", width=64, height=48, name="a.png")
GIF = media("image", "gif", "image/gif", width=64, height=48, name="a.gif")
CLIP = media("video", "mp4", "video/mp4", width=320, height=240, duration_ms=3000, name="a.mp4")
SPEECH = media("voice", "silk", "audio/silk", duration_ms=3000, name="a.silk")
PAPER = media("file", "pdf", "application/pdf", name="报告.pdf")

SEGMENTS: dict[str, Segment] = {
    "text": Text("hello"),
    "image": Image(PICTURE, "a.png"),
    "video": Video(CLIP, "a.mp4"),
    "voice": Voice(SPEECH, "a.silk"),
    "file": File(PAPER, "报告.pdf"),
    "sticker": Sticker(GIF),
    "link": Link("https://example.com/a?b=1&c=2", "A title", "what it is", "https://example.com/t.jpg"),
    "mini_program": MiniProgram("wx0123456789abcdef", "gh_0123456789ab@app", "Open me", "pages/index.html"),
    "channel_video": ChannelVideo("123456789", "nonce_1", "A channel", "v2_abc@finder", "a video"),
    "contact_card": ContactCard("wxid_bob", "Bob"),
    "quote": Quote("REFIDX_1", "what was said", "wxid_bob", "Bob"),
    "mention": Mention("wxid_bob", "Bob"),
    "card": Card("A chat", "two lines", "https://example.com/c", "chat_record", "<appmsg><type>19</type></appmsg>"),
    "markdown": Markdown("# A title\n\n**bold**"),
    "buttons": Buttons(((Button("Yes", "y"), Button("Read", url="https://example.com/")),)),
    "forward": Forward("image", {"x": "y"}),
    "native": Native("send", {"x": 1}),
}


class MemoryStateStore:
    """A StateStore without a disk."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    def get(self, name: str) -> bytes | None:
        return self.values.get(name)

    async def put(self, name: str, value: bytes | None) -> None:
        if value is None:
            self.values.pop(name, None)
        else:
            self.values[name] = value


def adapter_of(platform: Platform, **settings: Any) -> Adapter:
    """Return an adapter that composes and never sends; `settings` differ from sample values."""
    required = {
        field.encode_name: sample(field.type) for field in msgspec.structs.fields(platform.settings) if field.required
    }
    context = AccountContext(
        name=f"{platform.name}.main",
        settings=msgspec.convert({**required, "base_url": "http://127.0.0.1:9", **settings}, platform.settings),
        clock=TurnableClock(),
        state_store=MemoryStateStore(),
        rules=platform.rules(overrides=settings.get("rules")),
        open_media=lambda sha256: BytesContent(b""),
    )
    return platform.load_adapter()(context)
