"""From a call to stored deliveries: resolve targets, take media in, compose parts, then refuse or store all of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from yizhan.accounts.contacts import Contacts
from yizhan.accounts.received_media import ReceivedMedia
from yizhan.accounts.registry import Accounts
from yizhan.errors import Refused, UnknownTarget, Unsupported, did_you_mean
from yizhan.media.uploads import HandleCache
from yizhan.model import (
    Clock,
    Media,
    Message,
    Target,
    message_of,
)
from yizhan.model.checks import MAX_SECONDS, check_integer, check_seconds, check_text
from yizhan.platforms.adapter import Adapter, Limit, Part
from yizhan.platforms.spec import platform_named
from yizhan.sending.delivery import BROADCAST, REPLY, SINGLE, Submission, Submitted
from yizhan.sending.fitting import Fitted, MessageCache, has_media
from yizhan.sending.forwarding import reachable
from yizhan.sending.intake import examined, taken_in, unconverted
from yizhan.sending.outbox.outbox import SOON, Outbox
from yizhan.sending.outbox.receipts import Records
from yizhan.sending.worker import Worker

if TYPE_CHECKING:
    from yizhan.media.library import Library

Targets = str | Target | Iterable[str | Target]
Fits = dict[tuple[str, str], Fitted]
"""The messages fitted in one call, by account and kind of target."""

Moment = datetime | float
"""A time with its zone (without one, that of this machine), or seconds since the epoch."""

MAX_PRIORITY = 1000
TURN = 500
"""Targets that are composed before other tasks have a turn."""
GRACE = 5.0
"""Seconds by which `at` may lie back: a caller that says now says it a moment earlier."""


class Acceptance:
    """Accepts messages: each call is refused as a whole, or stored in one commit."""

    def __init__(
        self,
        accounts: Accounts,
        contacts: Contacts,
        library: Library,
        messages: MessageCache,
        outbox: Outbox,
        records: Records,
        worker: Worker,
        received: ReceivedMedia,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._contacts = contacts
        self._library = library
        self._messages = messages
        self._outbox = outbox
        self._records = records
        self._worker = worker
        self._received = received
        self._clock = clock

    async def targets(self, to: Targets) -> list[Target]:
        """Resolve targets, `@aliases` and `#tags` to targets, each once, in order.

        Raises:
            UnknownTarget: malformed, or no such alias or tag; the text names close ones.
        """
        if not isinstance(to, (str, Target, Iterable)):
            raise UnknownTarget(f"Targets are text or a list of it, not {type(to).__name__}.")
        given = [to] if isinstance(to, (str, Target)) else list(to)
        found: dict[Target, None] = {}
        for one in given:
            if isinstance(one, str) and one[:1] in ("@", "#"):
                for text in await self._contacts.get(one):
                    found[Target.parse(text)] = None
            else:
                found[Target.parse(one)] = None
        if not found:
            raise UnknownTarget("There is no target. Name at least one, such as qqbot.main/user/OPENID.")
        return list(found)

    async def take_in(self, message: Message) -> Message:
        """Return `message` with every path, bytes or stream in it replaced by media of the library.

        Raises:
            MediaFormat: empty, unreadable, or not of the kind that its segment says.
        """
        return await taken_in(message, self._library)

    async def check(self, message: Message, targets: Sequence[Target]) -> None:
        """Refuse what kind and size of the files alone forbid, before any of them is copied.

        Raises:
            Unsupported, MediaFormat, MediaTooLarge: the message cannot be sent to one of `targets`.
        """
        plain = await examined(message, self._library)
        if plain is None:
            return
        # Targets of one kind on one account take the same.
        for target in {(target.account, target.kind): target for target in targets}.values():
            adapter = await self._adapter(target)
            ready = unconverted(plain, target, adapter.media_rule)
            if ready is not None:
                _composed(ready, target, adapter)

    @asynccontextmanager
    async def taking_in(self, message: Message, targets: Sequence[Target]) -> AsyncGenerator[tuple[Message, str], None]:
        """Take media in for a call, and remove the new ones again if the block refuses it.

        Yields the message as it is stored, and the note that every receipt carries.
        """
        await self.check(message, targets)
        message, note = await reachable(message, targets, self._accounts, self._received)
        async with self._library.intake() as intake:
            yield await taken_in(message, intake), note

    async def compose(self, message: Message, target: Target, fits: Fits | None = None) -> Sequence[Part]:
        """Return the parts for `target`.

        Raises:
            Unsupported, MediaFormat, MediaTooLarge: it cannot be sent there as it stands.
        """
        return await self.composed(await self.fitted(message, target, {} if fits is None else fits), target)

    async def composed(self, message: Message, target: Target) -> Sequence[Part]:
        """Return the parts for `target` of a message whose media fit."""
        return _composed(message, target, await self._adapter(target))

    async def fitted(self, message: Message, target: Target, fits: Fits) -> Message:
        """Return `message` with its media as the platform takes them; once for each account and kind of target.

        Raises:
            MediaFormat, MediaTooLarge: they cannot be made to fit.
        """
        if not has_media(message):
            return message
        key = target.account, target.kind
        if key not in fits:
            fits[key] = await self._messages.fit(message, target, await self._adapter(target))
        return fits[key][0]

    async def _adapter(self, target: Target) -> Adapter:
        """Return the adapter of the target's account.

        Raises:
            Unsupported: its platform has no targets of that kind.
        """
        opened = self._accounts.used(target.account) or await self._accounts.use(target.account)
        platform = platform_named(target.platform)
        if target.kind not in platform.capabilities:
            raise Unsupported(
                f"{target} names a '{target.kind}', and {platform.title} has: {', '.join(platform.capabilities)}."
                f"{did_you_mean(target.kind, platform.capabilities)}"
            )
        return opened.adapter

    async def accept(
        self,
        targets: Sequence[Target],
        message: Message,
        *,
        key: str | None = None,
        priority: int | None = None,
        expires_in: float | None = None,
        at: Moment | None = None,
    ) -> Submitted:
        """Store one delivery per target, or refuse them all. `at`: held until then.

        Raises:
            Refused: it cannot be sent to one of them as it stands, or the key was used for another message.
        """
        if priority is not None:
            check_integer(priority, "The priority", 0, MAX_PRIORITY)
        not_before, expires_in = await self.checked_times(key, at, expires_in)
        async with self.taking_in(message, targets) as (ready, note):
            submissions, fits = await self._compose_all(targets, ready)
            if priority is None:
                priority = REPLY if ready.reply else SINGLE if len(targets) == 1 else BROADCAST
            # Read after the files were taken in, which may be slow.
            expires_at = None if expires_in is None else max(self._clock.now(), not_before) + expires_in
            with self._worker.urgent_send(targets if priority < BROADCAST else ()):
                submitted = await self._outbox.submit(
                    ready,
                    submissions,
                    priority=priority,
                    key=key,
                    expires_at=expires_at,
                    not_before=not_before,
                    note=note,
                )
        if submitted.deliveries:
            self._messages.put(submitted.deliveries[0].message, ready, fits)
        return submitted

    async def checked_times(
        self, key: str | None, at: Moment | None, expires_in: float | None
    ) -> tuple[float, float | None]:
        """Check the key and the times of a call; return `at` in seconds since the epoch (0 for now), and `expires_in`.

        Raises:
            Refused: one of them makes no sense, or `at` is over.
        """
        if key is not None:
            check_text(key, "The key")
        if expires_in is not None:
            expires_in = check_seconds(expires_in, "expires_in")
        return 0.0 if at is None else await self._not_before(at, key), expires_in

    async def _compose_all(self, targets: Sequence[Target], message: Message) -> tuple[list[Submission], Fits]:
        submissions: list[Submission] = []
        fits: Fits = {}
        for target in targets:
            submissions.append(await self.checked(message, target, fits))
            if len(submissions) % TURN == 0:
                await asyncio.sleep(0)
        return submissions, fits

    async def checked(self, message: Message, target: Target, fits: Fits) -> Submission:
        """Return what the outbox stores for `target`. `fits`: what was fitted in this call.

        Raises:
            Refused: it cannot be sent there as it stands.
        """
        return await self.checked_fitted(await self.fitted(message, target, fits), target)

    async def checked_fitted(self, message: Message, target: Target) -> Submission:
        """Return what the outbox stores for `target`, of a message whose media fit.

        Raises:
            Refused: it cannot be sent there as it stands.
        """
        parts = await self.composed(message, target)
        if len(parts) > 1:
            await self._check_room(message, target, len(parts))
        return Submission(target, len(parts))

    async def _check_room(self, message: Message, target: Target, parts: int) -> None:
        """Refuse a message whose parts the platform's limits can never allow within a minute of each other.

        A message begins when there is room for all its parts, so that it does not arrive by halves. Where a limit is a
        pace, the rest follows at that pace.
        """
        adapter = (await self._accounts.use(target.account)).adapter
        for limit in adapter.limits(message, target):
            if 0 < limit.count < parts and _spread(limit, parts) > SOON:
                raise Unsupported(
                    f"{target}: the message has {parts} parts, and {limit.name} allows {limit.count}. Send fewer parts "
                    f"at once, or raise '{limit.name}' in the account's rules if your limit is higher."
                )

    async def _not_before(self, at: Moment, key: str | None) -> float:
        seconds, now = _seconds(at), self._clock.now()
        if seconds >= now - GRACE or (key is not None and await self._records.key_known(key)):
            # A repeated call finds its deliveries also after their time.
            return seconds
        raise Refused(
            f"The time {at} passed {now - seconds:,.0f} seconds ago. Leave `at` out to send now, or give a later time."
        )

    async def place(self, media: Media, targets: Sequence[Target], handles: HandleCache) -> None:
        """Upload `media` to the platforms of `targets` now, so that later sends need not.

        Raises:
            Unsupported, MediaFormat, MediaTooLarge: they cannot be sent there.
        """
        for target in targets:
            adapter = (await self._accounts.use(target.account)).adapter
            for part in await self.compose(message_of(media), target):
                for need in part.needs:
                    await handles.place(target.account, need, target, adapter)


def _composed(message: Message, target: Target, adapter: Adapter) -> Sequence[Part]:
    parts = adapter.compose(message, target)
    if not parts:
        title = platform_named(target.platform).title
        raise Unsupported(f"{target}: nothing of this message can be carried by {title}.")
    return parts


def _spread(limit: Limit, parts: int) -> float:
    """Return the seconds between the first and the last of `parts` sends under `limit` alone."""
    return math.inf if limit.per_seconds is None else (math.ceil(parts / limit.count) - 1) * limit.per_seconds


def _seconds(at: Moment) -> float:
    try:
        seconds = at.timestamp() if isinstance(at, datetime) else float(at)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds) or abs(seconds) > MAX_SECONDS:
        shown = str(at)[:40] if isinstance(at, (datetime, float, str)) else "The time given"
        raise Refused(f"{shown} is not a time. Give a datetime, or seconds since the epoch.")
    return seconds
