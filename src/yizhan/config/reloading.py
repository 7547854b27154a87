"""The configuration of a running service, read again when it asks for that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from yizhan.config.reading import Config, read_config, values
from yizhan.config.settings import RELOADED


@dataclass(frozen=True, slots=True)
class Reloaded:
    """Full names of the settings that changed: in effect now, and those that need a restart."""

    changed: tuple[str, ...]
    restart: tuple[str, ...]


class LiveConfig:
    """The configuration in effect. `reload` reads it again; only `[log]` and `[keep]` change while a service runs."""

    def __init__(
        self, environment: Mapping[str, str], *, file: Path | None = None, options: Mapping[str, object] | None = None
    ) -> None:
        self._read: Callable[[], Config] = lambda: read_config(environment, file=file, options=options)
        self.config = self._read()

    def reload(self) -> Reloaded:
        """Read the configuration again and return the changes.

        Raises:
            ConfigError: it is wrong now; the settings in effect stay.
        """
        before, new = self.config, self._read()
        settings = replace(before.settings, log=new.settings.log, keep=new.settings.keep)
        # Unmasked secrets are compared by their structs: `values` would show two of them as equal.
        differ = [
            key
            for key, value in values(new.settings).items()
            if values(before.settings)[key] != value or _secret_differs(before, new, key)
        ]
        self.config = Config(settings, {**before.origins, **_of(RELOADED, new.origins)}, new.file)
        return Reloaded(
            tuple(key for key in differ if key.partition(".")[0] in RELOADED),
            tuple(key for key in differ if key.partition(".")[0] not in RELOADED),
        )


def _of(sections: tuple[str, ...], origins: Mapping[str, str]) -> dict[str, str]:
    return {key: origin for key, origin in origins.items() if key.partition(".")[0] in sections}


def _secret_differs(before: Config, new: Config, key: str) -> bool:
    return key == "store.key" and before.settings.store.key != new.settings.store.key
