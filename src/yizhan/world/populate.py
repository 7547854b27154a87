"""Filling a world from a file: the default one, or one that the user brings."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
from msgspec import Struct

from yizhan.errors import ConfigError
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
    kind: str = "group"
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


def populate(world: World, file: Path | None = None) -> None:
    """Put the people and groups of `file` (the default world if None) into `world`.

    Raises:
        ConfigError: the file cannot be read or does not have the documented shape.
    """
    path = file or DEFAULT
    try:
        document = msgspec.convert(tomllib.loads(path.read_text("utf-8")), WorldFile)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"{path}: not a world file: {error}. Compare it with the default: {DEFAULT.name}.") from error
    for name, entry in (("qq", document.qq), ("wechat", document.wechat)):
        network = world.network(name)
        for person in entry.people:
            network.add_person(**msgspec.structs.asdict(person))
        for group in entry.groups:
            network.add_group(**msgspec.structs.asdict(group))
