"""One login in the sandbox: identity, UserNames, the stream of its news, uploaded files."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import TypeAlias

from yizhan.platforms.webwechat.server.names import Account, UserNames
from yizhan.platforms.webwechat.wire.session import AddMsg, DelContact, KeyValue, ModContact, SyncKeys
from yizhan.world import Blob, World

NewsItem: TypeAlias = AddMsg | ModContact | DelContact
SYNC_ORIGIN = 700_000_000
"""Val of key 2 in a SyncKey at position 0 of the stream."""
MAX_ITEMS = 20_000
PAGE_SIZE = 100


@dataclass(slots=True)
class Placed:
    """The file of a MediaId. `received`: it came with a message, and can be forwarded as a file only."""

    blob: Blob
    name: str
    at: float
    media_type: str = ""
    """The form field `mediatype` of its upload."""
    signature: str = ""
    received: bool = False


@dataclass(slots=True)
class ChunkedUpload:
    """An upload whose chunks are still arriving."""

    chunks: int
    parts: dict[int, Blob] = field(default_factory=dict)


class Session:
    """One login. webwxsync returns its stream of news; a SyncKey is a position in it."""

    def __init__(self, world: World, account: Account, accounts: dict[str, Account]) -> None:
        self.account = account
        self.sid = f"s{world.hex(2)}/{world.hex(12).upper()}+"
        self.skey = f"@crypt_{world.hex(8)}_{world.hex(32)}"
        self.pass_ticket = f"{world.hex(20)}%2F{world.hex(20)}%2B%3D"
        self.data_ticket = f"gS{world.hex(20)}+/"
        self.auth_ticket = f"CIsB{world.hex(16)}+/{world.hex(16)}="
        self.browser = world.hex(96)
        self.names = UserNames(self.sid, world, accounts, account)
        self.started = int(world.now())
        self.media: dict[str, Placed] = {}
        self.chunked: dict[str, ChunkedUpload] = {}
        """Incomplete uploads by client id."""
        self.completed: dict[str, tuple[int, str, Blob]] = {}
        """Complete uploads by client id: number and SHA-256 of the chunk that completed them, the whole file."""
        self.news = asyncio.Event()
        self._stream: list[NewsItem] = []
        self._dropped = 0
        self._sent: dict[tuple[str, str], tuple[str, float]] = {}

    @property
    def me(self) -> str:
        return self.names.me

    # --- the stream ---

    @property
    def end(self) -> int:
        return self._dropped + len(self._stream)

    def push(self, *items: NewsItem) -> None:
        """Append to the stream and wake the polls that wait for news."""
        self._stream.extend(items)
        if len(self._stream) > MAX_ITEMS:
            over = len(self._stream) - MAX_ITEMS // 2
            del self._stream[:over]
            self._dropped += over
        self.wake()

    def wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()

    def since(self, position: int) -> list[NewsItem]:
        """Return one page of items from `position` on."""
        start = max(0, min(position - self._dropped, len(self._stream)))
        return self._stream[start : start + PAGE_SIZE]

    def after(self, position: int, count: int) -> int:
        """Return the position after `count` items from `position` on; dropped items are skipped."""
        return max(position, self._dropped) + count

    def key_at(self, position: int, now: float) -> SyncKeys:
        pairs = [
            (1, SYNC_ORIGIN - 3 + position),
            (2, SYNC_ORIGIN + position),
            (3, SYNC_ORIGIN - 2 + position),
            (1000, int(now)),
        ]
        return SyncKeys(len(pairs), [KeyValue(key, value) for key, value in pairs])

    def position(self, value: int | None) -> int:
        """Return the position of a SyncKey's key 2; the end of the stream if it is missing or out of range."""
        position = self.end if value is None else value - SYNC_ORIGIN
        return position if 0 <= position <= self.end else self.end

    # --- repeated sends ---

    def repeated(self, to: str, client_id: str, now: float, seconds: float) -> str | None:
        """Return the MsgID of an earlier send under the same key."""
        found = self._sent.get((to, client_id))
        return found[0] if found and now - found[1] <= seconds else None

    def remember(self, to: str, client_id: str, message_id: str, now: float, seconds: float) -> None:
        self._sent[to, client_id] = message_id, now
        while self._sent and now - next(iter(self._sent.values()))[1] > seconds:
            self._sent.pop(next(iter(self._sent)))

    # --- files ---

    def media_id(self, of: str, digits: int) -> str:
        """Return the MediaId of `of` in this login."""
        digest = hashlib.shake_256(f"{self.sid}/{of}".encode()).hexdigest(digits // 2 + 4)
        return f"@crypt_{digest[:8]}_{digest[8 : 8 + digits]}"
