"""Per-person values in a message: `{name}` in its words becomes the value of the column `name`. Pure.

`{{` and `}}` stand for the braces themselves. Braces around anything but a name stay as they are, so that JSON and code
can be sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from yizhan.errors import Refused
from yizhan.model import Card, Link, Markdown, Message, Segment, Text

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^\W\d]\w*)\}")
_WORDS: dict[type[Any], tuple[str, ...]] = {
    Text: ("text",),
    Markdown: ("text",),
    Link: ("url", "title", "description"),
    Card: ("title", "description", "url"),
}
"""The fields in which placeholders are replaced, by kind of segment."""


def names_in(message: Message) -> list[str]:
    """Return the names of the placeholders of `message`, each once, in order."""
    found: dict[str, None] = {}

    def collect(text: str) -> str:
        found.update(dict.fromkeys(name for name in _PLACEHOLDER.findall(text) if name))
        return text

    _mapped(message, collect)
    return list(found)


def filled(message: Message, values: Mapping[str, str]) -> Message:
    """Return `message` with every placeholder replaced.

    Raises:
        Refused: a placeholder has no value; the text names it and the columns that there are.
    """

    def replaced(match: re.Match[str]) -> str:
        name = match[1]
        if name is None:
            return match[0][0]
        if name not in values:
            columns = ", ".join(values) or "none"
            raise Refused(f"The message says {{{name}}}, and there is no such column. Columns: {columns}.")
        return values[name]

    return _mapped(message, lambda text: _PLACEHOLDER.sub(replaced, text))


def _mapped(message: Message, change: Callable[[str], str]) -> Message:
    return Message(tuple(_changed(segment, change) for segment in message.segments), message.reply)


def _changed(segment: Segment, change: Callable[[str], str]) -> Segment:
    fields = _WORDS.get(type(segment), ())
    if not fields:
        return segment
    return msgspec.structs.replace(segment, **{name: change(getattr(segment, name)) for name in fields})
