"""Contacts in the UserNames of one login, and the calls that read and change them."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from yizhan.http.router import Call
from yizhan.platforms.kit.server import Calls
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server import pictures
from yizhan.platforms.webwechat.server.names import Account, Recipient
from yizhan.platforms.webwechat.server.session import NewsItem, Session
from yizhan.platforms.webwechat.server.state import ServerState
from yizhan.platforms.webwechat.wire.base import BAD_PARAMETER, PREFIX, EmptyResponse, NumberOrText
from yizhan.platforms.webwechat.wire.contacts import Contact, Member
from yizhan.platforms.webwechat.wire.content import escape_content
from yizhan.platforms.webwechat.wire.session import DelContact, ModContact
from yizhan.wire import Fault, HttpResponse
from yizhan.world import Group, Person

FILE_HELPER = "文件传输助手"
IS_CONTACT, IS_CHAT = 1, 2
"""Bits of ContactFlag."""


def helper_contact() -> Contact:
    return Contact(UserName="filehelper", NickName=FILE_HELPER, ContactFlag=3, KeyWord="fil")


def person_contact(session: Session, person: Person) -> Contact:
    name = session.names.of("person", person.id)
    return Contact(
        UserName=name,
        NickName=escape_content(person.name),
        RemarkName=escape_content(person.remark),
        HeadImgUrl=_icon(session, name),
        ContactFlag=IS_CONTACT | IS_CHAT,
        Sex=1,
    )


def account_contact(session: Session, account: Account) -> Contact:
    name = session.names.of("account", account.id)
    return Contact(UserName=name, NickName=account.id, HeadImgUrl=_icon(session, name), ContactFlag=3, Sex=1)


def room_contact(state: ServerState, session: Session, group: Group, *, members: bool) -> Contact:
    """Return a room. webwxgetcontact lists it without members, webwxinit and webwxbatchgetcontact with them."""
    name = session.names.of("room", group.id)
    people = room_members(state, session, group) if members else []
    return Contact(
        UserName=name,
        NickName=escape_content(group.name),
        HeadImgUrl=_icon(session, name, "webwxgetheadimg"),
        ContactFlag=IS_CHAT,
        MemberCount=len(people),
        MemberList=people,
        Statues=1,
        EncryChatRoomId="@" + name[2:34],
        IsOwner=int(group.owner == session.account.id),
    )


def room_members(state: ServerState, session: Session, group: Group) -> list[Member]:
    names, people = session.names, state.network.people
    others = [
        Member(UserName=names.of("person", id), NickName=escape_content(people[id].name))
        for id in group.members
        if id in people
    ]
    accounts = [Member(UserName=names.of("account", a.id), NickName=a.id) for a in state.accounts.values()]
    return accounts + others


def contact_of(state: ServerState, session: Session, recipient: Recipient) -> Contact:
    match recipient.sort:
        case "person":
            return person_contact(session, state.network.people[recipient.id])
        case "room":
            return room_contact(state, session, state.network.groups[recipient.id], members=True)
        case "account":
            return account_contact(session, state.accounts[recipient.id])
    return helper_contact() if recipient.id == "filehelper" else Contact(UserName=recipient.id, NickName=recipient.id)


def all_contacts(state: ServerState, session: Session) -> list[Contact]:
    """Return the address book: file helper, people, the other accounts, rooms."""
    others = [a for a in state.accounts.values() if a is not session.account]
    return [
        helper_contact(),
        *(person_contact(session, p) for p in state.network.people.values() if p.friends),
        *(account_contact(session, account) for account in others),
        *(room_contact(state, session, g, members=False) for g in state.network.groups.values() if not g.gone),
    ]


def short_form(contact: Contact) -> ModContact:
    """Return the shorter form of ModContactList."""
    shared = set(ModContact.__struct_fields__) & set(Contact.__struct_fields__)
    return ModContact(**{name: getattr(contact, name) for name in shared})


def push_changed(state: ServerState, *changed: Person | Group) -> None:
    """Tell every session about new or changed people and rooms."""

    def items_for(session: Session) -> list[NewsItem]:
        items: list[NewsItem] = []
        for one in changed:
            if isinstance(one, Person):
                items.append(short_form(person_contact(session, one)))
            else:
                items.append(short_form(room_contact(state, session, one, members=True)))
        return items

    state.push_to_all(items_for)


def push_gone(state: ServerState, group: Group) -> None:
    state.push_to_all(lambda session: [DelContact(session.names.of("room", group.id), 0)])


def _icon(session: Session, name: str, call: str = "webwxgeticon") -> str:
    return f"{PREFIX}/{call}?seq=1&username={name}&skey={session.skey}"


class ContactCalls(ServerState):
    """The address book, remarks, friend requests, icons."""

    calls: ClassVar[Calls] = {
        "get_contact": wire.GET_CONTACT,
        "batch_get_contact": wire.BATCH_GET_CONTACT,
        "oplog": wire.OPLOG,
        "verify_user": wire.VERIFY_USER,
        "search_contact": wire.SEARCH_CONTACT,
        "stat_report": wire.STAT_REPORT,
        "check_url": wire.CHECK_URL,
        "get_icon": wire.GET_ICON,
        "get_head_image": wire.GET_HEAD_IMAGE,
        "get_map": wire.GET_MAP,
    }

    async def get_contact(self, call: Call[wire.GetContact]) -> wire.ContactPage:
        session = self.session_of(call.http)
        contacts = all_contacts(self, session)
        size = max(1, self.rules.number("contacts.page"))
        start = _number(call.request.seq)
        page = contacts[start : start + size]
        more = start + size if start + size < len(contacts) else 0
        return wire.ContactPage(MemberCount=len(page), MemberList=page, Seq=more)

    async def batch_get_contact(self, call: Call[wire.BatchGetContact]) -> wire.BatchResponse:
        session = self.session_of(call.http, call.request.BaseRequest)
        wanted = call.request.List
        if len(wanted) > self.rules["contacts.batch"]:
            raise Fault(BAD_PARAMETER)
        found = [one for entry in wanted if (one := session.names.recipient(entry.UserName)) is not None]
        contacts = [contact_of(self, session, recipient) for recipient in found]
        return wire.BatchResponse(Count=len(contacts), ContactList=contacts)

    async def oplog(self, call: Call[wire.OpLog]) -> EmptyResponse:
        session = self.session_of(call.http, call.request.BaseRequest)
        recipient = session.names.recipient(call.request.UserName)
        if recipient is None:
            raise Fault(BAD_PARAMETER)
        person = self.network.people.get(recipient.id) if recipient.sort == "person" else None
        # Pinning without RemarkName erases the remark: the field counts for every CmdId.
        if person is not None and person.remark != call.request.RemarkName:
            person.remark = call.request.RemarkName[:100]
            push_changed(self, person)
        return EmptyResponse()

    async def verify_user(self, call: Call[wire.VerifyUser]) -> EmptyResponse:
        session = self.session_of(call.http, call.request.BaseRequest)
        for id in people_of(session, [entry.Value for entry in call.request.VerifyUserList]):
            person = self.network.people[id]
            if not person.friends:
                person.friends = True
                push_changed(self, person)
        return EmptyResponse()

    async def search_contact(self, call: Call[wire.SearchContact]) -> wire.SearchResponse:
        session = self.session_of(call.http, call.request.BaseRequest)
        word = call.request.KeyWord
        people = [p for p in self.network.people.values() if word and word in (p.id, p.name, p.remark)]
        found = [wire.FoundContact(session.names.of("person", person.id)) for person in people]
        return wire.SearchResponse(Count=len(found), List=found)

    async def stat_report(self, call: Call[wire.StatReport]) -> EmptyResponse:
        return EmptyResponse()

    async def check_url(self, call: Call[wire.CheckUrl]) -> HttpResponse:
        self.session_of(call.http)
        if not call.request.requrl.lower().startswith(("http://", "https://")):
            raise Fault(BAD_PARAMETER)
        return HttpResponse(302, [("Location", call.request.requrl)])

    async def get_icon(self, call: Call[Any]) -> HttpResponse:
        self.session_of(call.http)
        return HttpResponse(200, [("Content-Type", "image/jpeg")], pictures.avatar())

    get_head_image = get_icon
    get_map = get_icon


def people_of(session: Session, user_names: list[str]) -> list[str]:
    """Return the ids of the people among `user_names`."""
    found = [session.names.recipient(name) for name in user_names]
    return [recipient.id for recipient in found if recipient is not None and recipient.sort == "person"]


def _number(value: NumberOrText) -> int:
    try:
        number = float(value or 0)
    except ValueError:
        return 0
    return int(number) if math.isfinite(number) and number > 0 else 0
