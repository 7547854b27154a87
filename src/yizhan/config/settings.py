"""Every setting with its section, type and default. docs/configuration.md has the same table, made from here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from msgspec import Struct

from yizhan.config.values import FOREVER, Size, Span
from yizhan.model.secret import Secret

Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical", "off"]
Format: TypeAlias = Literal["text", "json"]
DAY = 86400.0


class StoreSettings(Struct, frozen=True):
    path: Path | None = None
    """The store's folder, where no option or variable names one; relative to the file that names it."""
    key: Annotated[str, Secret()] = ""
    """The store's key, base64 of 32 bytes, instead of the file `key` in the store."""


class LogSettings(Struct, frozen=True):
    level: Level = "off"
    """Least level that is written to standard error. `yizhan run` writes from `info` on unless this says otherwise."""
    format: Format = "text"
    """`text` for people, `json` for programs: one object on each line."""


class KeepSettings(Struct, frozen=True):
    deliveries: Span = Span(180 * DAY)
    """Time that a settled delivery is kept, with its message and its idempotency key."""
    attempts: Span = Span(30 * DAY)
    """Time that failed attempts of settled deliveries are kept."""
    events: Span = Span(30 * DAY)
    """Time that received events are kept. An event that a platform delivers again must still be known."""
    media: Span = FOREVER
    """Time that media are kept after their last use. Media that a waiting delivery needs always stay."""


class MediaSettings(Struct, frozen=True):
    allow: tuple[str, ...] = ()
    """Hosts, addresses and networks that are not public but may be downloaded from."""
    folders: tuple[Path, ...] | None = None
    """Folders below which files may be read; all if this is not set."""
    max_bytes: Size | None = None
    """Most bytes of one file; no limit if this is not set."""


class RunSettings(Struct, frozen=True):
    host: str = "127.0.0.1"
    """Address on which `yizhan run` answers for its health."""
    port: int = 8790
    """Port of that address; 0 takes a free one."""


class Settings(Struct, frozen=True):
    store: StoreSettings = StoreSettings()
    log: LogSettings = LogSettings()
    keep: KeepSettings = KeepSettings()
    media: MediaSettings = MediaSettings()
    run: RunSettings = RunSettings()


RELOADED = ("log", "keep")
"""Sections that a running service reads again on SIGHUP; changes of the others need a restart."""
