"""The mark of a field whose value is never shown: `token: Annotated[str, Secret()]`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Struct


class Secret:
    """Marks a struct's field as secret: it is masked in logs, recordings, errors and lists of settings."""


class Mark:
    """Base of the marks that say where a field travels. `name` overrides the field's own name."""

    def __init__(self, name: str | None = None, *, secret: bool = False) -> None:
        self.name = name
        self.secret = secret


def is_marked_secret(hint: object) -> bool:
    """Whether a type hint, read with its extras, carries the mark or one with `secret=True`."""
    if get_origin(hint) is not Annotated:
        return False
    marks = get_args(hint)[1:]
    return any(m is Secret or isinstance(m, Secret) or (isinstance(m, Mark) and m.secret) for m in marks)


def secret_fields(struct: type[Struct]) -> Iterator[str]:
    """Yield the wire names of `struct`'s own secret fields."""
    encoded = {field.name: field.encode_name for field in msgspec.structs.fields(struct)}
    for name, hint in get_type_hints(struct, include_extras=True).items():
        if name in encoded and is_marked_secret(hint):
            yield _wire_name(hint) or encoded[name]


def secret_names(struct: type[Struct], seen: set[type[Struct]] | None = None) -> Iterator[str]:
    """Yield the wire names of the secret fields of `struct` and of every struct inside it."""
    seen = set() if seen is None else seen
    if struct in seen:
        return
    seen.add(struct)
    yield from secret_fields(struct)
    for hint in get_type_hints(struct).values():
        for inner in structs_in(hint):
            yield from secret_names(inner, seen)


def structs_in(hint: object) -> Iterator[type[Struct]]:
    """Yield the structs that a type hint names: `Letter` of `list[Letter] | None`."""
    if isinstance(hint, type) and issubclass(hint, Struct):
        yield hint
    for argument in get_args(hint):
        yield from structs_in(argument)


def _wire_name(hint: object) -> str:
    return next((mark.name for mark in get_args(hint)[1:] if isinstance(mark, Mark) and mark.name), "")
