"""The calls of our client, under the names of the page's own script."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec
from msgspec import UNSET

from yizhan.http.client import Progress
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.client.connection import Connection
from yizhan.platforms.webwechat.client.session import Session, cookies_of
from yizhan.wire import Endpoint, mask_text


class WebWx(Connection):
    """The calls of one account. All but the login calls raise LoginNeeded without a session."""

    # --- login ---

    async def jslogin(self) -> str:
        """Return the uuid of a new QR code."""
        redirect = wire.DESKTOP_REDIRECT if self.settings.desktop else UNSET
        request = wire.JsLogin(redirect_uri=redirect, lang=self.settings.lang, now=self.milliseconds())
        return (await self.call(wire.JSLOGIN, request)).uuid

    async def login(self, uuid: str, tip: int) -> wire.LoginPollResponse:
        """Ask for the state of a login; the service holds the request for up to 25 seconds."""
        now = self.milliseconds()
        return await self.call(wire.LOGIN, wire.LoginPoll(uuid=uuid, tip=tip, r=_inverted(now), now=now))

    async def webwxpushloginurl(self, uin: str) -> str:
        """Ask the phone to confirm a login without a QR code; return the uuid to poll."""
        return (await self.call(wire.PUSH_LOGIN_URL, wire.PushLogin(uin))).uuid

    async def webwxnewloginpage(self, redirect_uri: str) -> Session:
        """Return the session of a confirmed login.

        Raises:
            LoginNeeded: the account is refused; the text has the service's own words.
        """
        parts = self._confirmed_address(redirect_uri)
        own = self.settings.api_base
        api = f"{parts.scheme}://{parts.netloc}" if wire.is_vendor(own) else own
        self.caller.bases = dict(wire.bases(api))
        headers = {"Cookie": self._cookie} if self._cookie else None
        request = self._login_page_request(dict(parse_qsl(parts.query)))
        response = await self.caller.exchange(wire.NEW_LOGIN_PAGE, request, headers=headers)
        page = self.caller.read(wire.NEW_LOGIN_PAGE, response)
        if not page.wxsid or not page.wxuin:
            raise self.unexpected(wire.NEW_LOGIN_PAGE, "the page of a confirmed login lacks wxsid or wxuin")
        cookies = {**(self.session.cookies if self.session else {}), **cookies_of(response)}
        device = "e" + "".join(random.choices("0123456789", k=15))
        return Session(api, cookies, page.skey, page.wxsid, page.wxuin, page.pass_ticket, device, home=own)

    def _login_page_request(self, query: dict[str, str]) -> wire.NewLoginPage:
        desktop = self.settings.desktop
        return wire.NewLoginPage(
            ticket=query.get("ticket", ""),
            uuid=query.get("uuid", ""),
            lang=query.get("lang", self.settings.lang),
            scan=query.get("scan", ""),
            client_version=wire.DESKTOP_VERSION if desktop else UNSET,
            extspam=wire.EXTSPAM if desktop else UNSET,
            referer=wire.DESKTOP_REFERER if desktop else UNSET,
        )

    def _confirmed_address(self, redirect_uri: str) -> SplitResult:
        try:
            parts = urlsplit(redirect_uri)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            masked = mask_text(redirect_uri[:80])
            raise self.unexpected(wire.LOGIN, f"the redirect_uri of the confirmed login is '{masked}', no address")
        return parts

    async def webwxlogout(self) -> None:
        for type_ in (0, 1):
            await self.call(wire.LOGOUT, wire.Logout(type=type_))

    # --- session ---

    async def webwxinit(self) -> wire.InitResponse:
        """Start or resume the session; keep the own UserName and a new skey."""
        response = await self.call(wire.INIT, wire.Init(r=_inverted(self.milliseconds())))
        if not response.User.UserName:
            raise self.unexpected(wire.INIT, "the response lacks User.UserName")
        session = self.ready
        session.me, session.nick = response.User.UserName, response.User.NickName
        self.identify(session)
        self.renew({}, response.SKey)
        return response

    async def webwxstatusnotify(self, code: wire.NotifyCode, to: str) -> str:
        request = wire.StatusNotify(Code=code, ToUserName=to, ClientMsgId=self.milliseconds())
        return (await self.call(wire.STATUS_NOTIFY, request)).MsgID

    async def webwxgetcontact(self) -> list[wire.Contact]:
        """Return the whole address book."""
        found: list[wire.Contact] = []
        seq, seen = 0, {0}
        while True:
            page = await self.call(wire.GET_CONTACT, wire.GetContact(r=self.milliseconds(), seq=seq))
            found += page.MemberList
            seq = page.Seq
            if seq in seen:
                return found
            seen.add(seq)

    async def webwxbatchgetcontact(self, user_names: list[str]) -> list[wire.Contact]:
        """Return up to 50 contacts by UserName, rooms with their members."""
        wanted = [wire.ContactQuery(UserName=name) for name in user_names]
        request = wire.BatchGetContact(Count=len(wanted), List=wanted, r=self.milliseconds())
        return (await self.call(wire.BATCH_GET_CONTACT, request)).ContactList

    async def synccheck(self, key: wire.SyncKeys) -> str:
        """Wait until something happens, or for about 25 seconds; return the selector."""
        now = self.milliseconds()
        return (await self.call(wire.SYNC_CHECK, wire.SyncCheck(r=now, synckey=str(key), now=now))).selector

    async def webwxsync(self, key: wire.SyncKeys) -> wire.SyncResponse:
        """Return the news after `key`; keep a new skey."""
        response = await self.call(wire.SYNC, wire.Sync(SyncKey=key, rr=_inverted(self.milliseconds())))
        self.renew({}, response.SKey)
        return response

    # --- sending ---

    async def send(self, call: str, msg: wire.Outgoing, scene: int = 0) -> wire.SendResponse:
        """Send `msg` by the sending call of that name, such as `webwxsendmsg`."""
        endpoint: Endpoint[Any, wire.SendResponse] = wire.SENDING[call]
        return await self.call(endpoint, endpoint.request(Msg=msg, Scene=scene))

    async def webwxrevokemsg(self, message_id: str, to: str, client_id: str) -> wire.RevokeResponse:
        return await self.call(wire.REVOKE, wire.Revoke(SvrMsgId=message_id, ToUserName=to, ClientMsgId=client_id))

    # --- uploads ---

    async def webwxcheckupload(self, name: str, size: int, md5: str, to: str) -> wire.CheckUploadResponse:
        request = wire.CheckUpload(
            FileMd5=md5, FileName=name, FileSize=size, FileType=wire.CHECK_FILE_TYPE, ToUserName=to
        )
        return await self.call(wire.CHECK_UPLOAD, request)

    def upload_request(self, size: int, md5: str, to: str) -> wire.UploadMediaRequest:
        """Return the JSON of an upload; all chunks of one file repeat it."""
        return wire.UploadMediaRequest(
            BaseRequest=self.credentials,
            ClientMediaId=self.unique_milliseconds(),
            TotalLen=size,
            DataLen=size,
            FromUserName=self.ready.me,
            ToUserName=to,
            FileMd5=md5,
        )

    async def webwxuploadmedia(
        self, form: wire.UploadMedia, progress: Progress | None = None
    ) -> wire.UploadMediaResponse:
        # The form has the pass_ticket decoded; queries have it as the login page gave it.
        form = msgspec.structs.replace(form, pass_ticket=unquote(self.ready.pass_ticket))
        return await self.call(wire.UPLOAD_MEDIA, form, progress=progress)


def _inverted(milliseconds: int) -> int:
    """Return the bitwise NOT of a time, as a signed 32-bit number, as the page's script sends it."""
    value = ~milliseconds & 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value
