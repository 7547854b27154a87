"""A stored message is fitted to a platform once, for all its deliveries."""

from __future__ import annotations

import asyncio
from typing import Any

from yizhan.model import Image, Media, Message, Target
from yizhan.sending.fitting import MessageCache

TARGET = Target("here.main", "user", "someone")
MESSAGE = Message((Image(Media("0" * 64, "0" * 32, 0, 1, "image", "image/png", "png")),))


class Adapter:
    def media_rule(self, _segment: Any, _target: Target) -> None:
        return None


async def test_a_caller_at_the_moment_a_fit_ends_does_not_start_another() -> None:
    loop, fits, late = asyncio.get_running_loop(), [], []

    class Variants:
        async def fitted(self, message: Message, _rule: Any) -> Any:
            fits.append(message)
            # Runs after the work is done and before the callers that waited for it.
            loop.call_soon(lambda: late.append(asyncio.ensure_future(messages.fitted(1, TARGET, adapter))))
            return message, ("a note",)

    adapter: Any = Adapter()
    messages = MessageCache(None, Variants())  # type: ignore[arg-type]
    messages.put(1, MESSAGE)
    first = await messages.fitted(1, TARGET, adapter)

    assert (MESSAGE, ("a note",)) == first == await late[0]
    assert 1 == len(fits)
