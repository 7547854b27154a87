"""Who is called what in the current login. Names of targets are nicknames and remarks; the wire wants UserNames."""

from __future__ import annotations

from collections.abc import Iterable

from yizhan.errors import TargetGone, UnknownTarget, did_you_mean
from yizhan.platforms.webwechat.wire.contacts import Contact, Member
from yizhan.platforms.webwechat.wire.content import shown_name
from yizhan.platforms.webwechat.wire.session import BUILT_IN, Changed

NAMED = "name:"
"""Before a target's id: take the rest as a name, even if it begins with `@` or is that of a built-in account."""


class Book:
    """The contacts of one login. Pure: the adapter fills it."""

    def __init__(self) -> None:
        self._contacts: dict[str, Contact | Changed] = {}
        self._by_remark: dict[tuple[bool, str], list[str]] | None = None
        self._by_nick: dict[tuple[bool, str], list[str]] = {}
        self.complete = False
        """Whether the whole address book has been read."""

    def add(self, contacts: Iterable[Contact | Changed]) -> list[Contact | Changed]:
        """Take in contacts, new or changed; return those that were not known before."""
        new: list[Contact | Changed] = []
        for contact in contacts:
            known = self._contacts.get(contact.UserName)
            if known is None:
                new.append(contact)
            elif not contact.MemberList:
                # The address book lists rooms without members; what is known of them stays.
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
        """Whether the service must be asked about somebody: nothing is known, or of a room not who is in it."""
        if not user_name.startswith("@@"):
            return not self.knows(user_name)
        room = self._contacts.get(user_name)
        return room is None or not room.MemberList

    def find(self, kind: str, id: str) -> str | None:
        """Return the UserName for a target's id: built-in and session names as they are, remark, then nickname.

        None when nobody is called that.

        Raises:
            UnknownTarget: several are; the text names them.
        """
        if not id.startswith(NAMED) and (id.startswith("@") or id in BUILT_IN):
            return id
        name = id.removeprefix(NAMED)
        by_remark, by_nick = self._indexes()
        key = (kind == "group", name)
        found = by_remark.get(key) or by_nick.get(key) or []
        if len(found) > 1:
            raise UnknownTarget(
                f"{self._several(kind, name, found)} Give them different remark names, or use one of these."
            )
        return found[0] if found else None

    def nobody(self, account: str, kind: str, id: str) -> TargetGone:
        """Return the error for a name that stands for nobody, with names that come close."""
        by_remark, by_nick = self._indexes()
        names = {name for is_room, name in (*by_remark, *by_nick) if is_room == (kind == "group")}
        what = "room" if kind == "group" else "contact"
        return TargetGone(
            f"{account}: there is no {what} called '{id.removeprefix(NAMED)}'.{did_you_mean(id, names)} "
            "Targets are remark names or nicknames as they stand in the address book; rooms must be saved to it.",
            account=account,
        )

    def id_of(self, user_name: str) -> str:
        """Return the id by which a target names this UserName: remark, else nickname, if that leads back to it."""
        contact = self._contacts.get(user_name)
        if contact is None or user_name in BUILT_IN:
            return user_name
        kind = "group" if user_name.startswith("@@") else "user"
        for name in (shown_name(contact.RemarkName), shown_name(contact.NickName)):
            if not name:
                continue
            id = f"{NAMED}{name}" if name.startswith("@") or name in BUILT_IN else name
            try:
                if self.find(kind, id) == user_name:
                    return id
            except UnknownTarget:
                continue
        return user_name

    def name_of(self, user_name: str, room: str = "") -> str:
        """Return how somebody is called, in `room` if it is given; empty when not known."""
        member = self._member(room, user_name) if room else None
        if member is not None and (member.DisplayName or member.NickName):
            return shown_name(member.DisplayName or member.NickName)
        contact = self._contacts.get(user_name)
        return shown_name(contact.RemarkName or contact.NickName) if contact is not None else ""

    def member(self, room: str, name: str) -> str | None:
        """Return the UserName of the member of `room` who is called `name`; session names pass as they are."""
        if name.startswith("@"):
            return name
        holder = self._contacts.get(room)
        members = holder.MemberList if holder is not None else []
        found = [m.UserName for m in members if name in (shown_name(m.DisplayName), shown_name(m.NickName))]
        return found[0] if len(found) == 1 else self._only_contact(name)

    def _only_contact(self, name: str) -> str | None:
        try:
            return self.find("user", name)
        except UnknownTarget:
            return None

    def _member(self, room: str, user_name: str) -> Member | None:
        holder = self._contacts.get(room)
        members = holder.MemberList if holder is not None else []
        return next((m for m in members if m.UserName == user_name), None)

    def _indexes(self) -> tuple[dict[tuple[bool, str], list[str]], dict[tuple[bool, str], list[str]]]:
        if self._by_remark is None:
            self._by_remark, self._by_nick = {}, {}
            for contact in self._contacts.values():
                is_room = contact.UserName.startswith("@@")
                for index, name in ((self._by_remark, contact.RemarkName), (self._by_nick, contact.NickName)):
                    if name:
                        index.setdefault((is_room, shown_name(name)), []).append(contact.UserName)
        return self._by_remark, self._by_nick

    def _several(self, kind: str, name: str, found: list[str]) -> str:
        def words(user_name: str) -> str:
            contact = self._contacts[user_name]
            both = [shown_name(n) for n in (contact.RemarkName, contact.NickName) if n]
            return f"{user_name} ({' / '.join(both)})"

        what = "rooms" if kind == "group" else "contacts"
        return f"{len(found)} {what} are called '{name}': {', '.join(words(u) for u in found[:5])}."
