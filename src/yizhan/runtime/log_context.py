"""Fields that every log line within a block carries, such as the account and the delivery."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_FIELDS: ContextVar[Mapping[str, object]] = ContextVar("yizhan_log_fields", default={})  # noqa: B039 - never changed


@contextmanager
def log_fields(**values: object) -> Iterator[None]:
    """Add `values` to every line that is logged within this block, by this task and those it starts."""
    token = _FIELDS.set({**_FIELDS.get(), **values})
    try:
        yield
    finally:
        _FIELDS.reset(token)


def current_fields() -> Mapping[str, object]:
    return _FIELDS.get()
