"""Base of the adapters whose calls go over HTTP, each answered at once."""

from __future__ import annotations

from typing import TypeVar

from msgspec import Struct

from yizhan.http.client import Caller
from yizhan.platforms.adapter import AccountContext, Adapter, Progress
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
