"""The state behind all calls: accounts, sessions, messages, files, and the sessions that are notified."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.webwechat import PLATFORM
from yizhan.platforms.webwechat.server.cdn import Cdn
from yizhan.platforms.webwechat.server.names import Account, Sort
from yizhan.platforms.webwechat.server.session import NewsItem, Session
from yizhan.platforms.webwechat.wire.base import (
    COOKIE_INVALID,
    LOGGED_OUT,
    LOGIN_ELSEWHERE,
    PREFIX,
    TOO_FREQUENT,
    Credentials,
)
from yizhan.platforms.webwechat.wire.envelopes import JSON_ENVELOPE
from yizhan.wire import Fault, FaultCode, HttpRequest
from yizhan.world import Blob, Group, Network, Post, World

FIRST_UIN = 1_000_020_001
MAX_ENDED_SESSIONS = 1000


@dataclass(slots=True)
class SandboxMessage:
    """A message before it is written in the UserNames of a login."""

    id: str
    kind: str
    """text, image, voice, video, file, sticker, contact_card, location, or the name of a card type (link, quote …)."""
    at: float
    sender: tuple[Sort, str]
    to: tuple[Sort, str]
    text: str = ""
    """The text, or the title of a card."""
    xml: str = ""
    """Of a card, contact or location."""
    name: str = ""
    blob: Blob | None = None
    thumb_size: tuple[int, int] = (0, 0)
    """Pixels."""
    milliseconds: int = 0
    md5: str = ""
    post: Post | None = None


class ServerState(SandboxServer):
    """State and routing that the chapters of calls share.

    A chapter is a subclass that names its methods in `calls`; `Server` inherits from all chapters.
    """

    platform = PLATFORM
    envelope = JSON_ENVELOPE
    too_often = TOO_FREQUENT

    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        super().__init__(world, rules, options)
        self.router.shown_target = self.shown_target
        self.router.prefixes = (PREFIX, "/jslogin", "/qrcode", "/l")
        self.accounts: dict[str, Account] = {}
        self.sessions: dict[str, Session] = {}
        self.ended: dict[str, FaultCode] = {}
        """Why a session ended, by its Sid."""
        self.messages: dict[str, SandboxMessage] = {}
        self.cdn = Cdn()
        self.whole_uploads: dict[str, Blob] = {}
        """Whole uploads by MD5, for webwxcheckupload."""
        self.thumb_sizes: dict[str, tuple[int, int]] = {}
        """By SHA-256."""
        self.held_polls = 0
        self.closing = False

    def new_message_id(self) -> str:
        """Return a MsgId: 19 digits, below 2**63."""
        return str(10**18 + self.world.random.randrange(8 * 10**18))

    # --- accounts and sessions ---

    def new_account(self) -> Account:
        number = len(self.accounts)
        account = Account("me" if not number else f"me{number + 1}", FIRST_UIN + number, set())
        self.accounts[account.id] = account
        return account

    def start_session(self, account: Account) -> Session:
        """Start a session and end the account's older one: the service allows one browser at a time."""
        for older in [s for s in self.sessions.values() if s.account is account]:
            self.end_session(older, LOGIN_ELSEWHERE)
        session = Session(self.world, account, self.accounts)
        account.browsers.add(session.browser)
        self.sessions[session.sid] = session
        return session

    def end_session(self, session: Session, reason: FaultCode) -> None:
        self.sessions.pop(session.sid, None)
        self.ended[session.sid] = reason
        if len(self.ended) > MAX_ENDED_SESSIONS:
            self.ended.pop(next(iter(self.ended)))
        session.wake()

    def session_of(self, http: HttpRequest, credentials: Credentials | None = None) -> Session:
        """Return the session of a request, by the Sid and Uin of BaseRequest or, without a Sid there, by the cookies.

        An empty Skey is accepted, since one client sends none. Queries are not looked at: clients leave `+` in them
        unencoded.

        Raises:
            Fault: 1102 if nothing names a session, 1101 if another login replaced it, else 1100.
        """
        cookies = http.cookies()
        sid, uin, skey = cookies.get("wxsid", ""), cookies.get("wxuin", ""), ""
        if credentials is not None and credentials.Sid:
            sid, uin, skey = str(credentials.Sid), str(credentials.Uin), str(credentials.Skey or "")
        if not sid:
            raise Fault(COOKIE_INVALID)
        session = self.sessions.get(sid)
        if session is None:
            raise Fault(self.ended.get(sid, LOGGED_OUT))
        if uin not in ("", "0", str(session.account.uin)) or skey not in ("", session.skey):
            raise Fault(LOGGED_OUT)
        return session

    def shown_target(self, http: HttpRequest, user_name: str) -> str:
        """Return the stable name of a request's UserName; the UserName itself if it is unknown."""
        asking = self.sessions.get(http.cookies().get("wxsid", ""))
        for session in [asking] if asking is not None else list(self.sessions.values()):
            recipient = session.names.recipient(user_name)
            if recipient is not None:
                return recipient.shown
        return user_name

    # --- messages ---

    def readers(self, message: SandboxMessage) -> Iterator[Session]:
        """Yield the sessions that receive `message`."""
        sort, id = message.to
        for session in list(self.sessions.values()):
            own = ("account", session.account.id)
            if message.sender != own and (sort == "room" or message.to == own or id == "*"):
                yield session

    def push_to_all(self, items_for: Callable[[Session], list[NewsItem]]) -> None:
        """Push `items_for(session)` to every session."""
        for session in list(self.sessions.values()):
            items = items_for(session)
            if items:
                session.push(*items)

    def keep(self, message: SandboxMessage, **post: Any) -> None:
        """Keep a message for downloads and recalls, and add it to the world's posts."""
        self.messages[message.id] = message
        message.post = self.record(
            sender=message.sender[1],
            message_id=message.id,
            kind=message.kind,
            text=message.text,
            name=message.name,
            blob=message.blob,
            at=message.at,
            **post,
        )

    def reset(self) -> None:
        super().reset()
        for session in list(self.sessions.values()):
            session.wake()
        for store in (self.accounts, self.sessions, self.ended, self.messages, self.whole_uploads, self.thumb_sizes):
            store.clear()
        self.cdn.clear()


def find_group(network: Network, text: str) -> Group:
    """Return a group by id or name.

    Raises:
        LookupError: there is no such group.
    """
    found = next((g for g in network.groups.values() if g.name == text), None)
    return found if found is not None and text not in network.groups else network.group(text)
