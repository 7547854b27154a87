"""Filling a world from a file: the default one, or one that the user brings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from yizhan.errors import ConfigError, did_you_mean
from yizhan.world.world import World

DEFAULT = Path(__file__).with_name("default.toml")


class PersonEntry(Struct, forbid_unknown_fields=True, omit_defaults=True):
    id: str
    name: str = ""
    remark: str = ""
    active_allowed: bool = True
    friends: bool = True


class GroupEntry(Struct, forbid_unknown_fields=True, omit_defaults=True):
    id: str
    name: str = ""
    kind: Literal["group", "channel"] = "group"
    members: list[str] = []
    owner: str = ""
    muted: bool = False
    active_allowed: bool = True


class NetworkEntry(Struct, forbid_unknown_fields=True):
    people: list[PersonEntry] = []
    groups: list[GroupEntry] = []


class WorldFile(Struct, forbid_unknown_fields=True):
    qq: NetworkEntry = msgspec.field(default_factory=NetworkEntry)
    wechat: NetworkEntry = msgspec.field(default_factory=NetworkEntry)
    wecom: NetworkEntry = msgspec.field(default_factory=NetworkEntry)


def populate(world: World, file: Path | None = None) -> None:
    """Put the people and groups of `file` (the default world if None) into `world`.

    Raises:
        ConfigError: the file cannot be read or does not have the documented shape.
    """
    path = file or DEFAULT
    document = read_world(path)
    for name, entry in (("qq", document.qq), ("wechat", document.wechat), ("wecom", document.wecom)):
        _check(path, name, entry)
        network = world.network(name)
        for person in entry.people:
            network.add_person(**msgspec.structs.asdict(person))
        for group in entry.groups:
            network.add_group(**msgspec.structs.asdict(group))


def read_world(path: Path = DEFAULT) -> WorldFile:
    """Read a world file.

    Raises:
        ConfigError: it cannot be read or does not have the documented shape.
    """
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), WorldFile)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not a world file: {error}. Compare it with the default: {DEFAULT.name}.") from error


def _check(path: Path, network: str, entry: NetworkEntry) -> None:
    people = {person.id for person in entry.people}
    for kind, ids in (("people", [p.id for p in entry.people]), ("groups", [g.id for g in entry.groups])):
        twice = next((id for id in ids if ids.count(id) > 1), None) if len(set(ids)) < len(ids) else None
        if twice is not None:
            raise ConfigError(f"{path}: {network}.{kind} has '{twice}' twice; ids are unique within a network.")
    for group in entry.groups:
        stranger = next((id for id in (*group.members, group.owner) if id and id not in people), None)
        if stranger is not None:
            raise ConfigError(
                f"{path}: the group '{group.id}' names '{stranger}', who is not in {network}.people."
                f"{did_you_mean(stranger, people)}"
            )
