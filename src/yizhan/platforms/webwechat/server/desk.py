"""What all handlers share: the world, the logins, who asks, what was said, and bringing it to everybody concerned."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from yizhan.http.router import Router
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.webwechat.server.names import Account, Sort
from yizhan.platforms.webwechat.server.session import Item, Session
from yizhan.platforms.webwechat.wire.base import (
    COOKIE_INVALID,
    JSON_ANSWER,
    LOGGED_OUT,
    LOGIN_ELSEWHERE,
    PREFIX,
    Base,
)
from yizhan.platforms.webwechat.wire.content import Cdn
from yizhan.wire import Fault, FaultCode, HttpRequest
from yizhan.world import Blob, Group, Network, Post, World

PLATFORM = "webwechat"
FIRST_UIN = 1_000_020_001
MOST_ENDED = 1000


@dataclass(slots=True)
class Spoken:
    """A message as it stands between the logins: not yet in anybody's names."""

    id: str
    kind: str
    """text, image, voice, video, file, sticker, contact_card, location, or what an appmsg is called (link, quote …)."""
    at: float
    sender: tuple[Sort, str]
    to: tuple[Sort, str]
    text: str = ""
    """What was said, or what a card shows."""
    xml: str = ""
    """Of a card, contact or location."""
    name: str = ""
    blob: Blob | None = None
    media_ids: dict[str, str] = field(default_factory=dict)
    """By sid: the MediaId under which a received file is fetched and sent on."""
    size: tuple[int, int] = (0, 0)
    """Of the thumbnail, pixels."""
    milliseconds: int = 0
    md5: str = ""
    post: Post | None = None


class Desk:
    """The state behind the handlers. Rules are read when they are needed: the sandbox replaces them while it runs."""

    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        self.world = world
        self.rules = rules
        self.options = options
        self.router = Router(PLATFORM, JSON_ANSWER, world.blobs)
        self.router.shown_target = self.shown_target
        self.router.prefixes = (PREFIX, "/jslogin", "/qrcode", "/l")
        self.accounts: dict[str, Account] = {}
        self.sessions: dict[str, Session] = {}
        self.ended: dict[str, FaultCode] = {}
        self.messages: dict[str, Spoken] = {}
        self.cdn: dict[str, tuple[Cdn, Blob]] = {}
        self.tokens: dict[str, Blob] = {}
        self.uploads: dict[str, Blob] = {}
        """Whole uploads by MD5: what webwxcheckupload knows already."""
        self.sizes: dict[str, tuple[int, int]] = {}
        """Thumbnail sizes by SHA-256."""
        self.waiting = 0
        """Polls that are being held."""
        self.closing = False

    @property
    def network(self) -> Network:
        return self.world.network("wechat")

    def now(self) -> float:
        return self.world.now()

    def message_id(self) -> str:
        """Return a new MsgId: 19 digits, below 2**63."""
        return str(10**18 + self.world.random.randrange(8 * 10**18))

    # --- accounts and logins ---

    def new_account(self) -> Account:
        number = len(self.accounts)
        account = Account("me" if not number else f"me{number + 1}", FIRST_UIN + number, set())
        self.accounts[account.id] = account
        return account

    def start(self, account: Account) -> Session:
        """Begin a login of `account`; an older one ends, as the service lets one browser in at a time."""
        for older in [s for s in self.sessions.values() if s.account is account]:
            self.end(older, LOGIN_ELSEWHERE)
        session = Session(self.world, account, self.accounts)
        account.browsers.add(session.browser)
        self.sessions[session.sid] = session
        return session

    def end(self, session: Session, why: FaultCode) -> None:
        self.sessions.pop(session.sid, None)
        self.ended[session.sid] = why
        if len(self.ended) > MOST_ENDED:
            self.ended.pop(next(iter(self.ended)))
        session.wake()

    def session(self, http: HttpRequest, base: Base | None = None) -> Session:
        """Return the login that asks: by Sid and Uin of BaseRequest, else by the cookies wxsid and wxuin.

        Raises:
            Fault: 1102 when neither names one, 1100 when it is unknown or logged out, 1101 when another took its place.
        """
        cookies = http.cookies()
        named = [(str(base.Sid), str(base.Uin))] if base is not None and base.Sid else []
        if cookies.get("wxsid"):
            named.append((cookies["wxsid"], cookies.get("wxuin", "")))
        if not named:
            raise Fault(COOKIE_INVALID)
        for sid, uin in named:
            session = self.sessions.get(sid)
            if session is not None and uin in ("", "0", str(session.account.uin)):
                return session
        raise Fault(next((self.ended[sid] for sid, _ in named if sid in self.ended), LOGGED_OUT))

    def shown_target(self, http: HttpRequest, user_name: str) -> str:
        """Return a UserName of a request as targets and posts name it; as it is when nobody is called that."""
        asking = self.sessions.get(http.cookies().get("wxsid", ""))
        for session in [asking] if asking is not None else list(self.sessions.values()):
            whom = session.names.whom(user_name)
            if whom is not None:
                return whom.shown
        return user_name

    # --- finding what was placed ---

    def on_cdn(self, blob: Blob) -> Cdn:
        """Return the three values by which `blob` is found again; they outlive the message and the login."""
        url = "3053" + hashlib.sha256(f"url/{blob.sha256}".encode()).hexdigest()
        known = self.cdn.get(url)
        if known is None:
            key = hashlib.sha256(f"key/{blob.sha256}".encode()).hexdigest()[:32]
            known = self.cdn[url] = Cdn(key, url, blob.md5), blob
        return known[0]

    def from_cdn(self, cdn: Cdn) -> Blob | None:
        known = self.cdn.get(cdn.url)
        fits = known is not None and known[0].aeskey == cdn.aeskey and cdn.md5 in ("", known[0].md5)
        return known[1] if known is not None and fits else None

    def token_of(self, blob: Blob) -> str:
        token = "@" + hashlib.sha512(f"token/{blob.sha256}".encode()).hexdigest()
        self.tokens[token] = blob
        return token

    # --- bringing things to everybody ---

    def readers(self, spoken: Spoken) -> Iterator[Session]:
        """The logins that a message concerns, without the one that sent it."""
        sort, id = spoken.to
        for session in list(self.sessions.values()):
            mine = ("account", session.account.id)
            if spoken.sender != mine and (sort == "room" or spoken.to == mine or id == "*"):
                yield session

    def tell_all(self, make: Any) -> None:
        """Push what `make(session)` returns to every login."""
        for session in list(self.sessions.values()):
            items: list[Item] = make(session)
            if items:
                session.push(*items)

    def keep(self, spoken: Spoken, **post: Any) -> Post:
        """Remember a message for downloads and recalls, and put it into the world."""
        self.messages[spoken.id] = spoken
        spoken.post = self.world.post(
            network="wechat",
            platform=PLATFORM,
            sender=spoken.sender[1],
            kind=spoken.kind,
            message_id=spoken.id,
            text=spoken.text,
            name=spoken.name,
            blob=spoken.blob,
            at=spoken.at,
            **post,
        )
        return spoken.post

    def forget(self) -> None:
        for session in list(self.sessions.values()):
            session.wake()
        for store in (self.accounts, self.sessions, self.ended, self.messages, self.cdn, self.tokens, self.uploads):
            store.clear()
        self.sizes.clear()


def find_group(network: Network, words: str) -> Group:
    """Return a group by id or name. LookupError where there is none."""
    found = next((g for g in network.groups.values() if g.name == words), None)
    return found if found is not None and words not in network.groups else network.group(words)
