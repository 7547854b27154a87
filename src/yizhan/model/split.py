"""Splits text that is too long for one message: between paragraphs, sentences or words, never inside a letter."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence

# Places to cut, the best first. The matched text stays in front of the cut.
_PLACES = (
    re.compile(r"\n(?:[^\S\n]*\n)+|\u2029"),
    re.compile(r"\r?\n|\u2028|\x85"),
    re.compile(r"[。！？…；]+[」』”’）】]*|[.!?;]+[)\"'”’\]]*(?=\s)"),
    re.compile(r"[，、：]|[,:](?=\s)"),
    re.compile(r"[^\S\r\n]+|\u200b"),
)
_JOINER = "\u200d"
_KEEPS_WITH = frozenset({"Mn", "Me", "Mc"})


def split_text(text: str, max_chars: int = 0, max_bytes: int = 0, whole: re.Pattern[str] | None = None) -> list[str]:
    """Return `text` in pieces of at most `max_chars` characters and `max_bytes` bytes of UTF-8; 0 sets no limit.

    Only white space at the cuts is lost; pieces of white space are left out. `whole` matches text that is not cut, such
    as a mention. A single letter (or a match of `whole`) over the limit is cut nevertheless.
    """
    return [text[start:stop] for start, stop in spans(text, max_chars, max_bytes, whole)]


def spans(
    text: str, max_chars: int = 0, max_bytes: int = 0, whole: re.Pattern[str] | None = None
) -> list[tuple[int, int]]:
    """Return the start and end of each piece of `split_text` in `text`."""
    if _fits(text, max_chars, max_bytes):
        return [(0, len(text))] if text.strip() else []
    kept = [found.span() for found in whole.finditer(text)] if whole else []
    return [span for span in _cut(text, max_chars, max_bytes, kept) if text[span[0] : span[1]].strip()]


def _fits(text: str, max_chars: int, max_bytes: int) -> bool:
    if max_chars and len(text) > max_chars:
        return False
    return not max_bytes or len(text) * 4 <= max_bytes or len(text.encode("utf-8", "surrogatepass")) <= max_bytes


def _cut(text: str, max_chars: int, max_bytes: int, kept: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        stop = _limit(text, start, max_chars, max_bytes)
        if stop == len(text):
            yield start, stop
            return
        cut = _best_cut(text, start, stop, kept)
        yield start, start + len(text[start:cut].rstrip())
        start = _next_start(text, cut)


def _limit(text: str, start: int, max_chars: int, max_bytes: int) -> int:
    """Return the end of the longest piece from `start` that is within both limits."""
    stop = min(len(text), start + max_chars) if max_chars else len(text)
    if not max_bytes or (stop - start) * 4 <= max_bytes:
        return stop
    data = text[start : min(stop, start + max_bytes)].encode("utf-8", "surrogatepass")
    if len(data) <= max_bytes:
        return min(stop, start + max_bytes)
    head = data[:max_bytes]
    # Drop the first bytes of a character that does not fit completely.
    while head and (data[len(head)] & 0xC0) == 0x80:
        head = head[:-1]
    return start + max(1, len(head.decode("utf-8", "surrogatepass")))


def _best_cut(text: str, start: int, stop: int, kept: Sequence[tuple[int, int]]) -> int:
    """Return the best place for a cut in the second half of the piece from `start` to `stop`."""
    least = start + max(1, (stop - start) // 2)
    # White space just behind the limit does not count: it is dropped at the cut.
    end = stop + 1 if text[stop].isspace() else stop
    for pattern in _PLACES:
        found = [m.end() for m in pattern.finditer(text, least, min(len(text), end + 1)) if m.end() <= end]
        for cut in reversed(found):
            if _may_cut(text, cut, kept):
                return cut
    for cut in range(stop, start, -1):
        if _may_cut(text, cut, kept):
            return cut
    return stop


def _next_start(text: str, cut: int) -> int:
    """Return the start of the next piece: behind blanks and line ends, but before the indentation of its first line."""
    at = cut
    while at < len(text) and text[at].isspace():
        at += 1
    begun = max(text.rfind("\n", cut, at), text.rfind("\r", cut, at))
    if begun < 0 and cut and text[cut - 1] in "\r\n":
        begun = cut - 1
    return at if begun < 0 else begun + 1


def _may_cut(text: str, at: int, kept: Sequence[tuple[int, int]]) -> bool:
    if kept:
        near = kept[bisect_right(kept, (at, -1)) - 1]
        if near[0] < at < near[1]:
            return False
    return at >= len(text) or not joined(text, at)


def head(text: str, max_bytes: int) -> str:
    """Return the longest beginning of `text` in at most `max_bytes` bytes of UTF-8, cut between graphemes."""
    kept = len(text.encode()[: max(max_bytes, 0)].decode("utf-8", "ignore"))
    while 0 < kept < len(text) and joined(text, kept):
        kept -= 1
    return text[:kept]


def joined(text: str, at: int) -> bool:
    """Whether the characters around `at` belong to one grapheme (after UAX #29)."""
    before, after = text[at - 1], text[at]
    if before < "\u0300" and after < "\u0300":
        return before == "\r" and after == "\n"
    return (
        unicodedata.category(after) in _KEEPS_WITH
        or after in (_JOINER, "\u200c")
        or before == _JOINER
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= after <= "\U000e007f"  # tags of flags
        or "\uff9e" <= after <= "\uff9f"
        or _within_flag(text, at)
        or _within_syllable(before, after)
    )


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _within_flag(text: str, at: int) -> bool:
    """Whether `at` is inside a flag, which is a pair of regional letters."""
    if not (_is_regional(text[at]) and _is_regional(text[at - 1])):
        return False
    count = 0
    while count < at and _is_regional(text[at - 1 - count]):
        count += 1
    return count % 2 == 1


def _within_syllable(before: str, after: str) -> bool:
    """Whether both are letters of one Korean syllable: consonant and vowel, or either with a final consonant."""
    vowel, final = "\u1160" <= after <= "\u11a7", "\u11a8" <= after <= "\u11ff"
    leads = "\u1100" <= before <= "\u115f"
    syllable = "\uac00" <= before <= "\ud7a3"
    open_syllable = syllable and (ord(before) - 0xAC00) % 28 == 0
    if "\u1100" <= after <= "\u115f" or "\uac00" <= after <= "\ud7a3":
        return leads
    if vowel:
        return leads or open_syllable or "\u1160" <= before <= "\u11a7"
    return final and (syllable or "\u1160" <= before <= "\u11ff")
