"""Targets and messages from the words of a command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yizhan.errors import Refused

if TYPE_CHECKING:
    from yizhan.engine import Engine
    from yizhan.model import Media, Message, Segment

STDIN = "-"


@dataclass(frozen=True, slots=True)
class Content:
    """The content that the options of `send` name. Paths are not opened yet."""

    text: str = ""
    images: Sequence[str] = ()
    videos: Sequence[str] = ()
    voices: Sequence[str] = ()
    files: Sequence[str] = ()
    stickers: Sequence[str] = ()
    attached: Sequence[str] = ()
    """Files that are sent as the kind of their content."""
    name: str = ""
    link: str = ""
    title: str = ""
    description: str = ""
    reply: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def sources(self) -> list[str]:
        return [*self.images, *self.videos, *self.voices, *self.files, *self.stickers, *self.attached]

    @property
    def only_text(self) -> bool:
        return not self.sources and not self.link


_SHAPE = re.compile(r"[a-z][a-z0-9]*\.[\w-]+/[^/\s]+/\S+")


def looks_like_target(word: str) -> bool:
    """Return whether a word on the command line is a target, perhaps a mistyped one, rather than text.

    A mistyped target must not be sent to other people as text, so a doubtful word is a target.
    """
    if any(c.isspace() for c in word) or len(word) < 2:
        return False
    if word[0] in "@#" or word.startswith("file:") or _SHAPE.fullmatch(word):
        return True
    head, slash, _ = word.partition("/")
    return bool(slash) and head.partition(".")[0] in _platform_names()


def _platform_names() -> set[str]:
    from importlib.metadata import entry_points

    return entry_points(group="yizhan.platforms").names


def split_words(words: Sequence[str], to: Sequence[str]) -> tuple[list[str], str | None]:
    """Separate targets from the text, which comes last: `TARGET... [TEXT]`. The text is None if there is none."""
    named = list(words)
    text = None
    alone = len(named) == 1 and not to
    if named and not alone and (named[-1] == STDIN or not looks_like_target(named[-1])):
        text = named.pop()
    return [*to, *named], text


def text_is_piped(text: str | None, option: str | None, *, only_text: bool) -> bool:
    """Return whether the text comes from standard input: as `-`, or because nothing else was given to send."""
    given = option if option is not None else text
    return given == STDIN or (given is None and only_text and not sys.stdin.isatty())


def body(text: str | None, option: str | None, *, only_text: bool) -> str:
    """Return the text to send: the option, the last word, or standard input (`-`, or nothing else to send).

    Raises:
        Refused: the text is given twice, or standard input is not UTF-8.
    """
    if option is not None and text is not None:
        raise Refused(f"The text is given twice: --text and '{text}'. Leave one out.")
    given = option if option is not None else text
    if text_is_piped(text, option, only_text=only_text):
        try:
            return sys.stdin.buffer.read().decode().removesuffix("\n")
        except UnicodeDecodeError as error:
            raise Refused(f"Standard input is not UTF-8 text: {error}. Send it as a file: --file PATH.") from error
    return given or ""


Reading = Callable[[str, int | None], Callable[[int], None]]
"""Shows that a source is read: called with its name and size, it returns a function for the numbers of bytes."""


async def message_from(content: Content, engine: Engine, reading: Reading) -> Message:
    """Add every file to the library and return the message: text first, then the rest.

    Raises:
        Refused: it is empty, or `--name` fits more than one file.
        MediaFormat: a file is missing, empty or not what its option says.
    """
    from yizhan.model import Link, Reply, Text, message_of

    if content.name and len(content.sources) != 1:
        raise Refused(f"--name is the name of one file, and this message has {len(content.sources)}.")
    segments: list[Segment] = [Text(content.text)] if content.text.strip() else []
    if content.link:
        segments.append(Link(content.link, content.title or content.link, content.description))
    for kind, paths in _by_kind(content):
        for path in paths:
            segments.append(await _segment(kind, path, content.name, engine, reading))
    return message_of(segments, reply=Reply(content.reply) if content.reply else None)


async def preview_of(content: Content, engine: Engine) -> Message | None:
    """Return the message with its files uncopied, so that it can be refused before any of them is copied.

    None if a file comes from standard input or a download, which can be read only once.

    Raises:
        MediaFormat: a file is missing, empty or not what its option says.
    """
    from yizhan.model import Text, message_of

    segments: list[Segment] = [Text(content.text)] if content.text.strip() else []
    for kind, paths in _by_kind(content):
        for path in map(_without_mark, paths):
            if path.startswith("md5:"):
                continue
            if path == STDIN:
                return None
            media = await engine.library.examine(path, content.name or None, _kind_to_check(kind))
            if media is None:
                return None
            segments.append(_segment_with(kind or media.kind, path, media.name))
    return message_of(segments) if segments else None


def _by_kind(content: Content) -> list[tuple[str, Sequence[str]]]:
    return [
        ("image", content.images),
        ("video", content.videos),
        ("voice", content.voices),
        ("file", content.files),
        ("sticker", content.stickers),
        ("", content.attached),
    ]


async def _segment(kind: str, path: str, name: str, engine: Engine, reading: Reading) -> Segment:
    if kind == "sticker" and path.startswith("md5:"):
        from yizhan.model import Sticker

        return Sticker(None, path.removeprefix("md5:"))
    media = await add_source(path, name or None, engine, reading, kind=_kind_to_check(kind))
    return _segment_with(kind or media.kind, media, media.name)


def _kind_to_check(kind: str) -> Any:
    """Return the kind that the library checks for."""
    return {"": None, "sticker": "image"}.get(kind, kind)


def _segment_with(kind: str, media: Media | str, name: str) -> Segment:
    from yizhan.model import File, Image, Sticker, Video, Voice

    if kind == "sticker":
        return Sticker(media)
    kinds: dict[str, Any] = {"image": Image, "video": Video, "voice": Voice, "file": File}
    made: Segment = kinds[kind](media, name)
    return made


def _without_mark(source: str) -> str:
    """Return the path in `@a.png`."""
    return source[1:] if source.startswith("@") and not Path(source).exists() else source


async def add_source(source: str, name: str | None, engine: Engine, reading: Reading, *, kind: Any = None) -> Media:
    """Add one file (`a.png` or `@a.png`), address or standard input (`-` or `@-`) to the library.

    Raises:
        MediaFormat: it is missing, empty, or not of `kind`.
    """
    source = _without_mark(source)
    if source == STDIN:
        shown = reading("standard input", None)
        return await engine.library.add(sys.stdin.buffer, name=name or "stdin", kind=kind, progress=shown)
    path = Path(source)
    shown = reading(source if "://" in source else path.name, path.stat().st_size if path.is_file() else None)
    return await engine.library.add(source, name=name, kind=kind, progress=shown)
