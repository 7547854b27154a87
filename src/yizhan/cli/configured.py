"""The configuration and the store of the command that runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yizhan.config.reading import Config
    from yizhan.config.store_choice import StoreChoice
    from yizhan.errors import ConfigError


@dataclass
class Before:
    """The options before the command, and the configuration that they choose, which is read once."""

    store: Path | None = None
    file: Path | None = None
    _config: Config | None = None

    @property
    def config(self) -> Config:
        if self._config is None:
            from yizhan.config.reading import read_config

            self._config = read_config(os.environ, file=self.file)
        return self._config


_before = Before()


def begin(store: Path | None, file: Path | None) -> Config:
    """Read the configuration for the next command.

    Raises:
        ConfigError: it is wrong.
    """
    global _before  # noqa: PLW0603 - one command runs at a time
    _before = Before(store, file)
    return _before.config


def config() -> Config:
    """Return the configuration of this command."""
    return _before.config


def before() -> Before:
    """Return the options before this command."""
    return _before


def store_choice(option: Path | None) -> StoreChoice:
    """Return the store of this command. `option`: `--store` after the command, which wins over the one before it."""
    from yizhan.config.store_choice import choose_store

    return choose_store(option or _before.store, os.environ, _before.config)


def no_store(store: Path) -> ConfigError:
    """Return the error for a store that does not exist."""
    from yizhan.config import store_choice as choices

    choice = choices.choose_store(_before.store, os.environ, _before.config)
    if choice.path != store:
        choice = choices.StoreChoice(store, "--store")
    return choices.no_store(choice, _before.config)
