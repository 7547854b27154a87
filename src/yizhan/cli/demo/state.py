"""The state that the acts of a demo share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from yizhan.cli.demo.control import SandboxProcess
from yizhan.cli.demo.crowd import Crowd
from yizhan.cli.demo.folder import STORE
from yizhan.cli.demo.screen import Screen


@dataclass(slots=True)
class Life:
    """The lifetime of a sending process, in seconds since the epoch."""

    began: float
    ended: float


@dataclass(slots=True)
class Play:
    """The state that the acts share."""

    screen: Screen
    sandbox: SandboxProcess
    folder: Path
    crowds: Sequence[Crowd] = ()
    people: dict[str, list[str]] = field(default_factory=dict)
    """Ids by the crowd's key."""
    digests: tuple[str, ...] = ()
    """SHA-256 of the picture and of the book, which are parts 1 and 2 of the message."""
    sizes: tuple[int, ...] = ()
    lives: list[Life] = field(default_factory=list)
    """Runs of the sending process, until unknown deliveries were settled."""

    @property
    def store(self) -> Path:
        return self.folder / STORE

    @property
    def total(self) -> int:
        return sum(crowd.count for crowd in self.crowds)

    @property
    def targets(self) -> list[str]:
        return [f"{crowd.key}/{one}" for crowd in self.crowds for one in self.people.get(crowd.key, ())]
