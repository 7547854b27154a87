"""Whether an account sends, and why not: one status for each account that this process uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from yizhan.errors import LoginNeeded, YizhanError
from yizhan.runtime.notifier import Notifier


@dataclass(frozen=True, slots=True)
class Active:
    """The account sends."""


@dataclass(frozen=True, slots=True)
class Paused:
    """The platform refused a send until the account logs in again."""

    why: str


@dataclass(frozen=True, slots=True)
class LoginLost:
    """The account's event stream reported that the login ended; the next event means that it is back."""

    why: str


@dataclass(frozen=True, slots=True)
class CannotOpen:
    """The account has deliveries and cannot be opened: it was removed, or its settings are wrong."""

    error: YizhanError


AccountStatus: TypeAlias = Active | Paused | LoginLost | CannotOpen

ACTIVE = Active()


class AccountStatuses:
    """Owns the status of every account and announces each change as `account_changed`."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._statuses: dict[str, AccountStatus] = {}

    def of(self, account: str) -> AccountStatus:
        return self._statuses.get(account, ACTIVE)

    def set(self, account: str, status: AccountStatus) -> None:
        """Change the status of `account`. A refused send does not replace what the event stream reported."""
        before = self.of(account)
        if before == status or (isinstance(before, LoginLost) and isinstance(status, Paused)):
            return
        if isinstance(status, Active):
            del self._statuses[account]
        else:
            self._statuses[account] = status
        self._notifier.account_changed.send(account)

    def why_paused(self, account: str) -> str:
        """Return why `account` sends nothing until it logs in; empty when it does not wait for a login."""
        status = self.of(account)
        return status.why if isinstance(status, (Paused, LoginLost)) else ""

    def error(self, account: str) -> YizhanError | None:
        """Return the error that keeps the deliveries of `account` waiting; None when it is active."""
        match self.of(account):
            case Paused(why) | LoginLost(why):
                return LoginNeeded(f"{why} The delivery waits until the account is logged in.")
            case CannotOpen(error):
                return error
        return None

    def not_active(self) -> Mapping[str, AccountStatus]:
        """Return the accounts that do not send, with their status."""
        return self._statuses
