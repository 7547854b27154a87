"""A login as it is kept over restarts."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct

from yizhan.wire import HttpResponse


class Saved(Struct, omit_defaults=True):
    """A login as it is kept over restarts. All of it is secret."""

    api: str
    """Base URL of the host that the account lives on."""
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
    """The `base_url` at which the login was made: an account that is pointed elsewhere does not take it along."""

    @property
    def scope(self) -> str:
        """Names this login, without giving it away: handles are good for it alone."""
        return "login:" + hashlib.sha256(self.sid.encode()).hexdigest()[:16]


def cookies_of(answer: HttpResponse) -> dict[str, str]:
    """Return the cookies that an answer sets; deleted ones are left out."""
    found: dict[str, str] = {}
    for name, value in answer.headers:
        if name.lower() == "set-cookie":
            cookie, _, content = value.partition(";")[0].partition("=")
            if cookie.strip() and content.strip():
                found[cookie.strip()] = content.strip()
    return found


def dump_saved(saved: Saved) -> bytes:
    return msgspec.json.encode(saved)


def load_saved(data: bytes | None) -> Saved | None:
    """Return a kept login; None when there is none that can be read."""
    try:
        return msgspec.json.decode(data, type=Saved) if data else None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
