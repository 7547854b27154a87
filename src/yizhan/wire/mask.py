"""Masks secrets in logs, recordings and errors.

A platform marks its secret fields (`Annotated[str, Secret()]`, `Query(secret=True)`); every endpoint that is declared
adds those of its request and response. `declare_secrets` adds names that no endpoint's struct has: cookies,
attributes of XML, fields of pushed events.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from yizhan.model.secret import secret_names, structs_in

_ALWAYS = (
    "access_token",
    "api_key",
    "authorization",
    "client_secret",
    "cookie",
    "password",
    "proxy-authorization",
    "secret",
    "set-cookie",
    "token",
)
"""Names that are secret with every vendor."""
_SCHEME = re.compile(r"\b(Bearer|Bot|\w+Bot)\s+(?!\w*=)[A-Za-z0-9._~+/=-]{6,}")


class _Secrets:
    """Every secret name that has been declared, and the patterns made of them."""

    def __init__(self) -> None:
        self._names = set(_ALWAYS)
        self._structs: set[type[Struct]] = set()
        self._new: list[type[Struct]] = []
        self._shapes: list[re.Pattern[str]] = []
        self._compile()

    def add_names(self, names: tuple[str, ...]) -> None:
        wanted = {name.lower() for name in names}
        if not wanted <= self._names:
            self._names |= wanted
            self._compile()

    def add_struct(self, struct: type[Struct]) -> None:
        if struct not in self._structs:
            self._structs.add(struct)
            self._new.append(struct)

    def add_shape(self, pattern: str) -> None:
        self._shapes.append(re.compile(pattern))

    def has(self, name: str) -> bool:
        self._read_structs()
        return name.lower() in self._names

    def masked(self, text: str) -> str:
        self._read_structs()
        for shape in self._shapes:
            text = shape.sub(r"\1***", text)
        return self._element.sub(r"\1***", self._pair.sub(r"\1***", _SCHEME.sub(r"\1 ***", text)))

    def _read_structs(self) -> None:
        # At the first masking, not at import: the hints of a few hundred structs take a while to resolve.
        names: set[str] = set()
        while self._new:
            names.update(secret_names(self._new.pop()))
        self.add_names(tuple(names))

    def _compile(self) -> None:
        names = "|".join(re.escape(name) for name in sorted(self._names))
        self._pair = re.compile(
            rf"""((?:^|[^\w])["']?(?:{names})["']?\s*[:=]\s*["']?)([^"'&;,\s<>}}]+)""", re.IGNORECASE
        )
        self._element = re.compile(rf"(<(?:{names})>)[^<]+", re.IGNORECASE)


_SECRETS = _Secrets()


def declare_secrets(*names: str) -> None:
    """Mask the values of fields, headers, cookies and XML elements of these names, in any case."""
    _SECRETS.add_names(names)


def declare_secrets_of(*types: Any) -> None:
    """Mask the fields that are marked secret in these structs and in those inside them."""
    for type_ in types:
        for struct in structs_in(type_):
            _SECRETS.add_struct(struct)


def declare_secret_shape(pattern: str) -> None:
    """Mask text that matches `pattern`, except its first group, for secrets that are recognized by their form."""
    _SECRETS.add_shape(pattern)


def is_secret(name: str) -> bool:
    """Whether a field, header or cookie of that name is never to be shown."""
    return _SECRETS.has(name)


def mask_text(text: str) -> str:
    """Return `text` with the values of secret fields replaced by `***`."""
    return _SECRETS.masked(text)


def mask_value(value: Any) -> Any:
    """Return decoded JSON with the values of secret fields replaced by `***`."""
    if isinstance(value, dict):
        return {k: "***" if isinstance(k, str) and is_secret(k) and v else mask_value(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_value(item) for item in value]
    if isinstance(value, str) and ("?" in value or "<" in value):
        # Addresses and XML inside JSON carry secrets as well.
        return mask_text(value)
    return value
