"""Contacts and rooms: shown in the names of one login, and changed."""

from __future__ import annotations

import math

from yizhan.http.router import Call
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server.desk import Desk
from yizhan.platforms.webwechat.server.names import Account, Whom
from yizhan.platforms.webwechat.server.session import Item, Session
from yizhan.platforms.webwechat.wire.base import BAD_PARAMETER, PREFIX, TARGET_GONE, Loose, Ok
from yizhan.platforms.webwechat.wire.contacts import Contact, Member
from yizhan.platforms.webwechat.wire.content import escaped
from yizhan.platforms.webwechat.wire.session import Changed, Deleted
from yizhan.wire import Fault, HttpResponse
from yizhan.world import Group, Person

FILE_HELPER = "文件传输助手"
IS_CONTACT, IS_CHAT = 1, 2
"""Bits of ContactFlag."""


# --- objects ----------------------------------------------------------------------------------------------------------


def helper_contact() -> Contact:
    return Contact(UserName="filehelper", NickName=FILE_HELPER, ContactFlag=3, KeyWord="fil")


def person_contact(session: Session, person: Person) -> Contact:
    name = session.names.of("person", person.id)
    return Contact(
        UserName=name,
        NickName=escaped(person.name),
        RemarkName=escaped(person.remark),
        HeadImgUrl=_icon(session, name),
        ContactFlag=IS_CONTACT | IS_CHAT,
        Sex=1,
    )


def account_contact(session: Session, account: Account) -> Contact:
    name = session.names.of("account", account.id)
    return Contact(UserName=name, NickName=account.id, HeadImgUrl=_icon(session, name), ContactFlag=3, Sex=1)


def room_contact(desk: Desk, session: Session, group: Group, *, members: bool) -> Contact:
    """Return a room; the address book lists it without members, init and the batch call with them."""
    name = session.names.of("room", group.id)
    people = room_members(desk, session, group) if members else []
    return Contact(
        UserName=name,
        NickName=escaped(group.name),
        HeadImgUrl=_icon(session, name, "webwxgetheadimg"),
        ContactFlag=IS_CHAT,
        MemberCount=len(people),
        MemberList=people,
        Statues=1,
        EncryChatRoomId="@" + name[2:34],
        IsOwner=int(group.owner == session.account.id),
    )


def room_members(desk: Desk, session: Session, group: Group) -> list[Member]:
    names, people = session.names, desk.network.people
    others = [
        Member(UserName=names.of("person", id), NickName=escaped(people[id].name))
        for id in group.members
        if id in people
    ]
    accounts = [Member(UserName=names.of("account", a.id), NickName=a.id) for a in desk.accounts.values()]
    return accounts + others


def contact_of(desk: Desk, session: Session, whom: Whom) -> Contact:
    match whom.sort:
        case "person":
            return person_contact(session, desk.network.people[whom.id])
        case "room":
            return room_contact(desk, session, desk.network.groups[whom.id], members=True)
        case "account":
            return account_contact(session, desk.accounts[whom.id])
    return helper_contact() if whom.id == "filehelper" else Contact(UserName=whom.id, NickName=whom.id)


def all_contacts(desk: Desk, session: Session) -> list[Contact]:
    """The address book: file helper, people, other accounts that are logged in, rooms."""
    others = [a for a in desk.accounts.values() if a is not session.account]
    return [
        helper_contact(),
        *(person_contact(session, p) for p in desk.network.people.values() if p.friends),
        *(account_contact(session, account) for account in others),
        *(room_contact(desk, session, g, members=False) for g in desk.network.groups.values() if not g.gone),
    ]


def changed(contact: Contact) -> Changed:
    """Return the shorter form of ModContactList."""
    return Changed(**{name: getattr(contact, name) for name in Changed.__struct_fields__ if hasattr(contact, name)})


def tell_changed(desk: Desk, *who: Person | Group) -> None:
    """Let every login know of people and rooms that are new or other than before."""

    def make(session: Session) -> list[Item]:
        items: list[Item] = []
        for one in who:
            if isinstance(one, Person):
                items.append(changed(person_contact(session, one)))
            else:
                items.append(changed(room_contact(desk, session, one, members=True)))
        return items

    desk.tell_all(make)


def tell_gone(desk: Desk, group: Group) -> None:
    desk.tell_all(lambda session: [Deleted(session.names.of("room", group.id), 0)])


def _icon(session: Session, name: str, call: str = "webwxgeticon") -> str:
    return f"{PREFIX}/{call}?seq=1&username={name}&skey={session.skey}"


# --- calls ------------------------------------------------------------------------------------------------------------


def serve_people(desk: Desk) -> None:
    """Register the calls of this chapter."""
    on = desk.router.on

    @on(wire.GET_CONTACT)
    async def get_contact(call: Call[wire.GetContact]) -> wire.GotContact:
        session = desk.session(call.http)
        everybody = all_contacts(desk, session)
        size = max(1, desk.rules.number("contacts.page"))
        start = _number(call.request.seq)
        page = everybody[start : start + size]
        more = start + size if start + size < len(everybody) else 0
        return wire.GotContact(MemberCount=len(page), MemberList=page, Seq=more)

    @on(wire.BATCH_GET_CONTACT)
    async def batch(call: Call[wire.BatchGetContact]) -> wire.GotBatch:
        session = desk.session(call.http, call.request.BaseRequest)
        wanted = call.request.List
        if len(wanted) > desk.rules["contacts.batch"]:
            raise Fault(BAD_PARAMETER)
        found = [whom for entry in wanted if (whom := session.names.whom(entry.UserName)) is not None]
        contacts = [contact_of(desk, session, whom) for whom in found]
        return wire.GotBatch(Count=len(contacts), ContactList=contacts)

    @on(wire.OPLOG)
    async def oplog(call: Call[wire.OpLog]) -> Ok:
        session = desk.session(call.http, call.request.BaseRequest)
        whom = session.names.whom(call.request.UserName)
        if whom is None:
            raise Fault(BAD_PARAMETER)
        person = desk.network.people.get(whom.id) if whom.sort == "person" else None
        # A pin without RemarkName wipes the remark as well: the field is taken whatever CmdId says.
        if person is not None and person.remark != call.request.RemarkName:
            person.remark = call.request.RemarkName[:100]
            tell_changed(desk, person)
        return Ok()

    @on(wire.VERIFY_USER)
    async def verify_user(call: Call[wire.VerifyUser]) -> Ok:
        session = desk.session(call.http, call.request.BaseRequest)
        for entry in call.request.VerifyUserList:
            whom = session.names.whom(entry.Value)
            person = desk.network.people.get(whom.id) if whom is not None and whom.sort == "person" else None
            if person is not None and not person.friends:
                person.friends = True
                tell_changed(desk, person)
        return Ok()

    @on(wire.SEARCH_CONTACT)
    async def search(call: Call[wire.SearchContact]) -> wire.FoundContacts:
        session = desk.session(call.http, call.request.BaseRequest)
        word = call.request.KeyWord
        people = [p for p in desk.network.people.values() if word and word in (p.id, p.name, p.remark)]
        found = [wire.Found(session.names.of("person", person.id)) for person in people]
        return wire.FoundContacts(Count=len(found), List=found)


def serve_rooms(desk: Desk) -> None:
    """Register the calls of this chapter."""
    on = desk.router.on

    @on(wire.CREATE_ROOM)
    async def create(call: Call[wire.CreateRoom]) -> wire.CreatedRoom:
        session = desk.session(call.http, call.request.BaseRequest)
        people = _people(session, [m.UserName for m in call.request.MemberList])
        if not people:
            raise Fault(BAD_PARAMETER)
        id = f"{desk.world.random.randrange(10**10, 10**11)}@chatroom"
        names = [desk.network.people[p].name for p in people]
        name = call.request.Topic[:64] or "、".join([*names[:3]])
        group = desk.network.add_group(id, name, people, owner=session.account.id)
        tell_changed(desk, group)
        return wire.CreatedRoom(
            Topic=call.request.Topic,
            MemberCount=len(people),
            MemberList=[m for m in room_members(desk, session, group) if m.UserName in _asked(call.request)],
            ChatRoomName=session.names.of("room", id),
        )

    @on(wire.UPDATE_ROOM)
    async def update(call: Call[wire.UpdateRoom]) -> wire.UpdatedRoom:
        request = call.request
        session = desk.session(call.http, request.BaseRequest)
        whom = session.names.whom(request.ChatRoomName)
        if whom is None or whom.sort != "room":
            raise Fault(TARGET_GONE)
        group = desk.network.groups[whom.id]
        _change_room(desk, session, group, request)
        tell_changed(desk, group)
        members = room_members(desk, session, group)
        return wire.UpdatedRoom(MemberCount=len(members), MemberList=members)

    @on(wire.STAT_REPORT)
    async def report(call: Call[wire.StatReport]) -> Ok:
        return Ok()

    @on(wire.CHECK_URL)
    async def check_url(call: Call[wire.CheckUrl]) -> HttpResponse:
        desk.session(call.http)
        if not call.request.requrl.lower().startswith(("http://", "https://")):
            raise Fault(BAD_PARAMETER)
        return HttpResponse(302, [("Location", call.request.requrl)])


def _change_room(desk: Desk, session: Session, group: Group, request: wire.UpdateRoom) -> None:
    match request.fun:
        case "addmember" | "invitemember":
            # Above 40 members the service wants an invitation instead.
            if request.fun == "addmember" and len(group.members) > desk.rules["room.add_limit"]:
                raise Fault(BAD_PARAMETER)
            given = request.AddMemberList if request.fun == "addmember" else request.InviteMemberList
            new = [p for p in _people(session, _list(given)) if p not in group.members]
            group.members.extend(new)
        case "delmember":
            gone = _people(session, _list(request.DelMemberList))
            group.members[:] = [p for p in group.members if p not in gone]
        case "modtopic" if isinstance(request.NewTopic, str) and request.NewTopic:
            group.name = request.NewTopic[:64]
        case _:
            raise Fault(BAD_PARAMETER)


def _people(session: Session, user_names: list[str]) -> list[str]:
    found = [session.names.whom(name) for name in user_names]
    return [whom.id for whom in found if whom is not None and whom.sort == "person"]


def _asked(request: wire.CreateRoom) -> set[str]:
    return {member.UserName for member in request.MemberList}


def _list(names: object) -> list[str]:
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else []


def _number(value: Loose) -> int:
    try:
        number = float(value or 0)
    except ValueError:
        return 0
    return int(number) if math.isfinite(number) and number > 0 else 0
