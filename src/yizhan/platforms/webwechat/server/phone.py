"""The phone of a sandbox login: the open logins, and the steps that a test or the sandbox itself plays."""

from __future__ import annotations

import asyncio
import string
from dataclasses import dataclass, field
from typing import Literal

from yizhan.errors import did_you_mean
from yizhan.platforms.webwechat.server.names import Account
from yizhan.platforms.webwechat.server.session import Session
from yizhan.platforms.webwechat.server.state import ServerState

_ALPHABET = string.ascii_letters + string.digits + "-_"
MAX_OPEN_LOGINS = 2000

State = Literal["waiting", "scanned", "confirmed", "cancelled", "expired"]


@dataclass(slots=True)
class LoginAttempt:
    """A login in progress: a QR code, or a push login."""

    uuid: str
    ticket: str
    made_at: float
    state: State = "waiting"
    reported: State = "waiting"
    account: Account | None = None
    session: Session | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def move(self, state: State) -> None:
        self.state = state
        self.changed.set()
        self.changed = asyncio.Event()


class Phone:
    """The open logins, and the phone that scans and confirms them."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._open: dict[str, LoginAttempt] = {}

    def open(self, account: Account | None = None) -> LoginAttempt:
        """Open a login. A push login has an `account`, and counts as scanned."""
        random, now = self._state.world.random, self._state.now()
        uuid = "".join(random.choices(_ALPHABET, k=10)) + "=="
        attempt = LoginAttempt(uuid, f"A{self._state.world.hex(20)}@qrticket_0", now, account=account)
        if account is not None:
            attempt.state = attempt.reported = "scanned"
        self._open[uuid] = attempt
        if len(self._open) > MAX_OPEN_LOGINS:
            self._open.pop(next(iter(self._open)))
        return attempt

    def find(self, uuid: str) -> LoginAttempt | None:
        """Return an open login, as expired if its code is too old; None if it is unknown."""
        attempt = self._open.get(uuid)
        if attempt is None:
            return None
        too_old = self._state.now() - attempt.made_at > self._state.rules["login.qr_seconds"]
        if attempt.state in ("waiting", "scanned") and too_old:
            attempt.move("expired")
        return attempt

    def play(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"]) -> None:
        """Play one step of a person with a phone.

        Raises:
            LookupError: there is no such login.
        """
        attempt = self.find(uuid)
        if attempt is None:
            raise LookupError(f"no login '{uuid}' is open.{did_you_mean(uuid, self._open)}")
        match step:
            case "scan":
                attempt.move("scanned")
            case "confirm":
                attempt.move("confirmed")
            case "expire":
                attempt.move("expired")
            case "cancel":
                # An older page is not told, and the code may be scanned again.
                attempt.move("cancelled" if self._state.rules["login.says_cancelled"] else "waiting")

    async def wait_for_step(self, attempt: LoginAttempt) -> None:
        """Wait for the next step of the phone, or until the poll has been held long enough."""
        if not self._state.options.manual_logins and attempt.state in ("waiting", "scanned"):
            attempt.move("scanned" if attempt.state == "waiting" else "confirmed")
        if attempt.state == attempt.reported and attempt.state in ("waiting", "scanned") and not self._state.closing:
            try:
                await asyncio.wait_for(attempt.changed.wait(), self._state.rules["login.hold_seconds"])
            except TimeoutError:
                return

    def wake(self) -> None:
        for attempt in self._open.values():
            attempt.changed.set()

    def reset(self) -> None:
        self.wake()
        self._open.clear()
