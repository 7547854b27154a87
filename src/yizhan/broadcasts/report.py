"""The report of a broadcast: totals as values, and a row per recipient for spreadsheets and programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.broadcasts.rows import RecipientState
from yizhan.broadcasts.states import BroadcastState, PauseReason
from yizhan.model import State

BOM = "\ufeff"
"""Lets spreadsheets read the file as UTF-8."""
_COLUMNS = (
    "ord",
    "target",
    "name",
    "state",
    "delivery",
    "platform_ids",
    "parts_done",
    "error",
    "code",
    "detail",
    "sent_at",
    "settled_at",
    "recall",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ErrorCount(Struct, frozen=True):
    account: str
    state: str
    error: str
    """Name of the error class; empty where there was none."""
    code: str
    """The platform's own code."""
    count: int


class BroadcastReport(Struct, frozen=True):
    """A broadcast in numbers. Times in seconds since the epoch, 0 where it has not happened."""

    id: str
    name: str
    state: BroadcastState
    reason: PauseReason | None
    detail: str
    total: int
    refused: int
    counts: Mapping[str, int]
    """By state, `waiting` and `refused` among them; their sum is `total`."""
    by_account: Mapping[str, Mapping[State, int]]
    errors: Sequence[ErrorCount]
    """The most frequent first."""
    timeline: Sequence[tuple[int, int]]
    """Arrivals by minute: its beginning, and how many."""
    recall: Mapping[str, int]
    """Recalls that failed, by reason."""
    created_at: float
    started_at: float
    ended_at: float


def csv_head() -> str:
    return BOM + _line(_COLUMNS)


def csv_line(row: RecipientState) -> str:
    """Return one line of the export. Text that a spreadsheet would run as a formula gets an apostrophe in front."""
    values: dict[str, Any] = {name: getattr(row, name) for name in _COLUMNS}
    values["platform_ids"] = " ".join(one.id for one in row.platform_ids)
    return _line([_defused(value) for value in values.values()])


def ndjson_line(row: RecipientState) -> bytes:
    return msgspec.json.encode(row) + b"\n"


def _defused(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _line(values: Sequence[object]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow(values)
    return out.getvalue()
