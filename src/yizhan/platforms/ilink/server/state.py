"""The sandbox's state: bots, their chats, logins and media. Plain data, without rules."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from yizhan.model import Clock
from yizhan.platforms.ilink.server.cursor import Cursor
from yizhan.platforms.ilink.wire import WeixinMessage
from yizhan.world import Blob


class Bell:
    """Wakes every waiting task at once."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def wait(self, clock: Clock, until: float) -> None:
        """Return when the bell rings, or when it is `until` on the clock."""
        rung: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = asyncio.ensure_future(_sleep(clock, until))
        self._waiting.add(rung)
        waits: set[asyncio.Future[Any]] = {rung, timer}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._waiting.discard(rung)
            timer.cancel()


async def _sleep(clock: Clock, until: float) -> None:
    # The rest is counted here, where the sleep begins: the clock may be turned before a new task runs.
    await clock.sleep(until - clock.now())


@dataclass(slots=True)
class Chat:
    """The conversation of one bot with one person."""

    user: str
    context_token: str = ""
    """Of their last message."""
    wrote_at: float | None = None
    sent: int = 0
    """Messages of the bot since then."""
    ticket: str = ""
    typing: bool = False


@dataclass(slots=True)
class Bot:
    """A bot, made by a confirmed login. A live bot has one chat; the sandbox allows more."""

    id: str
    token: str
    user: str
    base_url: str
    """The address that its client used last; download addresses begin with it."""
    made_ms: int
    chats: dict[str, Chat] = field(default_factory=dict)
    inbox: list[WeixinMessage] = field(default_factory=list)
    """Every message that it received, by `seq` from 1 on: a rewound cursor plays them again."""
    acknowledged: int = 0
    """The highest `seq` that a cursor brought back."""
    seen: dict[str, int] = field(default_factory=dict)
    """Message ids by client_id."""
    alive: bool = True
    online: bool = False
    """Between notifystart and notifystop."""
    bell: Bell = field(default_factory=Bell)

    def after(self, last_seq: int, count: int) -> list[WeixinMessage]:
        return self.inbox[last_seq : last_seq + count]

    def cursor(self, last_seq: int, now_ms: int) -> Cursor:
        return Cursor(last_seq, self.made_ms, now_ms)


FINAL = frozenset({"confirmed", "expired", "verify_code_blocked", "binded_redirect"})


@dataclass(slots=True)
class QrState:
    """One QR code, in the vendor's words for its state."""

    code: str
    ends_at: float
    tokens: tuple[str, ...]
    """The bot tokens that the installation names as its own."""
    status: str = "wait"
    told: str = "wait"
    """The status that the client was told last."""
    wrong_codes: int = 0
    bot: Bot | None = None
    bell: Bell = field(default_factory=Bell)

    def become(self, status: str) -> None:
        self.status = status
        self.bell.ring()


@dataclass(frozen=True, slots=True)
class Slot:
    """An address for one upload, as getuploadurl returned it."""

    param: str
    bot: str
    user: str
    filekey: str
    key: bytes
    plain_size: int | None
    plain_md5: str
    sealed_size: int | None


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes on the simulated CDN: kept plain, enciphered when they are fetched."""

    plain: Blob
    key: bytes
    bot: str = ""
    user: str = ""
    """The receiver that the upload named; empty for media that people sent."""
    usable: bool = True
    """False under an upload's own parameter: it can be fetched, but is not shown in a message (Kairos0922)."""
