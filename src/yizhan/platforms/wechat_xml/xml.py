"""Parse untrusted XML within limits; write XML that no text can break out of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias
from xml.etree.ElementTree import Element, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser, ParseError

MAX_CHARS = 2 << 20
"""Characters of one document; real documents stay below a quarter of it."""
MAX_DEPTH = 64
MAX_ELEMENTS = 20_000
MAX_ATTRIBUTE = 64 << 10
"""Characters of a tag's name and attributes together."""

# Characters that XML 1.0 forbids even as references. Real file names and nicknames contain them.
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BARE_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#\d{1,7}|#[xX][0-9a-fA-F]{1,6});)")
_BARE_LESS = re.compile(r"<(?![A-Za-z_/?!])")
_TYPE_DECLARED = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_DECLARATION = re.compile(r"^\s*<\?xml[^>]{0,200}\?>")


class CData(str):
    """Text that is written as CDATA, as the vendor's own writer does."""

    __slots__ = ()


Nodes: TypeAlias = Sequence[tuple[str, "str | CData | Nodes"]]


def strip_forbidden(text: str) -> str:
    """Return `text` without the characters that XML 1.0 forbids."""
    return _IMPOSSIBLE.sub("", text)


def escape(text: str) -> str:
    return strip_forbidden(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def attributes(values: Mapping[str, str], quote: str = '"') -> str:
    """Return ` a="1" b="2"`, with line breaks as character references and both kinds of quotes escaped."""
    return "".join(f" {name}={quote}{_attribute(value)}{quote}" for name, value in values.items())


def write(nodes: Nodes) -> str:
    """Return the elements on one line, in the given order; an empty one is a pair of tags."""
    return "".join(f"<{tag}>{_inside(value)}</{tag}>" for tag, value in nodes)


def refuse_hostile(text: str) -> None:
    """Refuse oversized XML and declarations before a parser sees them.

    Raises:
        ValueError: `text` is too large, or declares a document type or entities.
    """
    if len(text) > MAX_CHARS:
        raise ValueError(f"the XML has {len(text)} characters, the limit is {MAX_CHARS}")
    if _TYPE_DECLARED.search(text):
        raise ValueError("the XML declares a document type or entities; no real message does")


def parse_fragment(text: str) -> Element:
    """Return an artificial root that holds the elements of `text`: one document, or several in a row.

    A strict parse comes first; if it fails, a second one takes bare `&` and `<` as text, since real clients leave file
    names and titles unescaped.

    Raises:
        ValueError: `text` is too large or too deep, declares a document type or entities, or is not XML.
    """
    refuse_hostile(text)
    body = _DECLARATION.sub("", text)
    try:
        return _parse(body)
    except ParseError as error:
        first = error
    for repaired in (_repaired(body), _shown_text_escaped(body)):
        try:
            return _parse(repaired)
        except ParseError:
            continue
    raise ValueError(f"not readable XML: {first}") from first


def repaired_source(text: str) -> str:
    """Return `text` unchanged if it is well-formed, else repaired as `parse_fragment` does."""
    body = _DECLARATION.sub("", text)
    for form in (body, _repaired(body), _shown_text_escaped(body)):
        try:
            _parse(form)
        except ParseError:
            continue
        return form
    return body


def find(element: Element | None, path: str) -> Element | None:
    """Return the element at `path`; each step takes the first direct child of that name, so duplicates never merge."""
    for tag in path.split("/"):
        if element is None:
            return None
        element = next((c for c in element if c.tag == tag), None)
    return element


def text_of(element: Element | None) -> str:
    return "" if element is None else "".join(element.itertext()).strip()


class _Limited(TreeBuilder):
    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._count = 0

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self._depth += 1
        self._count += 1
        if self._depth > MAX_DEPTH + 1:
            raise ValueError(f"the XML nests deeper than {MAX_DEPTH} elements")
        if self._count > MAX_ELEMENTS:
            raise ValueError(f"the XML has more than {MAX_ELEMENTS} elements")
        if len(tag) + sum(len(name) + len(value) for name, value in attrs.items()) > MAX_ATTRIBUTE:
            raise ValueError(f"the attributes of <{tag[:40]}> are over {MAX_ATTRIBUTE} characters")
        return super().start(tag, attrs)

    def end(self, tag: str) -> Element:
        self._depth -= 1
        return super().end(tag)


def _parse(body: str) -> Element:
    parser = DefusedXMLParser(target=_Limited(), forbid_dtd=True)
    try:
        parser.feed("<yizhan>")
        parser.feed(body.encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
        parser.feed("</yizhan>")
        root: Element = parser.close()
    except DefusedXmlException as error:
        raise ValueError(f"the XML is hostile: {error}") from error
    if root.tag != "yizhan":
        raise ValueError("not readable XML")
    return root


def _repaired(body: str) -> str:
    return _BARE_LESS.sub("&lt;", _BARE_AMPERSAND.sub("&amp;", strip_forbidden(body)))


def _shown_text_escaped(body: str) -> str:
    """Escape the content of title and description, where real clients leave markup unescaped."""
    body = strip_forbidden(body)
    for tag in ("title", "des"):
        before, opened, rest = body.partition(f"<{tag}>")
        inside, closed, after = rest.partition(f"</{tag}>")
        if opened and closed and "<![CDATA[" not in inside:
            inside = _BARE_AMPERSAND.sub("&amp;", inside).replace("<", "&lt;")
            body = before + opened + inside + closed + after
    return _repaired(body)


def _inside(value: str | Nodes) -> str:
    if isinstance(value, CData):
        return f"<![CDATA[{strip_forbidden(value).replace(']]>', ']]]]><![CDATA[>')}]]>"
    if isinstance(value, str):
        return escape(value)
    return write(value)


def _attribute(value: str) -> str:
    escaped = escape(value).replace('"', "&quot;").replace("'", "&apos;")
    return escaped.replace("\r", "&#x0D;").replace("\n", "&#x0A;").replace("\t", "&#x09;")
