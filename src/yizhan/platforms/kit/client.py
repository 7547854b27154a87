"""Base of the adapters whose calls go over HTTP, each answered at once."""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec import Struct

from yizhan.errors import OutcomeUnknown
from yizhan.http.client import Caller
from yizhan.model import Handle, PlatformId
from yizhan.platforms.adapter import AccountContext, Adapter, MediaNeed, Progress
from yizhan.platforms.spec import AccountSettings, ProxiedSettings
from yizhan.wire import Endpoint

Req = TypeVar("Req", bound=Struct)
Res = TypeVar("Res")


class HttpAdapter(Adapter):
    """Calls go to `base_url` of the settings, through their proxy if they have one."""

    def __init__(self, context: AccountContext) -> None:
        super().__init__(context)
        settings: AccountSettings = context.settings
        proxy = settings.proxy if isinstance(settings, ProxiedSettings) else ""
        self.caller = Caller(context.name, settings.api_base, proxy=proxy)

    async def call(self, endpoint: Endpoint[Req, Res], request: Req) -> Res:
        return await self.caller.call(endpoint, request)

    async def place(self, endpoint: Endpoint[Req, Res], request: Req, progress: Progress | None = None) -> Res:
        """Make a call that carries media; `progress` is told how many bytes have left."""
        return await self.caller.call(endpoint, request, progress=progress)

    async def close(self) -> None:
        await self.caller.close()

    # --- answers, as the engine takes them ---

    def handle(self, token: str, need: MediaNeed) -> Handle:
        """Return the handle of an upload just made; it is good for `handle.seconds` of the rules, 0 for ever."""
        seconds = float(self.context.rules.get("handle.seconds", 0))
        return Handle(token, need.scope, self.context.clock.now() + seconds if seconds else None)

    def sent(self, id: str | int | None, endpoint: str, **extra: Any) -> PlatformId:
        """Return the id of a message just sent; `extra` is kept for recalls and quotes.

        Raises:
            OutcomeUnknown: the platform said yes, but gave no id although it documents one.
        """
        if id in (None, "", 0, "0"):
            raise OutcomeUnknown(
                f"{self.context.name}: {endpoint} succeeded, but gave no message id. Look whether it arrived.",
                account=self.context.name,
                endpoint=endpoint,
            )
        return PlatformId(str(id), self.context.clock.now(), extra)

    def sent_without_id(self) -> PlatformId:
        """Return the record of a message on a wire that gives no ids; it can be neither recalled nor quoted."""
        return PlatformId("", self.context.clock.now())
