"""Login: QR code, poll, page and cookies. A test plays the phone, or the login confirms itself."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from yizhan.http.router import Call
from yizhan.platforms.kit.server import Calls
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server import pictures
from yizhan.platforms.webwechat.server.names import Account
from yizhan.platforms.webwechat.server.phone import LoginAttempt, Phone
from yizhan.platforms.webwechat.server.session import Session
from yizhan.platforms.webwechat.server.state import ServerState
from yizhan.platforms.webwechat.wire.base import LOGGED_OUT, LOGIN_REFUSED, PREFIX, TICKET_ERROR
from yizhan.platforms.webwechat.wire.login import LoginPage, LoginPollResponse, PushLoginResponse, QrLogin
from yizhan.wire import Fault, HttpRequest, HttpResponse
from yizhan.world import World

_EXPIRES = "Path=/; Expires=Fri, 01-Jan-2038 00:00:00 GMT"


class LoginCalls(ServerState):
    """The login calls."""

    calls: ClassVar[Calls] = {
        "jslogin": wire.JSLOGIN,
        "qrcode": wire.QRCODE,
        "phone_page": wire.PHONE_PAGE,
        "poll_login": wire.LOGIN,
        "new_login_page": wire.NEW_LOGIN_PAGE,
        "push_login_url": wire.PUSH_LOGIN_URL,
        "logout": wire.LOGOUT,
    }

    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        super().__init__(world, rules, options)
        self.phone = Phone(self)

    async def jslogin(self, call: Call[wire.JsLogin]) -> QrLogin:
        return QrLogin(self.phone.open().uuid)

    async def qrcode(self, call: Call[wire.Uuid]) -> HttpResponse:
        picture = await asyncio.to_thread(pictures.qr_picture, wire.QR_TEXT + call.request.uuid[:64])
        return HttpResponse(200, [("Content-Type", "image/jpeg")], picture)

    async def phone_page(self, call: Call[wire.Uuid]) -> HttpResponse:
        page = "<!doctype html><title>WeChat</title><p>Scan this code with the phone.</p>"
        return HttpResponse(200, [("Content-Type", "text/html; charset=utf-8")], page.encode())

    async def poll_login(self, call: Call[wire.LoginPoll]) -> LoginPollResponse:
        attempt = self.phone.find(call.request.uuid)
        if attempt is None:
            return LoginPollResponse(wire.EXPIRED)
        before = attempt.reported
        await self.phone.wait_for_step(attempt)
        attempt.reported = attempt.state
        match attempt.state:
            case "confirmed":
                return LoginPollResponse(wire.CONFIRMED, redirect_uri=_redirect_uri(attempt, call.base_url))
            case "cancelled":
                attempt.move("expired")
                return LoginPollResponse(wire.CANCELLED)
            case "expired":
                return LoginPollResponse(wire.EXPIRED)
            case "scanned" if before != "scanned":
                return LoginPollResponse(wire.SCANNED, userAvatar=pictures.avatar_uri())
        return LoginPollResponse(wire.WAITING)

    async def new_login_page(self, call: Call[wire.NewLoginPage]) -> HttpResponse:
        request = call.request
        attempt = self.phone.find(request.uuid)
        if attempt is None or attempt.state != "confirmed" or attempt.ticket != request.ticket:
            raise Fault(TICKET_ERROR)
        if self.rules["login.needs_desktop"] and not isinstance(request.extspam, str):
            raise Fault(LOGIN_REFUSED, "当前登录环境异常。为了你的帐号安全，暂时不能登录web微信。")
        if attempt.session is not None and attempt.session.sid not in self.sessions:
            raise Fault(TICKET_ERROR)
        if attempt.session is None:
            attempt.session = self.start_session(attempt.account or self._confirming_account(call.http))
        return _login_page(attempt.session, call.base_url)

    async def push_login_url(self, call: Call[wire.PushLogin]) -> PushLoginResponse:
        account = self._known_account(call.http, str(call.request.uin))
        if account is None:
            return PushLoginResponse("1", "not possible", "")
        return PushLoginResponse(uuid=self.phone.open(account).uuid)

    async def logout(self, call: Call[wire.Logout]) -> HttpResponse:
        session = self.sessions.get(call.http.cookies().get("wxsid", ""))
        if session is not None:
            self.end_session(session, LOGGED_OUT)
        headers = [("Location", f"{call.base_url}/"), ("Set-Cookie", "wxuin=; Path=/; Max-Age=0")]
        return HttpResponse(301, [("Content-Type", "text/plain"), *headers])

    def _confirming_account(self, http: HttpRequest) -> Account:
        """Return the account whose phone confirms: the browser's own if it is known, else a new one."""
        known = self._known_account(http, http.cookies().get("wxuin", ""))
        if known is not None:
            return known
        if self.rules["login.same_account"] and self.accounts:
            return next(iter(self.accounts.values()))
        return self.new_account()

    def _known_account(self, http: HttpRequest, uin: str) -> Account | None:
        browser = http.cookies().get("webwxuvid", "")
        for account in self.accounts.values():
            if str(account.uin) == uin and browser in account.browsers:
                return account
        return None


def _redirect_uri(attempt: LoginAttempt, base_url: str) -> str:
    # One client takes the first dotted word for the host, another cuts at the last slash, so no `/` after the `?`.
    scheme, _, host = base_url.partition("://")
    name, colon, port = host.rpartition(":") if ":" in host and not host.endswith("]") else (host, "", "")
    dotted = "127.0.0.1" if name == "localhost" else name
    query = f"ticket={attempt.ticket}&uuid={attempt.uuid}&lang=zh_CN&scan={int(attempt.made_at)}"
    return f"{scheme}://{dotted}{colon}{port}{PREFIX}/webwxnewloginpage?{query}"


def _login_page(session: Session, base_url: str) -> HttpResponse:
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
