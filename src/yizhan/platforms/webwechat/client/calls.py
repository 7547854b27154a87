"""The raw calls, named as the page's own script names them."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from msgspec import UNSET, UnsetType

from yizhan.errors import WireMismatch
from yizhan.http.client import Progress
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.client.connection import Connection
from yizhan.platforms.webwechat.client.saved import Saved, cookies_of
from yizhan.wire import Endpoint, mask_text


class WebWx(Connection):
    """Every call of web WeChat for one account. What needs a login raises LoginNeeded without one."""

    # --- logging in ---

    async def jslogin(self) -> str:
        """Return the uuid of a new code."""
        redirect: str | UnsetType = wire.DESKTOP_REDIRECT if self.settings.desktop else UNSET
        request = wire.JsLogin(redirect_uri=redirect, lang=self._lang, now=self.milliseconds())
        return (await self.call(wire.JSLOGIN, request)).uuid

    async def login(self, uuid: str, tip: int) -> wire.LoginPolled:
        """Ask once how the login with this code stands; held by the service for up to 25 seconds."""
        now = self.milliseconds()
        return await self.call(wire.LOGIN, wire.LoginPoll(uuid=uuid, tip=tip, r=_inverted(now), now=now))

    async def webwxnewloginpage(self, redirect_uri: str) -> Saved:
        """Fetch what the confirmed login gives.

        Raises:
            LoginNeeded: the account is refused; the text has the service's own words.
        """
        parts = self._confirmed(redirect_uri)
        query = dict(parse_qsl(parts.query))
        request = wire.NewLoginPage(
            ticket=query.get("ticket", ""),
            uuid=query.get("uuid", ""),
            lang=query.get("lang", self._lang),
            scan=query.get("scan", ""),
        )
        if self.settings.desktop:
            request.client_version, request.extspam = wire.DESKTOP_VERSION, wire.EXTSPAM
            request.referer = wire.DESKTOP_REFERER
        api = f"{parts.scheme}://{parts.netloc}"
        if not wire.is_vendor(self.settings.api_base):
            api = self.settings.api_base
        self.caller.bases = dict(wire.bases(api))
        headers = {"Cookie": self._cookie} if self._cookie else None
        answer = await self.caller.exchange(wire.NEW_LOGIN_PAGE, request, headers=headers)
        if b"<ret>" in answer.data:
            # Redirecting is this call's way of answering, refusals too: what counts is the page in it.
            answer.status = 200
        page = self.caller.read(wire.NEW_LOGIN_PAGE, answer)
        if not page.wxsid or not page.wxuin:
            raise self._odd(wire.NEW_LOGIN_PAGE, "the page of a confirmed login has no wxsid or no wxuin")
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
            raise self._odd(wire.LOGIN, f"the confirmed login leads to '{mask_text(redirect_uri[:80])}', no address")
        return parts

    def _odd(self, endpoint: Endpoint[Any, Any], why: str) -> WireMismatch:
        return WireMismatch(f"{self.account}: {endpoint.name}: {why}.", account=self.account, endpoint=endpoint.name)

    async def webwxpushloginurl(self, uin: str) -> str:
        """Ask the phone to confirm, without a code; returns the uuid to poll with."""
        return (await self.call(wire.PUSH_LOGIN_URL, wire.PushLogin(uin))).uuid

    async def webwxlogout(self) -> None:
        for type_ in (0, 1):
            await self.call(wire.LOGOUT, wire.Logout(type=type_, skey=self.ready.skey, lang=self._lang))

    # --- the session ---

    async def webwxinit(self) -> wire.Inited:
        """Take up the session; the own UserName and a newer skey are kept."""
        saved = self.ready
        request = wire.Init(
            BaseRequest=self._base, r=_inverted(self.milliseconds()), lang=self._lang, pass_ticket=saved.pass_ticket
        )
        inited = await self.call(wire.INIT, request)
        if not inited.User.UserName:
            raise self._odd(wire.INIT, "the answer does not say who is logged in (User.UserName)")
        saved.me, saved.nick = inited.User.UserName, inited.User.NickName
        self._renew({}, inited.SKey)
        return inited

    async def webwxstatusnotify(self, code: int, to: str) -> str:
        saved = self.ready
        request = wire.StatusNotify(
            BaseRequest=self._base,
            Code=code,
            FromUserName=saved.me,
            ToUserName=to,
            ClientMsgId=self.milliseconds(),
            lang=self._lang,
            pass_ticket=saved.pass_ticket,
        )
        return (await self.call(wire.STATUS_NOTIFY_CALL, request)).MsgID

    async def webwxgetcontact(self) -> list[wire.Contact]:
        """Return the whole address book."""
        saved = self.ready
        found: list[wire.Contact] = []
        seq, seen = 0, {0}
        while True:
            request = wire.GetContact(
                lang=self._lang,
                pass_ticket=saved.pass_ticket,
                r=self.milliseconds(),
                seq=seq,
                skey=saved.skey,
            )
            page = await self.call(wire.GET_CONTACT, request)
            found += page.MemberList
            seq = page.Seq
            if seq in seen:
                return found
            seen.add(seq)

    async def webwxbatchgetcontact(self, user_names: list[str]) -> list[wire.Contact]:
        """Return contacts by name, rooms with their members; at most 50 in one call."""
        saved = self.ready
        request = wire.BatchGetContact(
            BaseRequest=self._base,
            Count=len(user_names),
            List=[wire.Wanted(UserName=name) for name in user_names],
            r=self.milliseconds(),
            lang=self._lang,
            pass_ticket=saved.pass_ticket,
        )
        return (await self.call(wire.BATCH_GET_CONTACT, request)).ContactList

    async def synccheck(self, key: wire.Keys) -> str:
        """Wait until something happens, or about 25 seconds; returns the selector."""
        saved = self.ready
        now = self.milliseconds()
        request = wire.SyncCheck(
            r=now, skey=saved.skey, sid=saved.sid, uin=saved.uin, deviceid=saved.device_id, synckey=str(key), now=now
        )
        return (await self.call(wire.SYNC_CHECK, request)).selector

    async def webwxsync(self, key: wire.Keys) -> wire.Synced:
        saved = self.ready
        request = wire.Sync(
            BaseRequest=self._base,
            SyncKey=key,
            rr=_inverted(self.milliseconds()),
            sid=saved.sid,
            skey=saved.skey,
            lang=self._lang,
            pass_ticket=saved.pass_ticket,
        )
        synced = await self.call(wire.SYNC, request)
        self._renew({}, synced.SKey)
        return synced

    # --- sending ---

    async def send(self, name: str, msg: wire.Outgoing, scene: int = 0) -> wire.Sent:
        """Carry out one of the sending calls: webwxsendmsg, …img, …videomsg, …emoticon, …appmsg."""
        saved = self.ready
        endpoint: Endpoint[Any, wire.Sent] = wire.SENDING[name]
        request = endpoint.request(
            BaseRequest=self._base, Msg=msg, Scene=scene, lang=self._lang, pass_ticket=saved.pass_ticket
        )
        return await self.call(endpoint, request)

    async def webwxsendmsg(self, msg: wire.Outgoing, scene: int = 0) -> wire.Sent:
        return await self.send("webwxsendmsg", msg, scene)

    async def webwxsendmsgimg(self, msg: wire.Outgoing, scene: int = 0) -> wire.Sent:
        return await self.send("webwxsendmsgimg", msg, scene)

    async def webwxsendvideomsg(self, msg: wire.Outgoing, scene: int = 0) -> wire.Sent:
        return await self.send("webwxsendvideomsg", msg, scene)

    async def webwxsendemoticon(self, msg: wire.Outgoing, scene: int = 0) -> wire.Sent:
        return await self.send("webwxsendemoticon", msg, scene)

    async def webwxsendappmsg(self, msg: wire.Outgoing, scene: int = 0) -> wire.Sent:
        return await self.send("webwxsendappmsg", msg, scene)

    async def webwxrevokemsg(self, message_id: str, to: str, client_id: str) -> wire.Revoked:
        saved = self.ready
        request = wire.Revoke(
            BaseRequest=self._base,
            SvrMsgId=message_id,
            ToUserName=to,
            ClientMsgId=client_id,
            lang=self._lang,
            pass_ticket=saved.pass_ticket,
        )
        return await self.call(wire.REVOKE, request)

    # --- files ---

    async def webwxcheckupload(self, name: str, size: int, md5: str, to: str) -> wire.CheckedUpload:
        request = wire.CheckUpload(
            BaseRequest=self._base,
            FileMd5=md5,
            FileName=name,
            FileSize=size,
            FileType=wire.CHECK_FILE_TYPE,
            FromUserName=self.ready.me,
            ToUserName=to,
        )
        return await self.call(wire.CHECK_UPLOAD, request)

    def upload_request(self, size: int, md5: str, to: str) -> wire.UploadMediaRequest:
        """Return the JSON of an upload, the same for all chunks of one file."""
        return wire.UploadMediaRequest(
            BaseRequest=self._base,
            ClientMediaId=self.unique_milliseconds(),
            TotalLen=size,
            DataLen=size,
            FromUserName=self.ready.me,
            ToUserName=to,
            FileMd5=md5,
        )

    async def webwxuploadmedia(self, form: wire.UploadMedia, progress: Progress | None = None) -> wire.UploadedMedia:
        form.webwx_data_ticket = self.ready.cookies.get("webwx_data_ticket", "")
        form.pass_ticket = unquote(self.ready.pass_ticket)
        return await self.call(wire.UPLOAD_MEDIA, form, progress=progress)

    # --- contacts and rooms ---

    async def webwxoplog(self, user_name: str, remark: str, *, pin: bool | None = None) -> None:
        """Set a remark; with `pin` also pin the chat or take it down. The remark is always written."""
        request = wire.OpLog(
            BaseRequest=self._base,
            CmdId=wire.REMARK if pin is None else wire.PIN,
            OP=UNSET if pin is None else int(pin),
            UserName=user_name,
            RemarkName=remark,
            lang=self._lang,
            pass_ticket=self.ready.pass_ticket,
        )
        await self.call(wire.OPLOG, request)

    async def webwxverifyuser(self, value: str, ticket: str = "", words: str = "", *, accept: bool = True) -> None:
        """Accept a friend request (its UserName and Ticket), or ask somebody."""
        saved = self.ready
        request = wire.VerifyUser(
            BaseRequest=self._base,
            Opcode=wire.ACCEPT if accept else wire.ASK,
            VerifyUserList=[wire.Verified(Value=value, VerifyUserTicket=ticket)],
            VerifyContent=words,
            skey=saved.skey,
            r=self.milliseconds(),
            lang=self._lang,
            pass_ticket=saved.pass_ticket,
        )
        await self.call(wire.VERIFY_USER, request)

    async def webwxcreatechatroom(self, members: list[str], topic: str = "") -> wire.CreatedRoom:
        request = wire.CreateRoom(
            BaseRequest=self._base,
            MemberCount=len(members),
            MemberList=[wire.NamedMember(name) for name in members],
            Topic=topic,
            pass_ticket=self.ready.pass_ticket,
            r=self.milliseconds(),
        )
        return await self.call(wire.CREATE_ROOM, request)

    async def webwxupdatechatroom(self, room: str, fun: str, value: str) -> wire.UpdatedRoom:
        """`fun`: addmember, delmember or invitemember (`value`: names joined by commas), or modtopic."""
        request = wire.UpdateRoom(
            BaseRequest=self._base, ChatRoomName=room, fun=fun, pass_ticket=self.ready.pass_ticket
        )
        field = {
            "addmember": "AddMemberList",
            "delmember": "DelMemberList",
            "invitemember": "InviteMemberList",
            "modtopic": "NewTopic",
        }[fun]
        setattr(request, field, value)
        return await self.call(wire.UPDATE_ROOM, request)


def _inverted(milliseconds: int) -> int:
    """NOT of the time as the page's script has it: 32 bits, signed."""
    value = ~milliseconds & 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value
