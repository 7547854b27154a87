"""The declaration of a platform, and the registry of all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from yizhan.errors import ConfigError, did_you_mean
from yizhan.model.secret import Secret, secret_fields
from yizhan.platforms.rules import Rules

if TYPE_CHECKING:
    from yizhan.platforms.adapter import AccountContext, Adapter
    from yizhan.platforms.server import Server, ServerOptions
    from yizhan.world import World

ENTRY_POINTS = "yizhan.platforms"

log = logging.getLogger(__name__)


MEDIA = frozenset({"image", "video", "voice", "file", "sticker"})
"""Names of the segments that have media."""
CARDS = frozenset({"link", "mini_program", "channel_video", "contact_card"})
"""Names of the segments that WeChat shows as cards."""


@dataclass(frozen=True)
class KindCapabilities:
    """The segments that one kind of target can be sent, and which of them may share one part."""

    segments: frozenset[str]
    caption: bool = False
    """Text and one picture may travel in one part."""
    note: str = ""
    only: str = ""
    """The id of the only target of this kind; empty where there may be many."""


Proxy: TypeAlias = Annotated[str, Meta(pattern=r"^(https?://\S+)?$"), Secret()]
"""For account settings: the address of an HTTP proxy, `http://user:password@host:3128`; empty for none."""


class AddressMark:
    """Marks a setting as the address of a service, scheme and host, which is checked when the account is stored."""


Address: TypeAlias = Annotated[str, AddressMark()]
"""For account settings: the address of a service; empty for the default."""


class AccountSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the account settings of every platform.

    Secret fields are marked: `token: Annotated[str, Secret()]`. Addresses have the type `Address`; a subclass with
    another default for `base_url` need not repeat it.
    """

    base_url: Address = ""
    """Scheme and host of the platform; empty: the vendor's own."""
    rules_profile: str = ""
    """Dated profile of limits; the newest if empty."""
    rules: dict[str, bool | int | float | str] = {}
    """Single limits that differ for this account, by dotted name."""

    @property
    def api_base(self) -> str:
        """The address of the calls: `base_url`, or its default if it was set to nothing; no slash at the end."""
        defaults = {field.name: field.default for field in msgspec.structs.fields(self)}
        return (self.base_url or str(defaults["base_url"])).rstrip("/")

    def __repr__(self) -> str:
        hidden = set(secret_fields(type(self)))
        shown = (
            f"{name}={'***' if name in hidden and value else repr(value)}"
            for name, value in msgspec.structs.asdict(self).items()
        )
        return f"{type(self).__name__}({', '.join(shown)})"


class ProxiedSettings(AccountSettings, frozen=True, kw_only=True):
    """Base of the account settings of platforms out on the internet, which may be reached through a proxy."""

    proxy: Proxy = ""
    """An HTTP proxy that everything of this account goes through, such as `http://host:3128`."""


@dataclass(frozen=True)
class Platform:
    """The declaration of one platform; one per folder, registered under the entry-point group `yizhan.platforms`."""

    name: str
    title: str
    network: Literal["qq", "wechat", "wecom"]
    settings: type[AccountSettings]
    """Account settings; every field documented, secret ones marked."""
    capabilities: Mapping[str, KindCapabilities]
    """By kind of target."""
    adapter: str
    """`module:Class`, made as `Class(context: AccountContext)`; loaded when an account is opened."""
    server: str
    """`module:Class`, made as `Class(world, rules, options)`; loaded when a sandbox is opened."""
    folder: Path
    needs_login: bool = False
    """Whether a person must scan a code before the account can be used."""
    listens: bool = False
    """Whether received messages open windows for sending, so that an account listens as soon as it sends."""
    calls: str = ""
    """`module` whose Endpoint values are all of this platform's calls."""
    sandbox_settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of an account that the sandbox knows from the start, apart from `base_url`."""
    people_are: Literal["ids", "names", "known after login"] = "ids"
    """How its targets call the people and groups of the sandbox's world."""

    def load_adapter(self) -> Callable[[AccountContext], Adapter]:
        return _load(self.adapter)  # type: ignore[no-any-return]

    def load_server(self) -> Callable[[World, Rules, ServerOptions], Server]:
        return _load(self.server)  # type: ignore[no-any-return]

    @cached_property
    def secrets(self) -> frozenset[str]:
        """The names of the secret settings."""
        return frozenset(secret_fields(self.settings))

    @cached_property
    def addresses(self) -> frozenset[str]:
        """The names of the settings that are addresses."""
        return frozenset(_address_fields(self.settings))

    @cached_property
    def rules_file(self) -> Path:
        return self.folder / "rules.toml"

    def rules(self, profile: str | None = None, overrides: Mapping[str, Any] | None = None) -> Rules:
        """Return the limits of this platform under a dated profile (the newest if None)."""
        return Rules.load(self.rules_file, profile, overrides)


def _address_fields(settings: type[AccountSettings]) -> Iterator[str]:
    for owner in settings.__mro__:
        for name, hint in get_type_hints(owner, include_extras=True).items():
            if any(isinstance(mark, AddressMark) for mark in get_args(hint)[1:]):
                yield name


def _load(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


@cache
def platforms() -> Mapping[str, Platform]:
    """Return every registered platform by name, ours and those of other packages."""
    found: dict[str, Platform] = {}
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            found[entry.name] = entry.load()
        except (ImportError, AttributeError) as error:
            # One package that is broken, or not finished, must not take the others along.
            log.warning("platform left out", extra={"platform": entry.name, "reason": str(error)})
    return dict(sorted(found.items()))


def platform_named(name: str) -> Platform:
    """Return the platform of that name.

    Raises:
        ConfigError: there is none; the text names close ones.
    """
    known = platforms()
    if name not in known:
        raise ConfigError(
            f"There is no platform '{name}'.{did_you_mean(name, known)} Known: {', '.join(known) or 'none'}."
        )
    return known[name]
