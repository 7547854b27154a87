"""A call that waits at the platform's door, so that a test sees what happens while there is no answer yet."""

from __future__ import annotations

import asyncio
from typing import Any

from yizhan.http.router import Call, Handler
from yizhan.platforms.server import Server


class Gate:
    """Keeps calls of one endpoint waiting before the platform acts on them; `times`: only the first so many.

    The platform may be served on another loop than the test's.
    """

    def __init__(self, server: Server, endpoint: str, times: int | None = None) -> None:
        self.came = 0
        """How many calls have come so far."""
        self.open = False
        self._times = times
        for routes in server.router.routes.values():
            for index, (known, handler) in enumerate(routes):
                if known.name == endpoint:
                    routes[index] = known, self._through(handler)

    def _through(self, handler: Handler) -> Handler:
        async def pass_through(call: Call[Any]) -> Any:
            self.came += 1
            if self._times is None or self.came <= self._times:
                while not self.open:  # noqa: ASYNC110  (opened on another loop)
                    await asyncio.sleep(0.002)
            return await handler(call)

        return pass_through
