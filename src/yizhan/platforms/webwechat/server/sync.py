"""Start of a session, status notices, and the two calls by which everything arrives."""

from __future__ import annotations

import asyncio
import re

from yizhan.http.router import Call
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server.desk import Desk
from yizhan.platforms.webwechat.server.people import helper_contact, person_contact, room_contact
from yizhan.platforms.webwechat.server.session import Session
from yizhan.platforms.webwechat.wire.content import escaped
from yizhan.platforms.webwechat.wire.session import Added, Changed, Deleted, Inited, Me, SyncChecked, Synced

RECENT = 20
_SECOND_KEY = re.compile(r"(?:^|\|)2_(\d{1,12})(?:\||$)")


def serve_sync(desk: Desk) -> None:
    """Register the calls of this chapter."""
    on = desk.router.on

    @on(wire.INIT)
    async def init(call: Call[wire.Init]) -> Inited:
        session = desk.session(call.http, call.request.BaseRequest)
        rooms = [g for g in desk.network.groups.values() if not g.gone][:RECENT]
        people = [p for p in desk.network.people.values() if p.friends][:RECENT]
        contacts = [
            helper_contact(),
            *(room_contact(desk, session, room, members=True) for room in rooms),
            *(person_contact(session, person) for person in people),
        ]
        return Inited(
            Count=len(contacts),
            ContactList=contacts,
            SyncKey=session.key_at(session.end, desk.now()),
            User=_me(session),
            ChatSet="".join(f"{contact.UserName}," for contact in contacts),
            SKey=session.skey,
            ClientVersion=654311220,
            SystemTime=int(desk.now()),
        )

    @on(wire.STATUS_NOTIFY_CALL)
    async def notify(call: Call[wire.StatusNotify]) -> wire.Notified:
        session = desk.session(call.http, call.request.BaseRequest)
        if str(call.request.Code) == str(wire.INITED):
            session.push(_conversations(desk, session))
        return wire.Notified(desk.message_id())

    @on(wire.SYNC_CHECK)
    async def sync_check(call: Call[wire.SyncCheck]) -> SyncChecked:
        session = desk.session(call.http)
        match = _SECOND_KEY.search(call.request.synckey)
        position = session.position(int(match[1]) if match else None)
        if position >= session.end and not desk.closing:
            desk.waiting += 1
            try:
                await _news(session, desk.rules["synccheck.hold_seconds"])
            finally:
                desk.waiting -= 1
            # The login may have ended meanwhile, which is what such a poll is told first.
            desk.session(call.http)
        items = session.since(position)
        if not items:
            return SyncChecked()
        return SyncChecked(selector=wire.NEW_MESSAGE if _has_message(items) else wire.CONTACT_CHANGED)

    @on(wire.SYNC)
    async def sync(call: Call[wire.Sync]) -> Synced:
        session = desk.session(call.http, call.request.BaseRequest)
        position = session.position(call.request.SyncKey.value(2))
        items = session.since(position)
        messages = [item for item in items if isinstance(item, Added)]
        contacts = [item for item in items if isinstance(item, Changed)]
        gone = [item for item in items if isinstance(item, Deleted)]
        at = session.after(position, len(items))
        key = session.key_at(at, desk.now())
        return Synced(
            AddMsgCount=len(messages),
            AddMsgList=messages,
            ModContactCount=len(contacts),
            ModContactList=contacts,
            DelContactCount=len(gone),
            DelContactList=gone,
            ContinueFlag=int(at < session.end),
            SyncKey=key,
            SyncCheckKey=key,
        )


async def _news(session: Session, seconds: float) -> None:
    try:
        await asyncio.wait_for(session.news.wait(), seconds)
    except TimeoutError:
        return


def _has_message(items: list[Added | Changed | Deleted]) -> bool:
    return any(isinstance(item, Added) for item in items)


def _me(session: Session) -> Me:
    return Me(
        Uin=session.account.uin, UserName=session.me, NickName=session.account.id, Sex=1, HeadImgFlag=1, SnsFlag=17
    )


def _conversations(desk: Desk, session: Session) -> Added:
    """What the phone says once the page is ready: its list of chats, by UserName and by stable id."""
    people = [p for p in desk.network.people.values() if p.friends][:RECENT]
    names = ["filehelper", *(session.names.of("person", p.id) for p in people)]
    ids = ["filehelper", *(p.id for p in people)]
    content = f"<msg>\n<op id='4'>\n<username>{','.join(ids)}</username>\n</op>\n</msg>"
    id = desk.message_id()
    return Added(
        MsgId=id,
        NewMsgId=int(id),
        FromUserName=session.me,
        ToUserName=session.me,
        MsgType=wire.STATUS_NOTIFY,
        Content=escaped(content),
        CreateTime=int(desk.now()),
        StatusNotifyCode=wire.SYNC_CHATS,
        StatusNotifyUserName=",".join(names),
    )
