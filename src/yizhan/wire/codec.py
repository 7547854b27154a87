"""Encodes and decodes bodies: JSON, forms, multipart, XML, and answers in JavaScript.

A codec works on named fields. Media in them are `Content`, which it refers to and never reads.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

import msgspec
from msgspec import Struct

from yizhan.model.media import Content
from yizhan.wire.http import Base64, FormPart, HttpRequest, MalformedRequest, Piece

_BLOB = "\x00blob:"


class Codec(Protocol):
    def encode(self, fields: Any) -> tuple[Sequence[Piece], str]:
        """Return the body and its Content-Type (empty for none). `fields` is a mapping or a struct."""

    def decode(self, http: HttpRequest) -> Mapping[str, Any]:
        """Return the fields of a request's body.

        Raises:
            MalformedRequest: it cannot be read.
        """


def _malformed(text: str, cause: Exception | None = None) -> MalformedRequest:
    error = MalformedRequest(text)
    error.__cause__ = cause
    return error


class JsonCodec:
    """JSON objects. A field with the value `Base64(content)` is streamed as a base64 string."""

    def __init__(self, content_type: str = "application/json") -> None:
        self.content_type = content_type

    def encode(self, fields: Any) -> tuple[Sequence[Piece], str]:
        blobs: list[Base64] = []

        def refer(value: Any) -> str:
            if isinstance(value, Base64):
                blobs.append(value)
                return f"{_BLOB}{len(blobs) - 1}"
            raise TypeError(f"{type(value).__name__} cannot be part of a JSON body")

        data = msgspec.json.encode(fields, enc_hook=refer)
        if not blobs:
            return (data,), self.content_type
        pieces: list[Piece] = []
        for index, blob in enumerate(blobs):
            before, _, data = data.partition(b"\\u0000blob:%d" % index)
            pieces += [before, blob]
        return (*pieces, data), self.content_type

    def decode(self, http: HttpRequest) -> Mapping[str, Any]:
        try:
            value = msgspec.json.decode(_joined(http) or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed("the body is not valid JSON", error) from error
        if not isinstance(value, dict):
            raise _malformed(f"the body is a JSON {type(value).__name__}, expected an object")
        return value


class FormCodec:
    """`application/x-www-form-urlencoded`."""

    def encode(self, fields: Any) -> tuple[Sequence[Piece], str]:
        pairs = [(k, _plain(v)) for k, v in _mapping(fields).items() if v is not None]
        return (urlencode(pairs).encode(),), "application/x-www-form-urlencoded"

    def decode(self, http: HttpRequest) -> Mapping[str, Any]:
        try:
            return dict(parse_qsl(_joined(http).decode(), keep_blank_values=True, max_num_fields=200))
        except ValueError as error:
            raise _malformed("the body is not a readable form", error) from error


class MultipartCodec:
    """`multipart/form-data`, in the order of the struct. A `FormPart` is a file; structs and lists travel as JSON.

    `texts`: fields that are read as they are, even if people wrote JSON into them.
    """

    def __init__(self, texts: Collection[str] = ()) -> None:
        self.texts = frozenset(texts)

    def encode(self, fields: Any) -> tuple[Sequence[Piece], str]:
        boundary = f"----yizhan{secrets.token_hex(12)}"
        pieces: list[Piece] = []
        head = bytearray()
        for name, value in _mapping(fields).items():
            if value is None:
                continue
            head += f"--{boundary}\r\n".encode()
            if isinstance(value, FormPart):
                head += _disposition(name, value).encode()
                head += f"Content-Type: {value.content_type or 'application/octet-stream'}\r\n\r\n".encode()
                if isinstance(value.value, str):
                    head += value.value.encode()
                else:
                    pieces += [bytes(head), value.value]
                    head = bytearray()
                head += b"\r\n"
            else:
                head += f'Content-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + _plain(value).encode()
                head += b"\r\n"
        head += f"--{boundary}--\r\n".encode()
        pieces.append(bytes(head))
        return pieces, f"multipart/form-data; boundary={boundary}"

    def decode(self, http: HttpRequest) -> Mapping[str, Any]:
        """Return text parts as strings, JSON objects and lists decoded, and files as `FormPart`."""
        fields: dict[str, Any] = {}
        for part in http.parts:
            if isinstance(part.value, str) and part.filename is None:
                fields[part.name] = part.value if part.name in self.texts else _maybe_json(part.value)
            else:
                fields[part.name] = part
        return fields


class NoBody:
    """For calls without a body; a body that is sent is ignored."""

    def encode(self, _fields: Any) -> tuple[Sequence[Piece], str]:
        return (), ""

    def decode(self, _http: HttpRequest) -> Mapping[str, Any]:
        return {}


class JsonOrMultipartCodec:
    """For calls that take both: multipart when a field is a file; the Content-Type decides when reading.

    `texts`: as for MultipartCodec.
    """

    def __init__(self, texts: Collection[str] = ()) -> None:
        self._multipart = MultipartCodec(texts)

    def encode(self, fields: Any) -> tuple[Sequence[Piece], str]:
        has_file = any(isinstance(value, FormPart) for value in _mapping(fields).values())
        return (MULTIPART if has_file else JSON).encode(fields)

    def decode(self, http: HttpRequest) -> Mapping[str, Any]:
        is_multipart = http.header("content-type").lower().startswith("multipart/")
        return (self._multipart if is_multipart else JSON).decode(http)


JSON = JsonCodec()
FORM = FormCodec()
MULTIPART = MultipartCodec()
JSON_OR_MULTIPART = JsonOrMultipartCodec()
NO_BODY = NoBody()


def encode_xml(root: str, fields: Mapping[str, str]) -> bytes:
    """Return `<root><name>text</name>…</root>` on one line, with values escaped."""
    inside = "".join(f"<{name}>{escape(value, quote=False)}</{name}>" for name, value in fields.items())
    return f"<{root}>{inside}</{root}>".encode()


def decode_xml(data: bytes) -> dict[str, str]:
    """Return the text of the root's children by tag.

    Raises:
        ValueError: `data` is not well-formed, or declares entities or a document type.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException) as error:
        raise ValueError(f"not readable XML: {error}") from error
    return {child.tag: child.text or "" for child in root}


_ASSIGNMENT = re.compile(r"""window\.([\w.]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|(-?\d+)|(\{[^}]*\}))\s*;?""")
_MEMBER = re.compile(r"""["']?(\w+)["']?\s*:\s*["']?([^"',}]*)["']?""")


def decode_javascript(data: bytes) -> dict[str, str]:
    """Return the values of `window.name = value;` lines by name, and the members of objects by theirs."""
    found: dict[str, str] = {}
    for name, double, single, number, members in _ASSIGNMENT.findall(data.decode("utf-8", "replace")):
        if members:
            found.update(_MEMBER.findall(members))
        else:
            found[name] = double or single or number
    return found


def _joined(http: HttpRequest) -> bytes:
    return b"".join(piece for piece in http.body if isinstance(piece, bytes))


def _mapping(fields: Any) -> Mapping[str, Any]:
    if isinstance(fields, Struct):
        config = {f.name: f for f in msgspec.structs.fields(fields)}
        omit = type(fields).__struct_config__.omit_defaults
        return {
            f.encode_name: value
            for name, f in config.items()
            if (value := getattr(fields, name)) is not msgspec.UNSET
            and not (omit and f.default is not msgspec.NODEFAULT and value == f.default)
        }
    mapping: Mapping[str, Any] = fields
    return mapping


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    return msgspec.json.encode(value).decode()


def _maybe_json(text: str) -> Any:
    if text[:1] in ("{", "["):
        try:
            return msgspec.json.decode(text)
        except (ValueError, RecursionError):
            return text
    return text


def _disposition(name: str, part: FormPart) -> str:
    # Names outside ASCII are written raw: web WeChat refuses the form of RFC 2231, `filename*=`.
    filename = "" if part.filename is None else f'; filename="{_quoted(part.filename)}"'
    return f'Content-Disposition: form-data; name="{name}"{filename}\r\n'


def _quoted(filename: str) -> str:
    return filename.replace("\\", "%5C").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


__all__ = [
    "FORM",
    "JSON",
    "JSON_OR_MULTIPART",
    "MULTIPART",
    "NO_BODY",
    "Codec",
    "Content",
    "JsonOrMultipartCodec",
    "decode_javascript",
    "decode_xml",
    "encode_xml",
]
