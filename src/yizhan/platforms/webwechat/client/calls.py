"""The raw calls, named as the page's own script names them."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from msgspec import UNSET, UnsetType

from yizhan.errors import WireMismatch
from yizhan.net.caller import Progress
from yizhan.platforms.webwechat import wire as calls
from yizhan.platforms.webwechat.client.connection import Connection
from yizhan.platforms.webwechat.client.saved import Saved, cookies_of
from yizhan.platforms.webwechat.wire import contacts, hosts, login, media, other, sending, session
from yizhan.wire import Endpoint, mask_text


class WebWx(Connection):
    """Every call of web WeChat for one account. What needs a login raises LoginNeeded without one."""

    # --- logging in

    async def jslogin(self) -> str:
        """Return the uuid of a new code."""
        redirect: str | UnsetType = login.DESKTOP_REDIRECT if self.settings.desktop else UNSET
        request = login.JsLogin(redirect_uri=redirect, lang=self.settings.lang, now=self.milliseconds())
        return (await self.call(calls.JSLOGIN, request)).uuid

    async def login(self, uuid: str, tip: int) -> login.LoginPolled:
        """Ask once how the login with this code stands; held by the service for up to 25 seconds."""
        now = self.milliseconds()
        return await self.call(calls.LOGIN, login.LoginPoll(uuid=uuid, tip=tip, r=_inverted(now), now=now))

    async def webwxnewloginpage(self, redirect_uri: str) -> Saved:
        """Fetch what the confirmed login gives.

        Raises:
            LoginNeeded: the account is refused; the text has the service's own words.
        """
        parts = self._confirmed(redirect_uri)
        query = dict(parse_qsl(parts.query))
        request = login.NewLoginPage(
            ticket=query.get("ticket", ""),
            uuid=query.get("uuid", ""),
            lang=query.get("lang", self.settings.lang),
            scan=query.get("scan", ""),
        )
        if self.settings.desktop:
            request.client_version, request.extspam = login.DESKTOP_VERSION, login.EXTSPAM
            request.referer = login.DESKTOP_REFERER
        api = f"{parts.scheme}://{parts.netloc}"
        if not hosts.is_vendor(self.settings.api_base):
            api = self.settings.api_base
        self.caller.bases = dict(hosts.bases(api))
        headers = {"Cookie": self._cookie} if self._cookie else None
        answer = await self.caller.exchange(calls.NEW_LOGIN_PAGE, request, headers=headers)
        if b"<ret>" in answer.data:
            # Redirecting is this call's way of answering, refusals too: what counts is the page in it.
            answer.status = 200
        page = self.caller.read(calls.NEW_LOGIN_PAGE, answer)
        if not page.wxsid or not page.wxuin:
            raise self._odd(calls.NEW_LOGIN_PAGE, "the page of a confirmed login has no wxsid or no wxuin")
        kept = {**(self.saved.cookies if self.saved else {}), **cookies_of(answer)}
        device = "e" + "".join(random.choices("0123456789", k=15))
        home = self.settings.api_base
        return Saved(api, kept, page.skey, page.wxsid, page.wxuin, page.pass_ticket, device, home=home)

    def _confirmed(self, redirect_uri: str) -> SplitResult:
        try:
            parts = urlsplit(redirect_uri)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise self._odd(calls.LOGIN, f"the confirmed login leads to '{mask_text(redirect_uri[:80])}', no address")
        return parts

    def _odd(self, endpoint: Endpoint[Any, Any], why: str) -> WireMismatch:
        return WireMismatch(f"{self.account}: {endpoint.name}: {why}.", account=self.account, endpoint=endpoint.name)

    async def webwxpushloginurl(self, uin: str) -> str:
        """Ask the phone to confirm, without a code; returns the uuid to poll with."""
        return (await self.call(calls.PUSH_LOGIN_URL, login.PushLogin(uin))).uuid

    async def webwxlogout(self) -> None:
        for type_ in (0, 1):
            await self.call(calls.LOGOUT, login.Logout(type=type_, skey=self.ready.skey, lang=self.settings.lang))

    # --- the session

    async def webwxinit(self) -> session.Inited:
        """Take up the session; the own UserName and a newer skey are kept."""
        saved = self.ready
        request = session.Init(
            BaseRequest=self._base, r=_inverted(self.milliseconds()), lang=self._lang, pass_ticket=saved.pass_ticket
        )
        inited = await self.call(calls.INIT, request)
        if not inited.User.UserName:
            raise self._odd(calls.INIT, "the answer does not say who is logged in (User.UserName)")
        saved.me, saved.nick = inited.User.UserName, inited.User.NickName
        self._renew({}, inited.SKey)
        return inited

    async def webwxstatusnotify(self, code: int, to: str) -> str:
        saved = self.ready
        request = session.StatusNotify(
            BaseRequest=self._base,
            Code=code,
            FromUserName=saved.me,
            ToUserName=to,
            ClientMsgId=self.milliseconds(),
            lang=self._lang,
            pass_ticket=saved.pass_ticket,
        )
        return (await self.call(calls.STATUS_NOTIFY_CALL, request)).MsgID

    async def webwxgetcontact(self) -> list[contacts.Contact]:
        """Return the whole address book."""
        saved = self.ready
        found: list[contacts.Contact] = []
        seq, seen = 0, {0}
        while True:
            request = contacts.GetContact(
                lang=self._lang,
                pass_ticket=saved.pass_ticket,
                r=self.milliseconds(),
                seq=seq,
                skey=saved.skey,
            )
            page = await self.call(calls.GET_CONTACT, request)
            found += page.MemberList
            seq = page.Seq
            if seq in seen:
                return found
            seen.add(seq)

    async def webwxbatchgetcontact(self, user_names: list[str]) -> list[contacts.Contact]:
        """Return contacts by name, rooms with their members; at most 50 in one call."""
        saved = self.ready
        request = contacts.BatchGetContact(
            BaseRequest=self._base,
            Count=len(user_names),
            List=[contacts.Wanted(UserName=name) for name in user_names],
            r=self.milliseconds(),
            lang=self._lang,
            pass_ticket=saved.pass_ticket,
        )
        return (await self.call(calls.BATCH_GET_CONTACT, request)).ContactList

    async def synccheck(self, key: session.Keys) -> str:
        """Wait until something happens, or about 25 seconds; returns the selector."""
        saved = self.ready
        now = self.milliseconds()
        request = session.SyncCheck(
            r=now, skey=saved.skey, sid=saved.sid, uin=saved.uin, deviceid=saved.device_id, synckey=str(key), now=now
        )
        return (await self.call(calls.SYNC_CHECK, request)).selector

    async def webwxsync(self, key: session.Keys) -> session.Synced:
        saved = self.ready
        request = session.Sync(
            BaseRequest=self._base,
            SyncKey=key,
            rr=_inverted(self.milliseconds()),
            sid=saved.sid,
            skey=saved.skey,
            lang=self._lang,
            pass_ticket=saved.pass_ticket,
        )
        synced = await self.call(calls.SYNC, request)
        self._renew({}, synced.SKey)
        return synced

    # --- sending

    async def send(self, name: str, msg: sending.Outgoing, scene: int = 0) -> sending.Sent:
        """Carry out one of the sending calls: webwxsendmsg, …img, …videomsg, …emoticon, …appmsg."""
        saved = self.ready
        endpoint: Endpoint[Any, sending.Sent] = sending.SENDING[name]
        request = endpoint.request(
            BaseRequest=self._base, Msg=msg, Scene=scene, lang=self._lang, pass_ticket=saved.pass_ticket
        )
        return await self.call(endpoint, request)

    async def webwxsendmsg(self, msg: sending.Outgoing, scene: int = 0) -> sending.Sent:
        return await self.send("webwxsendmsg", msg, scene)

    async def webwxsendmsgimg(self, msg: sending.Outgoing, scene: int = 0) -> sending.Sent:
        return await self.send("webwxsendmsgimg", msg, scene)

    async def webwxsendvideomsg(self, msg: sending.Outgoing, scene: int = 0) -> sending.Sent:
        return await self.send("webwxsendvideomsg", msg, scene)

    async def webwxsendemoticon(self, msg: sending.Outgoing, scene: int = 0) -> sending.Sent:
        return await self.send("webwxsendemoticon", msg, scene)

    async def webwxsendappmsg(self, msg: sending.Outgoing, scene: int = 0) -> sending.Sent:
        return await self.send("webwxsendappmsg", msg, scene)

    async def webwxrevokemsg(self, message_id: str, to: str, client_id: str) -> sending.Revoked:
        saved = self.ready
        request = sending.Revoke(
            BaseRequest=self._base,
            SvrMsgId=message_id,
            ToUserName=to,
            ClientMsgId=client_id,
            lang=self._lang,
            pass_ticket=saved.pass_ticket,
        )
        return await self.call(calls.REVOKE, request)

    # --- files

    async def webwxcheckupload(self, name: str, size: int, md5: str, to: str) -> media.CheckedUpload:
        request = media.CheckUpload(
            BaseRequest=self._base,
            FileMd5=md5,
            FileName=name,
            FileSize=size,
            FileType=media.CHECK_FILE_TYPE,
            FromUserName=self.ready.me,
            ToUserName=to,
        )
        return await self.call(calls.CHECK_UPLOAD, request)

    def upload_request(self, size: int, md5: str, to: str) -> media.UploadMediaRequest:
        """Return the JSON of an upload, the same for all chunks of one file."""
        return media.UploadMediaRequest(
            BaseRequest=self._base,
            ClientMediaId=self.unique_milliseconds(),
            TotalLen=size,
            DataLen=size,
            FromUserName=self.ready.me,
            ToUserName=to,
            FileMd5=md5,
        )

    async def webwxuploadmedia(self, form: media.UploadMedia, progress: Progress | None = None) -> media.UploadedMedia:
        form.webwx_data_ticket = self.ready.cookies.get("webwx_data_ticket", "")
        form.pass_ticket = unquote(self.ready.pass_ticket)
        return await self.call(calls.UPLOAD_MEDIA, form, progress=progress)

    # --- contacts and rooms

    async def webwxoplog(self, user_name: str, remark: str, *, pin: bool | None = None) -> None:
        """Set a remark; with `pin` also pin the chat or take it down. The remark is always written."""
        request = other.OpLog(
            BaseRequest=self._base,
            CmdId=other.REMARK if pin is None else other.PIN,
            OP=UNSET if pin is None else int(pin),
            UserName=user_name,
            RemarkName=remark,
            lang=self._lang,
            pass_ticket=self.ready.pass_ticket,
        )
        await self.call(calls.OPLOG, request)

    async def webwxverifyuser(self, value: str, ticket: str = "", words: str = "", *, accept: bool = True) -> None:
        """Accept a friend request (its UserName and Ticket), or ask somebody."""
        saved = self.ready
        request = other.VerifyUser(
            BaseRequest=self._base,
            Opcode=other.ACCEPT if accept else other.ASK,
            VerifyUserList=[other.Verified(Value=value, VerifyUserTicket=ticket)],
            VerifyContent=words,
            skey=saved.skey,
            r=self.milliseconds(),
            lang=self._lang,
            pass_ticket=saved.pass_ticket,
        )
        await self.call(calls.VERIFY_USER, request)

    async def webwxcreatechatroom(self, members: list[str], topic: str = "") -> other.CreatedRoom:
        request = other.CreateRoom(
            BaseRequest=self._base,
            MemberCount=len(members),
            MemberList=[other.NamedMember(name) for name in members],
            Topic=topic,
            pass_ticket=self.ready.pass_ticket,
            r=self.milliseconds(),
        )
        return await self.call(calls.CREATE_ROOM, request)

    async def webwxupdatechatroom(self, room: str, fun: str, value: str) -> other.UpdatedRoom:
        """`fun`: addmember, delmember or invitemember (`value`: names joined by commas), or modtopic."""
        request = other.UpdateRoom(
            BaseRequest=self._base, ChatRoomName=room, fun=fun, pass_ticket=self.ready.pass_ticket
        )
        field = {
            "addmember": "AddMemberList",
            "delmember": "DelMemberList",
            "invitemember": "InviteMemberList",
            "modtopic": "NewTopic",
        }[fun]
        setattr(request, field, value)
        return await self.call(calls.UPDATE_ROOM, request)


def _inverted(milliseconds: int) -> int:
    """NOT of the time as the page's script has it: 32 bits, signed."""
    value = ~milliseconds & 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value
