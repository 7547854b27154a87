"""A platform's limits as dated data: sizes, formats, windows, quotas. One file feeds client and sandbox alike.

The file:

    default = "2026-09"

    [profile."2026-09"]
    title = "API v2 as documented in September 2026"
    since = 2026-08-10
    limits = true                       # false lifts every quota and window
    passive.user = { seconds = 3600, count = 4 }

    [profile."2025-04"]
    base = "2026-09"                    # everything not named here is as there
    passive.user.count = 5
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yizhan.errors import ConfigError, did_you_mean


class Rules:
    """The numbers of one profile, by dotted name."""

    def __init__(self, source: str, profile: str, values: Mapping[str, Any], profiles: tuple[str, ...] = ()) -> None:
        self.source = source
        self.profile = profile
        self.profiles = profiles or (profile,)
        self._values = dict(values)

    @classmethod
    def load(cls, file: Path, profile: str | None = None, overrides: Mapping[str, Any] | None = None) -> Rules:
        """Read `file` and choose a profile (its default if None), then apply `overrides` by dotted name.

        Raises:
            ConfigError: no such profile, or an override of a number that does not exist.
        """
        document = tomllib.loads(file.read_text("utf-8"))
        tables: dict[str, Any] = document["profile"]
        chosen = profile or document["default"]
        if chosen not in tables:
            raise ConfigError(
                f"{file}: there is no profile '{chosen}'.{did_you_mean(chosen, tables)} Known: {', '.join(tables)}."
            )
        rules = cls(str(file), chosen, _with_base(tables, chosen), tuple(tables))
        return rules.overridden(overrides or {})

    def overridden(self, overrides: Mapping[str, Any]) -> Rules:
        """Return a copy with some numbers changed.

        Raises:
            ConfigError: a name does not exist, or the value is of another kind.
        """
        values = dict(self._values)
        for name, value in overrides.items():
            if name not in values:
                raise ConfigError(f"{self.source}: there is no rule '{name}'.{did_you_mean(name, values)}")
            old = values[name]
            fits = isinstance(value, type(old)) or {type(value), type(old)} <= {int, float}
            if not fits or (isinstance(value, bool) != isinstance(old, bool)):
                raise ConfigError(
                    f"{self.source}: rule '{name}' takes {type(old).__name__}, such as {old!r}, not {value!r}."
                )
            values[name] = value
        return Rules(self.source, self.profile, values, self.profiles)

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise ConfigError(
                f"{self.source}: profile '{self.profile}' has no rule '{name}'.{did_you_mean(name, self._values)}"
            ) from None

    def get(self, name: str, default: Any = None) -> Any:
        return self._values.get(name, default)

    def number(self, name: str) -> int:
        return int(self[name])

    def words(self, name: str) -> tuple[str, ...]:
        """A rule that lists words (formats, kinds)."""
        return tuple(self[name])

    @property
    def limited(self) -> bool:
        """Whether quotas and windows apply at all."""
        return bool(self._values.get("limits", True))

    def all(self) -> dict[str, Any]:
        """Every rule by dotted name."""
        return dict(self._values)


def _with_base(tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = tables[name]
    values = _with_base(tables, table["base"]) if "base" in table else {}
    values.update(_flat({k: v for k, v in table.items() if k not in ("base", "title", "since")}))
    return values


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            values.update(_flat(value, f"{prefix}{key}."))
        else:
            values[f"{prefix}{key}"] = value
    return values
