"""Markdown for wires: as plain text where there is none, and in pieces where a message has a limit. Pure.

CommonMark with tables, read by markdown-it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

from yizhan.model.split import split_text

Fits = Callable[[str], bool]

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")


def plain_text(markdown: str) -> str:
    """Return `markdown` as people would type it without any markup: links with their addresses, lists, tables, code."""
    return "\n\n".join(filter(None, _blocks(_parser().parse(markdown))))


def split_markdown(markdown: str, max_chars: int = 0, max_bytes: int = 0) -> list[str]:
    """Return `markdown` in pieces of at most `max_chars` characters and `max_bytes` bytes of UTF-8; 0 sets no limit.

    Cut between blocks; a block over the limit is cut between its lines, a code block closed before the cut and opened
    again behind it, and a line over the limit like plain text.
    """

    def fits(text: str) -> bool:
        return (not max_chars or len(text) <= max_chars) and (not max_bytes or len(text.encode()) <= max_bytes)

    if fits(markdown):
        return [markdown] if markdown.strip() else []
    pieces: list[str] = []
    for block in _top_level(markdown):
        joined = f"{pieces[-1]}\n\n{block}" if pieces else block
        if pieces and fits(joined):
            pieces[-1] = joined
        elif fits(block):
            pieces.append(block)
        else:
            pieces += _cut_block(block, fits, max_chars, max_bytes)
    return pieces


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"])


# --- plain text -------------------------------------------------------------------------------------------------------


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    """Yield the plain text of each block in `tokens`."""
    at = 0
    while at < len(tokens):
        end = _closing(tokens, at)
        yield _block(tokens[at], tokens[at + 1 : end])
        at = end + 1


def _closing(tokens: Sequence[Token], at: int) -> int:
    """Return where the block that begins at `at` ends."""
    depth = 0
    for number in range(at, len(tokens)):
        depth += tokens[number].nesting
        if depth == 0:
            return number
    return len(tokens) - 1


def _block(opening: Token, inner: Sequence[Token]) -> str:
    match opening.type:
        case "inline":
            return _inline(opening.children or ())
        case "fence" | "code_block":
            return opening.content.rstrip("\n")
        case "hr":
            return "---"
        case "html_block":
            return re.sub(r"<[^>]*>", "", opening.content).strip()
        case "bullet_list_open":
            return "\n".join(_item("- ", item) for item in _items(inner))
        case "ordered_list_open":
            first = int(opening.attrGet("start") or 1)
            return "\n".join(_item(f"{number}. ", item) for number, item in enumerate(_items(inner), first))
        case "blockquote_open":
            return "\n".join(f"> {line}".rstrip() for line in "\n\n".join(_blocks(inner)).split("\n"))
        case "table_open":
            return "\n".join(" | ".join(cells) for cells in _rows(inner))
        case _:
            return "\n".join(_blocks(inner))


def _items(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    at = 0
    while at < len(tokens):
        end = _closing(tokens, at)
        yield tokens[at + 1 : end]
        at = end + 1


def _item(mark: str, inner: Sequence[Token]) -> str:
    lines = "\n".join(_blocks(inner)).split("\n")
    return "\n".join([mark + lines[0], *(" " * len(mark) + line for line in lines[1:])])


def _rows(tokens: Sequence[Token]) -> Iterator[list[str]]:
    cells: list[str] = []
    for token in tokens:
        if token.type == "tr_open":
            cells = []
        elif token.type == "inline":
            cells.append(_inline(token.children or ()))
        elif token.type == "tr_close":
            yield cells


def _inline(tokens: Sequence[Token]) -> str:
    text, links = "", []
    for token in tokens:
        match token.type:
            case "text" | "code_inline":
                text += token.content
            case "softbreak" | "hardbreak":
                text += "\n"
            case "link_open":
                links.append((len(text), str(token.attrGet("href") or "")))
            case "link_close":
                begun, address = links.pop()
                shown = text[begun:]
                text += "" if shown in (address, address.removeprefix("mailto:")) else f" ({address})"
            case "image":
                address = str(token.attrGet("src") or "")
                text += f"{token.content} ({address})" if token.content else address
    return text


# --- pieces -----------------------------------------------------------------------------------------------------------


def _top_level(markdown: str) -> Iterator[str]:
    """Yield the source of each block; the items of a list are blocks of their own."""
    lines = markdown.split("\n")
    starts = sorted(
        {
            token.map[0]
            for token in _parser().parse(markdown)
            if token.map and (token.level == 0 or (token.type == "list_item_open" and token.level == 1))
        }
    )
    for start, stop in zip(starts, [*starts[1:], len(lines)], strict=True):
        block = "\n".join(lines[start:stop]).rstrip()
        if block:
            yield block


@dataclass(frozen=True)
class _Frame:
    """The beginning and the end of every piece of a cut block."""

    head: str = ""
    foot: str = ""


def _cut_block(block: str, fits: Fits, max_chars: int, max_bytes: int) -> Iterator[str]:
    lines, frame = _framed(block)
    piece = ""
    for line in lines:
        longer = f"{piece}\n{line}" if piece else line
        if fits(frame.head + longer + frame.foot):
            piece = longer
            continue
        if piece:
            yield frame.head + piece + frame.foot
        piece = line
        if not fits(frame.head + line + frame.foot):
            *whole, piece = _cut_line(line, frame, max_chars, max_bytes)
            yield from (frame.head + part + frame.foot for part in whole)
    if piece:
        yield frame.head + piece + frame.foot


def _framed(block: str) -> tuple[list[str], _Frame]:
    """Return the lines of a block that may be cut, and what each piece needs around them to mean the same."""
    lines = block.split("\n")
    if fence := _FENCE.match(lines[0]):
        closed = len(lines) > 1 and lines[-1].strip().startswith(fence[1])
        return lines[1 : -1 if closed else None], _Frame(f"{lines[0]}\n", f"\n{fence[1]}")
    if len(lines) > 2 and re.fullmatch(r"[ |:-]+", lines[1]) and "-" in lines[1]:
        return lines[2:], _Frame(f"{lines[0]}\n{lines[1]}\n")
    return lines, _Frame()


def _cut_line(line: str, frame: _Frame, max_chars: int, max_bytes: int) -> list[str]:
    around = frame.head + frame.foot
    chars = max(1, max_chars - len(around)) if max_chars else 0
    size = max(4, max_bytes - len(around.encode())) if max_bytes else 0
    return split_text(line, chars, size) or [""]
