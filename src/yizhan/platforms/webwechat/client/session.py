"""A logged-in session, which is stored over restarts."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from yizhan.wire import HttpResponse


class Session(Struct, omit_defaults=True):
    """A logged-in session: host, cookies and keys. All of it is secret."""

    api: str
    """Base URL of the host that the account was assigned to."""
    cookies: dict[str, str]
    skey: str
    sid: str
    uin: str
    pass_ticket: str
    device_id: str
    me: str = ""
    """The own UserName in this login."""
    nick: str = ""
    home: str = ""
    """The `base_url` of the login; an account with another `base_url` must not use the session."""

    @property
    def scope(self) -> str:
        """The name of this login, without its secrets. Handles and UserNames are valid in one login only."""
        return "login:" + hashlib.sha256(self.sid.encode()).hexdigest()[:16]

    @property
    def identity(self) -> str:
        """A digest of address, account and login: the service recognizes a repeated ClientMsgId only within them."""
        return hashlib.sha256(f"{self.home}\n{self.api}\n{self.uin}\n{self.sid}".encode()).hexdigest()[:32]


def cookies_of(response: HttpResponse) -> dict[str, str]:
    """Return the cookies that a response sets; deleted ones are left out."""
    found: dict[str, str] = {}
    for name, value in response.headers:
        if name.lower() == "set-cookie":
            cookie, _, content = value.partition(";")[0].partition("=")
            if cookie.strip() and content.strip():
                found[cookie.strip()] = content.strip()
    return found


def dump_session(session: Session) -> bytes:
    return msgspec.json.encode(session)


def load_session(data: bytes | None) -> Session | None:
    """Return a stored session; None if there is none or it cannot be read."""
    try:
        return msgspec.json.decode(data, type=Session) if data else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
