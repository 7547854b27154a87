"""One login as the sandbox keeps it: identity, names, the stream of what happened, placed files."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from dataclasses import dataclass, field
from typing import TypeAlias

from yizhan.platforms.webwechat.server.names import Account, Names
from yizhan.platforms.webwechat.wire.session import Added, Changed, Deleted, Keys, KeyValue
from yizhan.world import Blob, World

Item: TypeAlias = Added | Changed | Deleted
ORIGIN = 700_000_000
"""Val of key 2 in a SyncKey at position 0 of the stream."""
MOST_ITEMS = 20_000
PAGE = 100


@dataclass(slots=True)
class Placed:
    """Bytes behind a MediaId. `received`: came with a message, and can be sent on as a file only."""

    blob: Blob
    name: str
    at: float
    kind: str = ""
    signature: str = ""
    received: bool = False


@dataclass(slots=True)
class Joining:
    """A file whose chunks are coming in."""

    chunks: int
    parts: dict[int, Blob] = field(default_factory=dict)


class Session:
    """One login. The stream is what webwxsync hands out; a SyncKey says how far a client has read."""

    def __init__(self, world: World, account: Account, accounts: dict[str, Account]) -> None:
        self.account = account
        self.sid = f"s{world.hex(2)}/{world.hex(12).upper()}+"
        self.skey = f"@crypt_{world.hex(8)}_{world.hex(32)}"
        self.pass_ticket = f"{world.hex(20)}%2F{world.hex(20)}%2B%3D"
        self.data_ticket = f"gS{world.hex(20)}+/"
        self.auth_ticket = f"CIsB{world.hex(16)}+/{world.hex(16)}="
        self.browser = world.hex(96)
        self.names = Names(self.sid, world, accounts, account)
        self.started = int(world.now())
        self.media: dict[str, Placed] = {}
        self.joining: dict[str, Joining] = {}
        self.joined: dict[str, tuple[int, str, Blob]] = {}
        """By what it was joined under: the chunk that completed it, that chunk's SHA-256, the whole file."""
        self.pictures: deque[float] = deque()
        self.news = asyncio.Event()
        self._stream: list[Item] = []
        self._dropped = 0
        self._sent: dict[tuple[str, str], tuple[str, float]] = {}

    @property
    def me(self) -> str:
        return self.names.me

    # --- the stream ---

    @property
    def end(self) -> int:
        return self._dropped + len(self._stream)

    def push(self, *items: Item) -> None:
        """Add to the stream and wake whoever waits for news."""
        self._stream.extend(items)
        if len(self._stream) > MOST_ITEMS:
            over = len(self._stream) - MOST_ITEMS // 2
            del self._stream[:over]
            self._dropped += over
        self.wake()

    def wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    def since(self, position: int) -> list[Item]:
        """Return up to a hundred items from `position` on."""
        start = max(0, min(position - self._dropped, len(self._stream)))
        return self._stream[start : start + PAGE]

    def after(self, position: int, count: int) -> int:
        """Return the position behind `count` items read from `position` on; what was dropped is skipped."""
        return max(position, self._dropped) + count

    def key_at(self, position: int, now: float) -> Keys:
        pairs = [(1, ORIGIN - 3 + position), (2, ORIGIN + position), (3, ORIGIN - 2 + position), (1000, int(now))]
        return Keys(len(pairs), [KeyValue(key, value) for key, value in pairs])

    def position(self, value: int | None) -> int:
        """Return the position that a SyncKey's key 2 stands for; the end when it is missing or absurd."""
        position = self.end if value is None else value - ORIGIN
        return position if 0 <= position <= self.end else self.end

    # --- sends that were seen before ---

    def repeated(self, to: str, client_id: str, now: float, seconds: float) -> str | None:
        """Return the MsgID that an earlier try under the same key got."""
        found = self._sent.get((to, client_id))
        return found[0] if found and now - found[1] <= seconds else None

    def remember(self, to: str, client_id: str, message_id: str, now: float, seconds: float) -> None:
        self._sent[to, client_id] = message_id, now
        while self._sent and now - next(iter(self._sent.values()))[1] > seconds:
            self._sent.pop(next(iter(self._sent)))

    # --- files ---

    def media_id(self, of: str, digits: int) -> str:
        """Return a MediaId of this login; the same for the same `of`."""
        digest = hashlib.shake_256(f"{self.sid}/{of}".encode()).hexdigest(digits // 2 + 4)
        return f"@crypt_{digest[:8]}_{digest[8 : 8 + digits]}"
