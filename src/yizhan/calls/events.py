"""Public calls about incoming events, webhooks and received media."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any

from yizhan.errors import Refused
from yizhan.model import Event, Forward, Media
from yizhan.receiving.readers import checked_reader
from yizhan.supervisor import Supervisor


class EventCalls:
    """Inherited by `Engine`."""

    supervisor: Supervisor

    def events(
        self, accounts: str | Iterable[str] | None = None, *, reader: str | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield events of `accounts` (None: all, also those added later) from this call on, each once.

        Event streams that break are opened again after a pause; a lost login is an event. `reader`: a name of at most
        30 characters, under which the position is stored; the next run continues there, so that no event is lost
        between two runs. An event counts as read when the next one is requested. Events are kept for thirty days, or
        longer where a reader has not read them yet.
        """
        return self.supervisor.readers.read(_names(accounts), self.supervisor.listeners.latest, checked_reader(reader))

    async def recent_events(self, account: str | None = None, limit: int = 100) -> list[Event]:
        """Return the newest stored events, of `account` or of all, oldest of them first."""
        return await self.supervisor.event_table.recent(account, limit)

    async def forget_reader(self, reader: str) -> bool:
        """Forget the position of `reader`, so that unread events are no longer kept for it; False if it never read."""
        return await self.supervisor.event_table.forget(reader)

    async def listen(self, accounts: str | Iterable[str] | None = None) -> None:
        """Begin to receive events of `accounts` in the background: windows open, and held deliveries are sent.

        None: of all, also of accounts that are added later.

        Raises:
            UnknownAccount: one that is named does not exist.
        """
        await self.supervisor.listeners.listen_to(_names(accounts))

    async def receive_webhook(self, account: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Store an event that a platform pushed to this program's own address; return status and JSON of the answer.

        The event is stored before this returns. An error means that it was not: answer with 500, and the platform
        pushes again.

        Raises:
            Unsupported: that platform pushes nothing over HTTP.
            StorageError: it could not be stored.
        """
        return await self.supervisor.listeners.receive_webhook(account, headers, body)

    async def save(
        self,
        source: Forward | str,
        reference: Mapping[str, Any] | None = None,
        name: str | None = None,
        *,
        as_received: bool = False,
    ) -> Media:
        """Download received media into the library: `save(segment)`, with a `Forward` segment of an event.

        `save(account, reference, name)` does the same with the parts of one. A voice in SILK, which little plays
        outside of WeChat and QQ, comes back as WAV, unless `as_received`; one that cannot be decoded comes back as it
        is.

        Raises:
            Refused: it is not known which account received it.
            Unsupported: it has no bytes, or this account cannot fetch it.
            PlatformError: the platform no longer has it, or could not be reached.
        """
        forward = source if isinstance(source, Forward) else Forward("", dict(reference or {}), account=source)
        if reference is None and source is not forward:
            raise Refused("It is not known which account received this. Use save(account, reference).")
        received = self.supervisor.received
        media = await received.save(forward, name)
        return media if as_received else await received.playable(media)


def _names(accounts: str | Iterable[str] | None) -> list[str] | None:
    if accounts is None:
        return None
    return [accounts] if isinstance(accounts, str) else list(accounts)
