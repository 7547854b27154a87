"""HTTP requests and answers as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from yizhan.model.media import Content


class MalformedRequest(Exception):
    """A request that does not fit its endpoint; the text, ours, says which field and why."""


class WrongField(MalformedRequest):
    """One field of the request is missing, unknown or of the wrong type. `field` is its dotted wire name."""

    def __init__(self, text: str, field: str, *, missing: bool = False) -> None:
        super().__init__(text)
        self.field = field
        self.missing = missing

    @property
    def name(self) -> str:
        """The last part of `field`, without an index: `c` for `a.b.c[...]`."""
        return self.field.rpartition(".")[2].partition("[")[0]


class BodyTooLarge(MalformedRequest):
    """The body is larger than the endpoint reads; many platforms have an answer of their own for it."""


class Base64:
    """Content inside a JSON string, encoded as base64 while it is streamed."""

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
"""Part of a body. Media are referred to, not copied."""


class FormPart:
    """One part of a multipart body. `value` is text, or content for a file.

    Struct fields that hold one have the type Any: msgspec would convert it otherwise.
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
        """On the server: the header as it was sent, for services that refuse some of its forms."""


@dataclass(slots=True)
class HttpRequest:
    """A request. `path` is percent-encoded and has no query; header names are matched without regard to case."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: dict[str, str] = field(default_factory=dict)
    body: Sequence[Piece] = ()
    parts: Sequence[FormPart] = ()
    """On the server: the parts of a multipart body."""
    params: Mapping[str, str] = field(default_factory=dict)
    """On the server: the placeholders of the path, decoded."""
    base_url: str = ""
    """On the server: scheme, host and port as the client wrote them, without a trailing slash."""

    def header(self, name: str, default: str = "") -> str:
        return _header(self.headers.items(), name, default)

    def query_value(self, name: str, default: str = "") -> str:
        return next((v for k, v in self.query if k == name), default)

    def cookies(self) -> dict[str, str]:
        """Return the cookies of the request, without unquoting."""
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
        """The body in one piece, for answers that are in memory."""
        if isinstance(self.body, bytes):
            return self.body
        return b"".join(piece for piece in self.body if isinstance(piece, bytes))

    @property
    def content_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self.header("content-type").partition(";")[0].strip().lower()


class RawAnswer:
    """Response type of calls whose answer is no struct: the bytes of a picture, a redirect."""


def _header(headers: Iterable[tuple[str, str]], name: str, default: str) -> str:
    wanted = name.lower()
    return next((v for k, v in headers if k.lower() == wanted), default)
