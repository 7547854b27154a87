"""Members who left groups: the gateway pushes changed groups with all their members, and clients compare."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from yizhan.model import Event, EventKind
from yizhan.platforms.ohwxapi import wire
from yizhan.platforms.ohwxapi.wire import EventName


class GroupMembers:
    """The members of each group by its last pushed change, in memory: the first change of a group tells nothing."""

    def __init__(self) -> None:
        self._members: dict[str, dict[str, str]] = {}

    def changes(self, data: wire.EventData, event: Event) -> Iterator[Event]:
        """Yield an event for each member who left or came, besides those whose invitation was pushed."""
        if data.EventName == EventName.CHATROOM_INVITE_OTHER and data.FromUserName in self._members:
            self._members[data.FromUserName][data.InvitedUserName] = data.InvitedNickName
        if data.EventName != EventName.CONTACT_CHANGE or data.Contact is None or not data.Contact.ChatRoomMember:
            return
        now = {member.Wxid: member.NickName for member in data.Contact.ChatRoomMember}
        before = self._members.get(data.Contact.UserName)
        self._members[data.Contact.UserName] = now
        if before is None:
            return
        for wxid in sorted(before.keys() - now.keys()):
            yield _changed(event, EventKind.MEMBER_LEFT, wxid, before[wxid])
        for wxid in sorted(now.keys() - before.keys()):
            yield _changed(event, EventKind.MEMBER_JOINED, wxid, now[wxid])


def _changed(event: Event, kind: EventKind, wxid: str, name: str) -> Event:
    return msgspec.structs.replace(
        event, id=f"{event.id}:{kind}:{wxid}", kind=kind, sender=wxid, sender_name=name, person=wxid, person_name=name
    )
