"""Logging in: code, poll, page, cookies; by the phone that a test plays, or confirmed by itself."""

from __future__ import annotations

import asyncio
import string
from dataclasses import dataclass, field
from typing import Literal

from yizhan.errors import did_you_mean
from yizhan.http.router import Call
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server import pictures
from yizhan.platforms.webwechat.server.desk import Desk
from yizhan.platforms.webwechat.server.names import Account
from yizhan.platforms.webwechat.server.session import Session
from yizhan.platforms.webwechat.wire.base import LOGGED_OUT, LOGIN_REFUSED, PREFIX, TICKET_ERROR
from yizhan.platforms.webwechat.wire.login import LoginPage, LoginPolled, PushedLogin, QrLogin
from yizhan.wire import Fault, HttpRequest, HttpResponse

_ALPHABET = string.ascii_letters + string.digits + "-_"
_EXPIRES = "Path=/; Expires=Fri, 01-Jan-2038 00:00:00 GMT"
MOST_LOGINS = 2000

State = Literal["waiting", "scanned", "confirmed", "cancelled", "expired"]


@dataclass(slots=True)
class Attempt:
    """One code that is being shown, or one push login."""

    uuid: str
    ticket: str
    made_at: float
    state: State = "waiting"
    told: State = "waiting"
    account: Account | None = None
    session: Session | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def move(self, state: State) -> None:
        self.state = state
        self.changed.set()
        self.changed = asyncio.Event()


class Phone:
    """The codes that are open, and the phone that scans them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._open: dict[str, Attempt] = {}

    def open(self, account: Account | None = None) -> Attempt:
        """Make a new code; for a push login the account is known and its phone has been asked already."""
        random, now = self._desk.world.random, self._desk.now()
        uuid = "".join(random.choices(_ALPHABET, k=10)) + "=="
        attempt = Attempt(uuid, f"A{self._desk.world.hex(20)}@qrticket_0", now, account=account)
        if account is not None:
            attempt.state = attempt.told = "scanned"
        self._open[uuid] = attempt
        if len(self._open) > MOST_LOGINS:
            self._open.pop(next(iter(self._open)))
        return attempt

    def find(self, uuid: str) -> Attempt | None:
        """Return the attempt if its code has not expired."""
        attempt = self._open.get(uuid)
        if attempt is None:
            return None
        too_old = self._desk.now() - attempt.made_at > self._desk.rules["login.qr_seconds"]
        if attempt.state in ("waiting", "scanned") and too_old:
            attempt.move("expired")
        return attempt

    def play(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"]) -> None:
        """Do what a person does with the phone.

        Raises:
            LookupError: no such code is open.
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
                # Older pages are told nothing, and the code may be scanned again.
                attempt.move("cancelled" if self._desk.rules["login.says_cancelled"] else "waiting")

    async def news(self, attempt: Attempt) -> None:
        """Return when the phone does something, or the poll has been held long enough."""
        if not self._desk.options.manual_logins and attempt.state in ("waiting", "scanned"):
            attempt.move("scanned" if attempt.state == "waiting" else "confirmed")
        if attempt.state == attempt.told and attempt.state in ("waiting", "scanned") and not self._desk.closing:
            try:
                await asyncio.wait_for(attempt.changed.wait(), self._desk.rules["login.hold_seconds"])
            except TimeoutError:
                return

    def wake(self) -> None:
        for attempt in self._open.values():
            attempt.changed.set()

    def forget(self) -> None:
        self.wake()
        self._open.clear()


def serve_login(desk: Desk, phone: Phone) -> None:
    """Register the calls of this chapter."""
    on = desk.router.on

    @on(wire.JSLOGIN)
    async def jslogin(call: Call[wire.JsLogin]) -> QrLogin:
        return QrLogin(phone.open().uuid)

    @on(wire.QRCODE)
    async def qrcode(call: Call[wire.Uuid]) -> HttpResponse:
        picture = await asyncio.to_thread(pictures.qr_picture, wire.QR_TEXT + call.request.uuid[:64])
        return HttpResponse(200, [("Content-Type", "image/jpeg")], picture)

    @on(wire.PHONE_PAGE)
    async def phone_page(call: Call[wire.Uuid]) -> HttpResponse:
        page = "<!doctype html><title>WeChat</title><p>Scan this code with the phone.</p>"
        return HttpResponse(200, [("Content-Type", "text/html; charset=utf-8")], page.encode())

    @on(wire.LOGIN)
    async def login(call: Call[wire.LoginPoll]) -> LoginPolled:
        attempt = phone.find(call.request.uuid)
        if attempt is None:
            return LoginPolled(wire.EXPIRED)
        before = attempt.told
        await phone.news(attempt)
        attempt.told = attempt.state
        return _polled(attempt, before, call.base_url)

    @on(wire.NEW_LOGIN_PAGE)
    async def new_login_page(call: Call[wire.NewLoginPage]) -> HttpResponse:
        request = call.request
        attempt = phone.find(request.uuid)
        if attempt is None or attempt.state != "confirmed" or attempt.ticket != request.ticket:
            raise Fault(TICKET_ERROR)
        if desk.rules["login.needs_desktop"] and not isinstance(request.extspam, str):
            raise Fault(LOGIN_REFUSED, "当前登录环境异常。为了你的帐号安全，暂时不能登录web微信。")
        if attempt.session is not None and attempt.session.sid not in desk.sessions:
            raise Fault(TICKET_ERROR)
        if attempt.session is None:
            attempt.session = desk.start(attempt.account or _account(desk, call.http))
        return _page(attempt.session, call.base_url)

    @on(wire.PUSH_LOGIN_URL)
    async def push_login_url(call: Call[wire.PushLogin]) -> PushedLogin:
        account = _known(desk, call.http, str(call.request.uin))
        if account is None:
            return PushedLogin("1", "not possible", "")
        return PushedLogin(uuid=phone.open(account).uuid)

    @on(wire.LOGOUT)
    async def logout(call: Call[wire.Logout]) -> HttpResponse:
        session = desk.sessions.get(call.http.cookies().get("wxsid", ""))
        if session is not None:
            desk.end(session, LOGGED_OUT)
        headers = [("Location", f"{call.base_url}/"), ("Set-Cookie", "wxuin=; Path=/; Max-Age=0")]
        return HttpResponse(301, [("Content-Type", "text/plain"), *headers])


def _polled(attempt: Attempt, before: State, base_url: str) -> LoginPolled:
    match attempt.state:
        case "confirmed":
            return LoginPolled(wire.CONFIRMED, redirect_uri=_redirect(attempt, base_url))
        case "cancelled":
            attempt.move("expired")
            return LoginPolled(wire.CANCELLED)
        case "expired":
            return LoginPolled(wire.EXPIRED)
        case "scanned" if before != "scanned":
            return LoginPolled(wire.SCANNED, userAvatar=pictures.avatar_uri())
    return LoginPolled(wire.WAITING)


def _redirect(attempt: Attempt, base_url: str) -> str:
    # One client looks for dotted words to find the host, another cuts at the last slash: no slash behind the `?`.
    scheme, _, host = base_url.partition("://")
    name, colon, port = host.rpartition(":") if ":" in host and not host.endswith("]") else (host, "", "")
    dotted = "127.0.0.1" if name == "localhost" else name
    query = f"ticket={attempt.ticket}&uuid={attempt.uuid}&lang=zh_CN&scan={int(attempt.made_at)}"
    return f"{scheme}://{dotted}{colon}{port}{PREFIX}/webwxnewloginpage?{query}"


def _account(desk: Desk, http: HttpRequest) -> Account:
    """Whose phone confirms: the browser's user if it has one, else a user of its own for every new browser."""
    known = _known(desk, http, http.cookies().get("wxuin", ""))
    if known is not None:
        return known
    if desk.rules["login.same_account"] and desk.accounts:
        return next(iter(desk.accounts.values()))
    return desk.new_account()


def _known(desk: Desk, http: HttpRequest, uin: str) -> Account | None:
    browser = http.cookies().get("webwxuvid", "")
    for account in desk.accounts.values():
        if str(account.uin) == uin and browser in account.browsers:
            return account
    return None


def _page(session: Session, base_url: str) -> HttpResponse:
    cookies = {
        "wxuin": str(session.account.uin),
        "wxsid": session.sid,
        "wxloadtime": str(session.started),
        "mm_lang": "zh_CN",
        "webwx_data_ticket": session.data_ticket,
        "webwxuvid": session.browser,
        "webwx_auth_ticket": session.auth_ticket,
    }
    headers = [("Content-Type", "text/plain")]
    headers += [("Set-Cookie", f"{name}={value}; {_EXPIRES}") for name, value in cookies.items()]
    page = LoginPage(session.skey, session.sid, str(session.account.uin), session.pass_ticket)
    body = wire.NEW_LOGIN_PAGE.envelope.wrap(wire.NEW_LOGIN_PAGE, page).data
    return HttpResponse(301, [*headers, ("Location", f"{base_url}/")], body)
