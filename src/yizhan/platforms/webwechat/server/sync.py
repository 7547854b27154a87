"""The start of a session, status notices, and the two calls that deliver messages."""

from __future__ import annotations

import asyncio
import re
from typing import ClassVar

from yizhan.http.router import Call
from yizhan.platforms.kit.server import Calls
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server.contacts import helper_contact, person_contact, room_contact
from yizhan.platforms.webwechat.server.session import NewsItem, Session
from yizhan.platforms.webwechat.server.state import ServerState
from yizhan.platforms.webwechat.wire.base import BAD_PARAMETER, TARGET_GONE
from yizhan.platforms.webwechat.wire.content import escape_content
from yizhan.platforms.webwechat.wire.session import AddMsg, DelContact, MessageType, ModContact, NotifyCode
from yizhan.wire import Fault

RECENT_CONTACTS = 20
_SECOND_KEY = re.compile(r"(?:^|\|)2_(\d{1,12})(?:\||$)")


class SyncCalls(ServerState):
    """webwxinit, webwxstatusnotify, synccheck, webwxsync."""

    calls: ClassVar[Calls] = {
        "init": wire.INIT,
        "status_notify": wire.STATUS_NOTIFY,
        "sync_check": wire.SYNC_CHECK,
        "sync": wire.SYNC,
    }

    async def init(self, call: Call[wire.Init]) -> wire.InitResponse:
        session = self.session_of(call.http, call.request.BaseRequest)
        rooms = [g for g in self.network.groups.values() if not g.gone][:RECENT_CONTACTS]
        people = [p for p in self.network.people.values() if p.friends][:RECENT_CONTACTS]
        contacts = [
            helper_contact(),
            *(room_contact(self, session, room, members=True) for room in rooms),
            *(person_contact(session, person) for person in people),
        ]
        return wire.InitResponse(
            Count=len(contacts),
            ContactList=contacts,
            SyncKey=session.key_at(session.end, self.now()),
            User=_own_profile(session),
            ChatSet="".join(f"{contact.UserName}," for contact in contacts),
            SKey=session.skey,
            ClientVersion=654311220,
            SystemTime=int(self.now()),
        )

    async def status_notify(self, call: Call[wire.StatusNotify]) -> wire.StatusNotifyResponse:
        request = call.request
        session = self.session_of(call.http, request.BaseRequest)
        try:
            code = NotifyCode(int(request.Code or 0))
        except (ValueError, OverflowError) as error:
            raise Fault(BAD_PARAMETER) from error
        if session.names.recipient(request.ToUserName) is None:
            raise Fault(TARGET_GONE)
        if code is NotifyCode.INITED:
            session.push(self._conversation_list(session))
        return wire.StatusNotifyResponse(self.new_message_id())

    async def sync_check(self, call: Call[wire.SyncCheck]) -> wire.SyncCheckResponse:
        session = self.session_of(call.http)
        match = _SECOND_KEY.search(call.request.synckey)
        position = session.position(int(match[1]) if match else None)
        if position >= session.end and not self.closing:
            await self._wait_for_news(session)
            # Raises if the session ended meanwhile.
            self.session_of(call.http)
        items = session.since(position)
        if not items:
            return wire.SyncCheckResponse()
        return wire.SyncCheckResponse(selector=wire.NEW_MESSAGE if _has_message(items) else wire.CONTACT_CHANGED)

    async def _wait_for_news(self, session: Session) -> None:
        self.held_polls += 1
        try:
            await asyncio.wait_for(session.news.wait(), self.rules["synccheck.hold_seconds"])
        except TimeoutError:
            return
        finally:
            self.held_polls -= 1

    async def sync(self, call: Call[wire.Sync]) -> wire.SyncResponse:
        session = self.session_of(call.http, call.request.BaseRequest)
        position = session.position(call.request.SyncKey.value(2))
        items = session.since(position)
        messages = [item for item in items if isinstance(item, AddMsg)]
        changed = [item for item in items if isinstance(item, ModContact)]
        deleted = [item for item in items if isinstance(item, DelContact)]
        next_position = session.after(position, len(items))
        key = session.key_at(next_position, self.now())
        return wire.SyncResponse(
            AddMsgCount=len(messages),
            AddMsgList=messages,
            ModContactCount=len(changed),
            ModContactList=changed,
            DelContactCount=len(deleted),
            DelContactList=deleted,
            ContinueFlag=int(next_position < session.end),
            SyncKey=key,
            SyncCheckKey=key,
        )

    def _conversation_list(self, session: Session) -> AddMsg:
        """Return the phone's reply to a ready page: its chats, by UserName and by stable id."""
        people = [p for p in self.network.people.values() if p.friends][:RECENT_CONTACTS]
        names = ["filehelper", *(session.names.of("person", p.id) for p in people)]
        ids = ["filehelper", *(p.id for p in people)]
        content = f"<msg>\n<op id='4'>\n<username>{','.join(ids)}</username>\n</op>\n</msg>"
        id = self.new_message_id()
        return AddMsg(
            MsgId=id,
            NewMsgId=int(id),
            FromUserName=session.me,
            ToUserName=session.me,
            MsgType=MessageType.STATUS_NOTIFY,
            Content=escape_content(content),
            CreateTime=int(self.now()),
            StatusNotifyCode=NotifyCode.SYNC_CHATS,
            StatusNotifyUserName=",".join(names),
        )


def _has_message(items: list[NewsItem]) -> bool:
    return any(isinstance(item, AddMsg) for item in items)


def _own_profile(session: Session) -> wire.Me:
    return wire.Me(
        Uin=session.account.uin, UserName=session.me, NickName=session.account.id, Sex=1, HeadImgFlag=1, SnsFlag=17
    )
