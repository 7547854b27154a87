"""Reads the configuration: the file, the environment and the options of a command, each over the one before it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

from msgspec import Struct
from msgspec.structs import fields, replace

from yizhan.config.settings import Settings
from yizhan.config.values import read_value
from yizhan.errors import ConfigError, did_you_mean
from yizhan.model.secret import secret_fields

PREFIX = "YIZHAN_"
FILE_NAME = "yizhan.toml"
FILE_VARIABLE = "YIZHAN_CONFIG"
SHORT = {"YIZHAN_LOG": "log.level", "YIZHAN_KEY": "store.key"}
"""Short variables for a setting; the long one wins."""
FROM_FILE = "_file"
"""Ending of the key that names a file with a secret instead of the secret itself."""


@dataclass(frozen=True, slots=True)
class Given:
    """One value as it was given, and where: a file with its line, a variable, or an option."""

    key: str
    raw: object
    origin: str
    folder: Path | None = None
    """The folder that relative paths start from; None for the current one."""


@dataclass(frozen=True, slots=True)
class Config:
    """The settings, and the origin of each by its full name, such as `log.level`."""

    settings: Settings = field(default_factory=Settings)
    origins: Mapping[str, str] = field(default_factory=dict)
    file: Path = Path(FILE_NAME)

    def origin(self, key: str) -> str:
        return self.origins.get(key, "default")


def read_config(
    environment: Mapping[str, str], *, file: Path | None = None, options: Mapping[str, object] | None = None
) -> Config:
    """Return the configuration of `file` (YIZHAN_CONFIG or `./yizhan.toml` if None), `environment` and `options`.

    `options`: values by full name, such as `run.port`, with the option's own name as origin (`--port`).

    Raises:
        ConfigError: a file cannot be read, or a setting is unknown or malformed; says where, and what was expected.
    """
    path = file or Path(environment.get(FILE_VARIABLE) or FILE_NAME)
    is_named = file is not None or bool(environment.get(FILE_VARIABLE))
    given = [*_in_file(path, is_named), *_in_environment(environment), *_in_options(options or {})]
    settings, origins = Settings(), {}
    for one in given:
        key, value, origin = _read(one)
        settings = _with(settings, key, value)
        origins[key] = origin
    return Config(settings, origins, path.absolute())


def values(settings: Settings) -> dict[str, Any]:
    """Return every setting by its full name; secrets masked."""
    found = {}
    for section in fields(Settings):
        struct = getattr(settings, section.name)
        hidden = set(secret_fields(type(struct)))
        for one in fields(struct):
            value = getattr(struct, one.name)
            found[f"{section.name}.{one.name}"] = "***" if one.name in hidden and value else value
    return found


# --- the three sources ---


def _in_file(path: Path, is_named: bool) -> Iterable[Given]:
    if not is_named and not path.exists():
        return
    try:
        text = path.read_text("utf-8")
        sections = tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path.absolute()} cannot be read: {_words(error)}. Correct the path or its rights."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.absolute()} is not TOML: {error}. Expected sections such as [log].") from error
    for section, content in sections.items():
        if not isinstance(content, dict):
            raise ConfigError(
                f"{_place(path, text, '', section)}: '{section}' stands outside a section. "
                f"Put it below one of {_headers()}."
            )
        if section not in _sections():
            raise _unknown_section(_place(path, text, section, ""), section)
        for key, raw in content.items():
            yield Given(f"{section}.{key}", raw, _place(path, text, section, key), path.absolute().parent)


def _in_environment(environment: Mapping[str, str]) -> Iterable[Given]:
    for name, key in SHORT.items():
        if environment.get(name):
            yield Given(key, environment[name], name)
    for name, raw in sorted(environment.items()):
        section, divider, key = name.removeprefix(PREFIX).lower().partition("__")
        if not name.startswith(PREFIX) or not divider:
            continue
        if section not in _sections():
            raise _unknown_section(name, section)
        yield Given(f"{section}.{key}", raw, name)


def _in_options(options: Mapping[str, object]) -> Iterable[Given]:
    for key, raw in options.items():
        if raw is not None:
            yield Given(key, raw, f"--{key.partition('.')[2].replace('_', '-')}")


# --- one value ---


def _read(given: Given) -> tuple[str, Any, str]:
    """Return the full name of a setting, its value, and where that was given."""
    section, _, name = given.key.partition(".")
    struct = _sections()[section]
    hints = get_type_hints(struct, include_extras=True)
    secrets = set(secret_fields(struct))
    known = [*hints, *(name + FROM_FILE for name in secrets)]
    if name not in known:
        raise ConfigError(
            f"{given.origin}: there is no setting '{given.key}'.{did_you_mean(name, known)} "
            f"Known in [{section}]: {', '.join(sorted(known))}."
        )
    if name not in hints:
        plain = name.removesuffix(FROM_FILE)
        return f"{section}.{plain}", _secret_in(given), f"{given.origin} ({given.raw})"
    shown = "the value" if name in secrets else repr(given.raw)
    try:
        value = read_value(hints[name], given.raw)
    except ValueError as error:
        raise ConfigError(f"{given.origin}: {given.key} is {shown}. Expected {error}.") from error
    return given.key, _absolute(value, given.folder), given.origin


def _secret_in(given: Given) -> str:
    file = (given.folder or Path()) / Path(str(given.raw)).expanduser()
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{given.origin}: {given.key} names {file.absolute()}, which cannot be read: {_words(error)}. "
            "Name a file that holds nothing but the secret."
        ) from error


def _absolute(value: Any, folder: Path | None) -> Any:
    if folder is None:
        return value
    if isinstance(value, tuple):
        return tuple(_absolute(one, folder) for one in value)
    return folder / value if isinstance(value, Path) else value


def _with(settings: Settings, key: str, value: Any) -> Settings:
    section, _, name = key.partition(".")
    return replace(settings, **{section: replace(getattr(settings, section), **{name: value})})


# --- words ---


def _sections() -> dict[str, type[Struct]]:
    return get_type_hints(Settings)


def _headers() -> str:
    return ", ".join(f"[{name}]" for name in _sections())


def _unknown_section(origin: str, section: str) -> ConfigError:
    return ConfigError(
        f"{origin}: there is no section [{section}].{did_you_mean(section, _sections())} Known: {_headers()}."
    )


def _place(path: Path, text: str, section: str, key: str) -> str:
    """Return the file with the line of a key, or of a section's head where `key` is empty."""
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        if head := re.match(r"\s*\[\s*\"?([^\]\"]+?)\"?\s*\]", line):
            current = head[1]
            if not key and current == section:
                return f"{path.absolute()}, line {number}"
        found = re.match(r"\s*\"?([\w-]+)\"?\s*=", line)
        if key and found and current == section and found[1] == key:
            return f"{path.absolute()}, line {number}"
    return str(path.absolute())


def _words(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8"
