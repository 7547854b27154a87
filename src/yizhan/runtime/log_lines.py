"""Log lines: time, level, event, then account, delivery, endpoint and reason, as text or as JSON, secrets masked.

The rooms log through the standard library (`log.info("part sent", extra={…})`), so that a program which uses yizhan as
a library decides on its own handlers. structlog, imported here alone, writes the lines of the command line.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import MutableMapping
from typing import IO, Any

import structlog

from yizhan.runtime.log_context import current_fields
from yizhan.wire.mask import is_secret, mask_text

ALWAYS = ("account", "delivery", "endpoint", "reason")
"""Fields of every line in this order; empty in JSON, and left out of text, where nothing is known."""
_ROOM = "yizhan"
_OF_OTHER_HANDLERS = ("message", "asctime", "taskName")
"""Attributes that other handlers, or newer Pythons, leave in a record; none of them is a field of ours."""

Line = MutableMapping[str, Any]


def set_up_log(level: str, form: str, stream: IO[str] | None = None) -> None:
    """Write our lines from `level` on to `stream` (standard error if None); `form` is `text` or `json`.

    Other libraries' lines are written from `warning` on: at `debug` some of them write their requests.
    """
    stop_log()
    handler = LineHandler(stream)
    handler.setFormatter(_formatter(form))
    number = logging.CRITICAL + 1 if level == "off" else logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(max(number, logging.WARNING))
    logging.getLogger(_ROOM).setLevel(number)


def stop_log() -> None:
    """Write no more lines; handlers of others stay."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, LineHandler)]:
        root.removeHandler(handler)
        root.setLevel(logging.WARNING)
        logging.getLogger(_ROOM).setLevel(logging.NOTSET)


class LineHandler(logging.StreamHandler[IO[str]]):
    """Writes to its stream, or to what standard error is at that time."""

    def __init__(self, stream: IO[str] | None) -> None:
        super().__init__(stream or sys.stderr)
        self._given = stream

    def emit(self, record: logging.LogRecord) -> None:
        if self._given is None:
            self.stream = sys.stderr
        super().emit(record)


def _formatter(form: str) -> logging.Formatter:
    render = _json if form == "json" else _text
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=False, key="time"),
        ],
        processors=[
            _with_context,
            _with_reason,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _masked,
            render,
        ],
    )


def _with_context(_logger: Any, _method: str, line: Line) -> Line:
    for name in _OF_OTHER_HANDLERS:
        line.pop(name, None)
    for name, value in current_fields().items():
        line.setdefault(name, value)
    if isinstance(line.get("delivery"), int):
        line["delivery"] = f"d{line['delivery']}"
    return line


def _with_reason(_logger: Any, _method: str, line: Line) -> Line:
    """Give the reason its one name; that of an exception is its class and words."""
    for name in ("error", "why"):
        if name in line:
            line.setdefault("reason", line.pop(name))
    error = line.get("exc_info")
    if isinstance(error, tuple) and error[1] is not None:
        line.setdefault("reason", f"{type(error[1]).__name__}: {error[1]}")
    return line


def _masked(_logger: Any, _method: str, line: Line) -> Line:
    return {
        name: "***" if is_secret(name) and value else mask_text(value) if isinstance(value, str) else value
        for name, value in line.items()
    }


def _json(_logger: Any, _method: str, line: Line) -> str:
    head = {"time": line.pop("time"), "level": line.pop("level"), "event": line.pop("event")}
    fields = {name: line.pop(name, "") for name in ALWAYS}
    return json.dumps({**head, **fields, **line}, ensure_ascii=False, default=str)


def _text(_logger: Any, _method: str, line: Line) -> str:
    head = f"{line.pop('time')} {line.pop('level'):<8} {line.pop('event')}"
    trace = line.pop("exception", "")
    fields = {name: line.pop(name) for name in ALWAYS if name in line}
    words = [head, *(f"{name}={_quoted(value)}" for name, value in {**fields, **line}.items() if value != "")]
    return "  ".join(words) + (f"\n{trace}" if trace else "")


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' "\n=') else text
