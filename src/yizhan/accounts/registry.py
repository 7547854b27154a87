"""Accounts: their settings checked and stored, and those in use with adapter, budget and contexts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import msgspec

from yizhan.accounts.tables import AccountTable
from yizhan.errors import ConfigError, UnknownAccount, did_you_mean
from yizhan.model import Clock, Content, Media, Message, Target, Text, check_account_name, is_account_name
from yizhan.platforms.adapter import AccountContext, Adapter
from yizhan.platforms.spec import Platform, platform_named
from yizhan.receiving.event_log import EventTable
from yizhan.sending.outbox.outbox import Outbox
from yizhan.sending.quota import DAY, Budget

SAME_IDENTITY = frozenset({"rules", "rules_profile", "proxy"})
"""Settings that change neither who an account is nor where: what it uploaded stays good."""


class Change(Enum):
    """What storing an account's settings changed."""

    NONE = "none"
    LIMITS = "limits"
    IDENTITY = "identity"


@dataclass(slots=True)
class OpenAccount:
    """An account in use."""

    name: str
    settings: Mapping[str, Any]
    """As they were stored when it was opened."""
    adapter: Adapter
    context: AccountContext
    budget: Budget
    contexts: dict[Target, Mapping[str, Any]]


def identity_of(account: OpenAccount) -> str:
    """Return the settings that say which account it is and where, as text."""
    kept = {name: value for name, value in account.settings.items() if name not in SAME_IDENTITY}
    return msgspec.json.encode(kept, order="sorted").decode()


class Accounts:
    """Every account of a store; each is opened when it is first used, and stays open."""

    def __init__(
        self,
        table: AccountTable,
        events: EventTable,
        outbox: Outbox,
        clock: Clock,
        *,
        open_media: Callable[[str], Content],
        variant: Callable[[Media, str], Awaitable[Media]],
        share: Callable[[Media, float], Awaitable[str]],
    ) -> None:
        self._table = table
        self._events = events
        self._outbox = outbox
        self._clock = clock
        self._open_media = open_media
        self._variant = variant
        self._share = share
        self._used: dict[str, OpenAccount] = {}
        self._opening = asyncio.Lock()

    async def put(self, name: str, settings: Mapping[str, Any]) -> Change:
        """Check and store settings; returns what they change.

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
        """Return what another process has changed since `name` was opened here."""
        opened = self._used.get(name)
        return Change.NONE if opened is None else _change(opened.settings, await self._table.get(name) or {})

    async def remove(self, name: str) -> bool:
        """Forget an account with everything it kept; False if there was none."""
        return is_account_name(name) and await self._table.remove(name)

    async def names(self) -> list[str]:
        return await self._table.names()

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
                shown = name if is_account_name(name) else f"{name!a}".strip("'")
                known = await self._table.names()
                raise UnknownAccount(
                    f"There is no account '{shown}'.{did_you_mean(shown, known)} "
                    f"Known: {', '.join(known) or 'none yet'}. Add it: yizhan account add {shown} …"
                )
            opened = self._used[name] = await self._open(name, settings)
            return opened

    def used(self, name: str) -> OpenAccount | None:
        """Return the account if it is open."""
        return self._used.get(name)

    def all_used(self) -> Iterable[OpenAccount]:
        return self._used.values()

    async def let_go(self, name: str) -> OpenAccount | None:
        """Forget that the account is open, and return it for closing."""
        async with self._opening:
            return self.drop(name)

    def drop(self, name: str) -> OpenAccount | None:
        """The same at once, however others are being opened."""
        return self._used.pop(name, None)

    async def _open(self, name: str, settings: Mapping[str, Any]) -> OpenAccount:
        platform = platform_named(name.partition(".")[0])
        checked = _converted(name, settings, platform)
        contexts: dict[Target, Mapping[str, Any]] = dict(await self._events.contexts(name))
        context = AccountContext(
            name=name,
            settings=checked,
            clock=self._clock,
            state_store=await self._table.state_store(name),
            rules=platform.rules(getattr(checked, "rules_profile", "") or None, getattr(checked, "rules", None)),
            open_media=self._open_media,
            context_of=lambda target: contexts.get(target, {}),
            variant=self._variant,
            share=self._share,
        )
        adapter = platform.load_adapter()(context)
        budget = Budget(_horizon(adapter, name, platform.capabilities))
        budget.restore(await self._outbox.sends_since(name, self._clock.now() - budget.horizon))
        return OpenAccount(name, settings, adapter, context, budget, contexts)


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
    platform.rules(getattr(checked, "rules_profile", "") or None, getattr(checked, "rules", None))
    plain: dict[str, Any] = msgspec.to_builtins(checked)
    for setting, value in plain.items():
        if setting.endswith("_url") and value and not _is_address(value):
            raise ConfigError(
                f"{name}: {setting} is '{value}', which is no address. Expected scheme and host, such as "
                "http://127.0.0.1:8791."
            )
    return plain


def _converted(name: str, settings: Mapping[str, Any], platform: Platform) -> Any:
    try:
        return msgspec.convert(settings, platform.settings, strict=False)
    except msgspec.ValidationError as error:
        known = sorted(field.encode_name for field in msgspec.structs.fields(platform.settings))
        raise ConfigError(f"{name}: {error}. Known settings: {', '.join(known)}.") from error


def _is_address(url: str) -> bool:
    try:
        return "://" in url and bool(urlsplit(url).hostname)
    except ValueError:
        return False


def _horizon(adapter: Adapter, account: str, kinds: Iterable[str]) -> float:
    """Return the length of the longest window that any send through `adapter` may count against."""
    targets = [Target(account, kind, "anybody") for kind in kinds]
    limits = [limit for target in targets for limit in adapter.limits(Message((Text("anything"),)), target)]
    return max([DAY, *(limit.per_seconds or 0.0 for limit in limits)])
