"""The contacts of one login. Targets are remark names and nicknames; the wire needs the login's UserNames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from yizhan.errors import TargetGone, UnknownTarget, did_you_mean
from yizhan.platforms.webwechat.wire.contacts import Contact, Member
from yizhan.platforms.webwechat.wire.content import display_name
from yizhan.platforms.webwechat.wire.session import BUILT_IN, ModContact

NAME_PREFIX = "name:"
"""In front of a target's id: the rest is a name, even if it begins with `@` or equals a built-in UserName."""

NameIndex: TypeAlias = dict[tuple[bool, str], list[str]]
"""UserNames by (whether it is a room, name)."""


class AddressBook:
    """The contacts of one login by UserName, remark and nickname. The adapter fills it."""

    def __init__(self) -> None:
        self._contacts: dict[str, Contact | ModContact] = {}
        self._by_remark: NameIndex | None = None
        self._by_nickname: NameIndex = {}
        self.complete = False
        """Whether the whole address book has been read."""

    def add(self, contacts: Iterable[Contact | ModContact]) -> list[Contact | ModContact]:
        """Add or update contacts; return the new ones."""
        new: list[Contact | ModContact] = []
        for contact in contacts:
            known = self._contacts.get(contact.UserName)
            if known is None:
                new.append(contact)
            elif not contact.MemberList:
                # webwxgetcontact lists rooms without their members; keep the ones that are known.
                contact.MemberList = known.MemberList
            self._contacts[contact.UserName] = contact
            self._by_remark = None
        return new

    def remove(self, user_name: str) -> None:
        self._contacts.pop(user_name, None)
        self._by_remark = None

    def knows(self, user_name: str) -> bool:
        return user_name in self._contacts or user_name in BUILT_IN

    def lacks(self, user_name: str) -> bool:
        """Whether the service must be asked: the contact is unknown, or it is a room with unknown members."""
        if not user_name.startswith("@@"):
            return not self.knows(user_name)
        room = self._contacts.get(user_name)
        return room is None or not room.MemberList

    def find(self, kind: str, id: str) -> str | None:
        """Return the UserName of a target's id, or None if there is no such contact.

        A UserName of this login or a built-in one is used directly; else remarks are searched before nicknames.

        Raises:
            UnknownTarget: several contacts have that name; the text lists them.
        """
        if not id.startswith(NAME_PREFIX) and (id.startswith("@") or id in BUILT_IN):
            return id
        name = id.removeprefix(NAME_PREFIX)
        by_remark, by_nickname = self._indexes()
        key = (kind == "group", name)
        found = by_remark.get(key) or by_nickname.get(key) or []
        if len(found) > 1:
            raise UnknownTarget(
                f"{self._ambiguous(kind, name, found)} Give them different remark names, or use one of these."
            )
        return found[0] if found else None

    def not_found(self, account: str, kind: str, id: str) -> TargetGone:
        """Return the error for an unknown name; its text suggests close ones."""
        by_remark, by_nickname = self._indexes()
        names = {name for is_room, name in (*by_remark, *by_nickname) if is_room == (kind == "group")}
        noun = "room" if kind == "group" else "contact"
        return TargetGone(
            f"{account}: there is no {noun} called '{id.removeprefix(NAME_PREFIX)}'.{did_you_mean(id, names)} "
            "Targets are the remark names or nicknames of the address book; a room must be saved to it.",
            account=account,
        )

    def id_of(self, user_name: str) -> str:
        """Return the target id of a contact: its remark or nickname, or the UserName where neither is unique."""
        contact = self._contacts.get(user_name)
        if contact is None or user_name in BUILT_IN:
            return user_name
        kind = "group" if user_name.startswith("@@") else "user"
        for name in (display_name(contact.RemarkName), display_name(contact.NickName)):
            if not name:
                continue
            id = f"{NAME_PREFIX}{name}" if name.startswith("@") or name in BUILT_IN else name
            if self._unambiguous(kind, id) == user_name:
                return id
        return user_name

    def name_of(self, user_name: str, room: str = "") -> str:
        """Return the displayed name of a contact, in `room` if given; empty if unknown."""
        member = self._member(room, user_name) if room else None
        if member is not None and (member.DisplayName or member.NickName):
            return display_name(member.DisplayName or member.NickName)
        contact = self._contacts.get(user_name)
        return display_name(contact.RemarkName or contact.NickName) if contact is not None else ""

    def member(self, room: str, name: str) -> str | None:
        """Return the UserName of the member of `room` called `name`; a UserName is returned unchanged."""
        if name.startswith("@"):
            return name
        found = [m.UserName for m in self._members(room) if name in _names_of(m)]
        return found[0] if len(found) == 1 else self._unambiguous("user", name)

    def members_of(self, room: str) -> dict[str, str]:
        """Return the displayed names of a room's members by UserName; empty while its members are not known."""
        return {m.UserName: display_name(m.DisplayName or m.NickName) for m in self._members(room)}

    def _unambiguous(self, kind: str, id: str) -> str | None:
        try:
            return self.find(kind, id)
        except UnknownTarget:
            return None

    def _members(self, room: str) -> list[Member]:
        contact = self._contacts.get(room)
        return contact.MemberList if contact is not None else []

    def _member(self, room: str, user_name: str) -> Member | None:
        return next((m for m in self._members(room) if m.UserName == user_name), None)

    def _indexes(self) -> tuple[NameIndex, NameIndex]:
        if self._by_remark is None:
            self._by_remark, self._by_nickname = {}, {}
            for contact in self._contacts.values():
                is_room = contact.UserName.startswith("@@")
                for index, name in ((self._by_remark, contact.RemarkName), (self._by_nickname, contact.NickName)):
                    if name:
                        index.setdefault((is_room, display_name(name)), []).append(contact.UserName)
        return self._by_remark, self._by_nickname

    def _ambiguous(self, kind: str, name: str, found: list[str]) -> str:
        def describe(user_name: str) -> str:
            contact = self._contacts[user_name]
            names = [display_name(n) for n in (contact.RemarkName, contact.NickName) if n]
            return f"{user_name} ({' / '.join(names)})"

        noun = "rooms" if kind == "group" else "contacts"
        return f"{len(found)} {noun} are called '{name}': {', '.join(describe(u) for u in found[:5])}."


def _names_of(member: Member) -> tuple[str, str]:
    return display_name(member.DisplayName), display_name(member.NickName)
