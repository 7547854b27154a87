"""Accounts: their settings, checked and stored, and those in use with adapter and conversation contexts."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import msgspec

from yizhan.accounts.shared_media import SharedMedia
from yizhan.accounts.tables import AccountTable
from yizhan.errors import ConfigError, UnknownAccount, did_you_mean
from yizhan.model import Clock, Target, check_account_name, is_account_name
from yizhan.platforms.adapter import AccountContext, Adapter
from yizhan.platforms.spec import AccountSettings, Platform, platform_named
from yizhan.wire.words import explain

if TYPE_CHECKING:
    from yizhan.media.library import Library
    from yizhan.media.variants import Variants

SAME_IDENTITY = frozenset({"rules", "rules_profile", "proxy"})
"""Settings that change neither identity nor address of an account: its uploads stay good."""


class Change(Enum):
    """How far an account's settings changed."""

    NONE = "none"
    LIMITS = "limits"
    IDENTITY = "identity"


@dataclass
class OpenAccount:
    """An account in use."""

    name: str
    settings: Mapping[str, Any] = field(repr=False)
    """As they were stored when it was opened."""
    adapter: Adapter
    context: AccountContext
    contexts: dict[Target, Mapping[str, Any]]
    """The context that the last event of each conversation left for answers."""

    @cached_property
    def identity(self) -> str:
        """A digest of name, secrets and addresses: a changed setting that is not only a limit makes another one."""
        settings = {key: self.settings[key] for key in sorted(self.settings) if key not in SAME_IDENTITY}
        return hashlib.blake2b(msgspec.json.encode([self.name, settings]), digest_size=12).hexdigest()


class ContextReader(Protocol):
    """The store of conversation contexts."""

    async def contexts(self, account: str) -> Mapping[Target, Mapping[str, Any]]:
        """Return the context of every conversation of `account`."""


class Accounts:
    """Every account of a store; each is opened when it is first used, and stays open."""

    def __init__(
        self,
        table: AccountTable,
        contexts: ContextReader,
        library: Library,
        variants: Variants,
        share: SharedMedia,
        clock: Clock,
    ) -> None:
        self._table = table
        self._contexts = contexts
        self._library = library
        self._variants = variants
        self._share = share
        self._clock = clock
        self._used: dict[str, OpenAccount] = {}
        self._opening = asyncio.Lock()

    async def put(self, name: str, settings: Mapping[str, Any]) -> Change:
        """Check and store settings; returns how far they change.

        Raises:
            ConfigError: no such platform, or a setting is unknown, missing or of the wrong kind.
        """
        check_account_name(name)
        after = _checked(name, settings, platform_named(name.partition(".")[0]))
        before = await self._table.get(name)
        if before != after:
            await self._table.put(name, after, self._clock.now())
        return _change(before or {}, after)

    async def changed(self, name: str) -> Change:
        """Return how far another process has changed `name` since it was opened here."""
        opened = self._used.get(name)
        return Change.NONE if opened is None else _change(opened.settings, await self._table.get(name) or {})

    async def remove(self, name: str) -> bool:
        """Remove an account with its stored state; False if there was none."""
        return is_account_name(name) and await self._table.remove(name)

    async def names(self) -> list[str]:
        return await self._table.names()

    async def settings(self, name: str) -> dict[str, Any]:
        """Return an account's settings as they are stored, secrets among them.

        Raises:
            UnknownAccount: there is none of that name.
        """
        settings = await self._table.get(name) if is_account_name(name) else None
        if settings is None:
            raise await self._unknown(name)
        return dict(settings)

    async def shown(self) -> dict[str, dict[str, Any]]:
        """Return every account's settings by name, secrets masked."""
        shown: dict[str, dict[str, Any]] = {}
        for name, settings in (await self._table.all()).items():
            hidden = platform_named(name.partition(".")[0]).secrets
            shown[name] = {k: "***" if k in hidden and v else v for k, v in settings.items()}
        return shown

    async def use(self, name: str) -> OpenAccount:
        """Return the account, opened.

        Raises:
            UnknownAccount: there is none of that name; the text names close ones.
        """
        async with self._opening:
            if name in self._used:
                return self._used[name]
            settings = await self._table.get(name) if is_account_name(name) else None
            if settings is None:
                raise await self._unknown(name)
            opened = self._used[name] = await self._open(name, settings)
            return opened

    async def _unknown(self, name: str) -> UnknownAccount:
        shown = name if is_account_name(name) else f"{name!a}".strip("'")
        known = await self._table.names()
        return UnknownAccount(
            f"There is no account '{shown}'.{did_you_mean(shown, known)} "
            f"Known: {', '.join(known) or 'none yet'}. Add it: yizhan account add {shown} …"
        )

    def used(self, name: str) -> OpenAccount | None:
        """Return the account if it is open."""
        return self._used.get(name)

    def all_used(self) -> Iterable[OpenAccount]:
        return self._used.values()

    async def detach(self, name: str) -> OpenAccount | None:
        """Take the account out of those in use, once no other is being opened, and return it for closing."""
        async with self._opening:
            return self.detach_nowait(name)

    def detach_nowait(self, name: str) -> OpenAccount | None:
        return self._used.pop(name, None)

    async def _open(self, name: str, settings: Mapping[str, Any]) -> OpenAccount:
        platform = platform_named(name.partition(".")[0])
        checked = _converted(name, settings, platform)
        contexts: dict[Target, Mapping[str, Any]] = dict(await self._contexts.contexts(name))
        context = AccountContext(
            name=name,
            settings=checked,
            clock=self._clock,
            state_store=await self._table.state_store(name),
            rules=platform.rules(checked.rules_profile or None, checked.rules),
            open_media=self._library.open,
            context_of=lambda target: contexts.get(target, {}),
            variant=self._variants.variant,
            share=self._share.address,
            title=platform.title,
        )
        adapter = platform.load_adapter()(context)
        return OpenAccount(name, settings, adapter, context, contexts)


def _change(before: Mapping[str, Any], after: Mapping[str, Any]) -> Change:
    changed = {key for key in {*before, *after} if key not in before or before[key] != after.get(key)}
    if not changed:
        return Change.NONE
    return Change.LIMITS if changed <= SAME_IDENTITY else Change.IDENTITY


def _checked(name: str, settings: Mapping[str, Any], platform: Platform) -> dict[str, Any]:
    known = {field.encode_name for field in msgspec.structs.fields(platform.settings)}
    for setting in settings:
        if setting not in known:
            raise ConfigError(
                f"{name}: there is no setting '{setting}'.{did_you_mean(setting, known)} "
                f"Known: {', '.join(sorted(known))}."
            )
    checked = _converted(name, settings, platform)
    platform.rules(checked.rules_profile or None, checked.rules)
    plain: dict[str, Any] = msgspec.to_builtins(checked)
    for setting, value in plain.items():
        if setting in platform.addresses and value and not _is_address(value):
            raise ConfigError(
                f"{name}: {setting} is '{value}', which is not an address. Expected scheme and host, such as "
                "http://127.0.0.1:8791."
            )
    return plain


def _converted(name: str, settings: Mapping[str, Any], platform: Platform) -> AccountSettings:
    try:
        return msgspec.convert(settings, platform.settings, strict=False)
    except msgspec.ValidationError as error:
        known = sorted(field.encode_name for field in msgspec.structs.fields(platform.settings))
        raise ConfigError(f"{name}: {explain(error)}. Known settings: {', '.join(known)}.") from error


def _is_address(url: str) -> bool:
    try:
        return "://" in url and bool(urlsplit(url).hostname)
    except ValueError:
        return False
