"""HTTP as plain values: what the pure layer hands to the caller, and what the router hands to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from yizhan.model.media import Content


class MalformedRequest(Exception):
    """A request that does not fit the endpoint: the text says which field and why."""


class BodyTooLarge(MalformedRequest):
    """The body is over what the endpoint reads; platforms often say so in a way of their own."""


class Base64:
    """Content that travels as base64 text inside a JSON string; encoded while it is streamed."""

    __slots__ = ("content",)

    def __init__(self, content: Content) -> None:
        self.content = content

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Base64) and other.content is self.content

    def __hash__(self) -> int:
        return hash(id(self.content))

    @property
    def size(self) -> int:
        return (self.content.size + 2) // 3 * 4


Piece: TypeAlias = bytes | Content | Base64
"""Part of a body. Media is referred to, never copied in."""


class FormPart:
    """One part of a multipart body. `value` is text, or content for a file.

    Struct fields that hold one are typed Any: the JSON library would otherwise take it apart.
    """

    __slots__ = ("content_type", "disposition", "filename", "name", "value")

    def __init__(
        self,
        name: str,
        value: str | Content,
        filename: str | None = None,
        content_type: str | None = None,
        disposition: str = "",
    ) -> None:
        self.name = name
        self.value = value
        self.filename = filename
        self.content_type = content_type
        self.disposition = disposition
        """On the serving side: the header as it was written, for services that refuse some of its forms."""


@dataclass(slots=True)
class HttpRequest:
    """A request. `path` is percent-encoded and has no query; header names are matched without regard to case."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: dict[str, str] = field(default_factory=dict)
    body: Sequence[Piece] = ()
    parts: Sequence[FormPart] = ()
    """On the serving side: the parts of a multipart body, already taken apart."""
    params: Mapping[str, str] = field(default_factory=dict)
    """On the serving side: the path's placeholders, decoded."""
    base_url: str = ""
    """On the serving side: scheme, host and port as the client wrote them, without a slash at the end."""

    def header(self, name: str, default: str = "") -> str:
        return _header(self.headers.items(), name, default)

    def query_value(self, name: str, default: str = "") -> str:
        return next((v for k, v in self.query if k == name), default)

    def cookies(self) -> dict[str, str]:
        """The cookies of the request, as they were written (no unquoting)."""
        pairs = (item.strip().partition("=") for item in self.header("cookie").split(";") if "=" in item)
        return {name: value for name, _, value in pairs}


@dataclass(slots=True)
class HttpResponse:
    """An answer. Headers may repeat (Set-Cookie)."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | Sequence[Piece] = b""

    def header(self, name: str, default: str = "") -> str:
        return _header(self.headers, name, default)

    @property
    def data(self) -> bytes:
        """The body in one piece; for answers that were read or written whole."""
        if isinstance(self.body, bytes):
            return self.body
        return b"".join(piece for piece in self.body if isinstance(piece, bytes))

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self.header("content-type").partition(";")[0].strip().lower()


class RawAnswer:
    """Response type of calls that answer with something other than a struct: bytes of a picture, a redirect."""


def _header(headers: Iterable[tuple[str, str]], name: str, default: str) -> str:
    wanted = name.lower()
    return next((v for k, v in headers if k.lower() == wanted), default)
