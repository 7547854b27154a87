"""The serving end: one gateway with its accounts, as the sandbox shows it.

By the vendor's chapters: messages · contacts (labels, groups) · moments (mini programs) · cdn. `accounts` has who is
logged in, `sockets` pushes, `sources` gets media from wherever they are named.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal

from yizhan.http.router import Call
from yizhan.model import Kind
from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.ohwxapi import PLATFORM, wire
from yizhan.platforms.ohwxapi.server.accounts import Account, Accounts, Handler, qr_picture
from yizhan.platforms.ohwxapi.server.cdn import Cdn
from yizhan.platforms.ohwxapi.server.contacts import Contacts
from yizhan.platforms.ohwxapi.server.messages import Messages
from yizhan.platforms.ohwxapi.server.moments import Moments
from yizhan.platforms.ohwxapi.server.simulated import EventPlayer
from yizhan.platforms.ohwxapi.server.sockets import Sockets
from yizhan.platforms.ohwxapi.server.sources import Sources
from yizhan.platforms.ohwxapi.wire import EventName
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import ServerOptions, SimulatedEvent
from yizhan.wire import Fault, HttpRequest, HttpResponse
from yizhan.world import Blob, World


class Server(SandboxServer):
    """Answers the gateway's wire over a World.

    `options.extra`: `accounts`, the wxids that are logged in (the first is the one that people write to); `folders`,
    below which paths are read (default: the system's folder for temporary files).
    """

    platform = PLATFORM
    envelope = wire.CGI
    too_often = wire.TOO_OFTEN

    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        super().__init__(world, rules, options)
        self.router.any_case = True
        self.router.unknown = lambda _http, _fields: Fault(wire.UNKNOWN_COMMAND)
        names = [str(name) for name in options.extra.get("accounts", [])]
        self.accounts = Accounts(self, names, manual=options.manual_logins)
        self.sources = Sources(self, options.extra.get("folders"))
        self.cdn = Cdn(self, self.sources)
        self.messages = Messages(self, self.accounts, self.cdn, self.sources)
        self.sockets = self.messages.sockets = Sockets(world, self.router, lambda wxid: wxid in self.accounts.known)
        self.contacts = Contacts(self, self.accounts, self.messages)
        self.moments = Moments(self, self.accounts, self.sockets)
        self._player = EventPlayer(self.accounts, self.messages, self.contacts, self.cdn)
        self._serve_all()

    # --- the sandbox's interface ---

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        """Let a person write to an account (`to="bot"` is the first one), or in a group.

        A person who is no friend asks to become one with the text.
        """
        person = self.accounts.network.person(sender)
        group = None if to == "bot" or to in self.accounts.known else self.accounts.network.group(to)
        account = self.accounts.known.get(to, self.accounts.first)
        if group is None and not person.friends:
            return self.contacts.ask_to_be_friend(person, account, text)
        return self.messages.say(sender, account, group, text, media, kind, name)

    async def event(self, event: SimulatedEvent) -> str:
        return self._player.play(event)

    def people(self, kind: Literal["user", "group"], count: int) -> list[str]:
        """Create people or groups that the accounts know; returns their wxids."""
        network = self.accounts.network
        if kind == "user":
            return [network.add_person(f"wxid_{self.world.hex(14)}", f"Person {n + 1}").id for n in range(count)]
        members = list(network.people)[:3]
        ids = [self.contacts.new_group_id() for _ in range(count)]
        return [network.add_group(id, f"Group {n + 1}", members).id for n, id in enumerate(ids)]

    async def login(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"]) -> None:
        self.accounts.play(uuid, step)

    def reset(self) -> None:
        super().reset()
        self.accounts.reset()
        self.cdn.reset()
        self.moments.reset()

    async def close(self) -> None:
        await self.sockets.close()

    # --- commands ---

    def _on(self, command: wire.Command[Any, Any], handler: Handler) -> None:
        async def handle(call: Call[Any]) -> Any:
            return await handler(self.accounts.acting(call.request.wxid), call.request.CgiRequest)

        self.router.add(command, handle)

    def _serve_all(self) -> None:
        for chapter in (self.messages, self.contacts, self.moments):
            for command, handler in chapter.commands():
                self._on(command, handler)
        self._on(wire.CDN_UPLOAD, self._upload)
        self._on(wire.CDN_DOWNLOAD, self._download)
        self._on(wire.DOWNLOAD_IMAGE, self._download)
        self._on(wire.DOWNLOAD_VIDEO, self._download)
        self._on(wire.HEARTBEAT, _nothing)
        self._on(wire.NATIVE_SYNC, _nothing)
        self._on(wire.SYNC, _nothing)
        self._serve_login()
        self._serve_first_generation()

    async def _upload(self, account: Account, asked: wire.CdnUpload) -> str:
        if asked.ToUserName:
            self.accounts.kind_of(account, asked.ToUserName)
        return await self.cdn.upload(account, asked)

    async def _download(self, _account: Account, asked: wire.CdnDownload) -> wire.Downloaded:
        return await self.cdn.download(asked)

    # --- login ---

    def _serve_login(self) -> None:
        add = self.router.add
        add(wire.GET_LOGIN_QR_CODE, self._qr_page)
        add(wire.PUSH_LOGIN, self._push_login)
        add(wire.GET_ACCOUNTS, self._online)
        add(wire.NATIVE_QR_CODE, self._native_qr)
        add(wire.NATIVE_CHECK, self._native_check)
        add(wire.NATIVE_PUSH, self._native_push)
        add(wire.ONLINE_INFO, self._online)
        self._on(wire.LOGOUT, self._logout)

    async def _qr_page(self, call: Call[wire.GetLoginQrCode]) -> HttpResponse:
        code = self._new_code(call.request.wxid)
        if call.request.json == "1":
            return wire.CGI.wrap(wire.GET_LOGIN_QR_CODE, code)
        page = (
            '<!DOCTYPE html><html><head><meta charset="utf-8"><title>login</title></head><body>'
            f'<img src="data:image/png;base64,{code.QrCodeBase64}"></body></html>'
        )
        return HttpResponse(200, [("Content-Type", "text/html; charset=utf-8")], page.encode())

    def _new_code(self, wxid: str) -> wire.LoginQrCode:
        login = self.accounts.start_login(wxid)
        text = f"http://weixin.qq.com/x/{login.uuid}"
        return wire.LoginQrCode(login.uuid, qr_picture(text), text)

    async def _push_login(self, call: Call[wire.PushLogin]) -> wire.PushedLogin:
        return self._ask_phone(call.request.wxid)

    def _ask_phone(self, wxid: str) -> wire.PushedLogin:
        if wxid not in self.accounts.known:
            raise Fault(wire.NO_LOGIN)
        return wire.PushedLogin(self.accounts.start_login(wxid).uuid)

    async def _online(self, _call: Call[Any]) -> wire.OnlineUsers:
        """Clients compare by prefix: the last four characters are masked."""
        return wire.OnlineUsers([wire.OnlineUser(f"{a.wxid[:-4]}****", a.name) for a in self.accounts.online()])

    async def _native_qr(self, call: Call[Any]) -> wire.LoginQrCode:
        return self._new_code(call.request.CgiRequest.Wxid)

    async def _native_check(self, call: Call[Any]) -> wire.QrCodeState:
        login = self.accounts.look(call.request.CgiRequest.Uuid)
        return wire.QrCodeState(login.uuid, login.state, login.wxid if login.state == 2 else "")

    async def _native_push(self, call: Call[Any]) -> wire.PushedLogin:
        return self._ask_phone(call.request.CgiRequest.Wxid or call.request.wxid)

    async def _logout(self, account: Account, _asked: wire.NoParameters) -> wire.Nothing:
        account.online = False
        data = wire.EventData(Reason="logged out", EventName=EventName.ACCOUNT_OFFLINE)
        self.sockets.push(account.wxid, data)
        return wire.Nothing()

    # --- the first generation ---

    def _serve_first_generation(self) -> None:
        m = self.messages
        flat: list[tuple[Any, Callable[[Account, Any, str], Awaitable[Any]]]] = [
            (wire.V1_SEND_MSG, m.text),
            (wire.V1_SEND_IMAGE, m.image),
            (wire.V1_SEND_APP_MSG, m.app),
            (wire.V1_SEND_VOICE, m.voice),
            (wire.V1_SEND_EMOJI, m.sticker),
            (wire.V1_SEND_VIDEO, m.video),
            (wire.V1_SEND_CDN_IMAGE, self._cdn_image),
            (wire.V1_DOWNLOAD_VOICE, lambda account, asked, _call: self._download(account, asked)),
            (wire.V1_INIT_WXIDS, lambda account, asked, _call: _nothing(account, asked)),
        ]
        for endpoint, handler in flat:
            self.router.add(endpoint, self._flat(handler))
        self.router.add(wire.V1_MAGIC_CGI, self._magic)
        self.router.add(wire.V1_PUSH_LOGIN, self._push_login)
        self.router.add(wire.V1_GET_QR_CODE, self._qr_page)
        self.router.add(wire.V1_GET_ACCOUNTS, self._online)

    def _flat(self, handler: Callable[[Account, Any, str], Awaitable[Any]]) -> Callable[[Call[Any]], Awaitable[Any]]:
        async def handle(call: Call[Any]) -> Any:
            return await handler(self.accounts.acting(call.request.wxid), call.request, call.endpoint.name)

        return handle

    async def _cdn_image(self, account: Account, asked: wire.SendCdnImage, call: str) -> wire.Sent:
        return await self.messages.image(
            account, wire.SendImage(ToUserName=asked.ToUserName, ImageXml=asked.XmlStr), call
        )

    async def _magic(self, call: Call[wire.MagicCgi]) -> HttpResponse:
        """A body of the second generation under the first's path goes to the second's handlers."""
        path = wire.path_of(call.request.CgiCmd, call.request.CgiRequest)
        http = call.http
        return await self.router.answer(HttpRequest("POST", path, http.query, http.headers, http.body))


async def _nothing(_account: Account, _asked: Any) -> wire.Nothing:
    return wire.Nothing()
