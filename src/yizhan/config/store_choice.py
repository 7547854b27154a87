"""Which store a command uses, and the error where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yizhan.config.reading import Config
from yizhan.errors import ConfigError

DEFAULT_STORE = Path("yizhan-data")
STORE_VARIABLE = "YIZHAN_STORE"


@dataclass(frozen=True, slots=True)
class StoreChoice:
    path: Path
    named_by: str
    """The option, variable or file that names it; empty for the default."""


def choose_store(option: Path | None, environment: Mapping[str, str], config: Config) -> StoreChoice:
    """Return the store: `option`, YIZHAN_STORE, `./yizhan-data` if it exists, `[store] path`, else `./yizhan-data`."""
    if option is not None:
        return StoreChoice(option, "--store")
    if named := environment.get(STORE_VARIABLE):
        return StoreChoice(Path(named), STORE_VARIABLE)
    configured = config.settings.store.path
    if configured is None or DEFAULT_STORE.exists():
        return StoreChoice(DEFAULT_STORE, "")
    return StoreChoice(configured, f"[store] path ({config.origin('store.path')})")


def no_store(choice: StoreChoice, config: Config) -> ConfigError:
    """Return the error for a store that is not there: all places that were looked at, and how to begin one."""
    path = choice.path.absolute()
    begin = "Begin one by adding an account (yizhan account add qqbot.main …), or name another with --store."
    if choice.named_by:
        return ConfigError(f"There is no store at {path}, which {choice.named_by} names. {begin}")
    if config.file.exists():
        in_file = f"[store] path in {config.file} (not set)"
    else:
        in_file = f"[store] path in {config.file} (no such file)"
    looked = f"--store (not given), {STORE_VARIABLE} (not set), {path} (not there), {in_file}"
    return ConfigError(f"There is no store. Looked for: {looked}. {begin}")
