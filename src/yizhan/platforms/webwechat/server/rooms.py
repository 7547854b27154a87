"""Creating and changing rooms."""

from __future__ import annotations

from typing import ClassVar

from yizhan.http.router import Call
from yizhan.platforms.kit.server import Calls
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server.contacts import people_of, push_changed, room_members
from yizhan.platforms.webwechat.server.session import Session
from yizhan.platforms.webwechat.server.state import ServerState
from yizhan.platforms.webwechat.wire.base import BAD_PARAMETER, TARGET_GONE
from yizhan.wire import Fault
from yizhan.world import Group

MAX_TOPIC = 64


class RoomCalls(ServerState):
    """webwxcreatechatroom, webwxupdatechatroom."""

    calls: ClassVar[Calls] = {"create_room": wire.CREATE_ROOM, "update_room": wire.UPDATE_ROOM}

    async def create_room(self, call: Call[wire.CreateRoom]) -> wire.CreateRoomResponse:
        session = self.session_of(call.http, call.request.BaseRequest)
        invited = [member.UserName for member in call.request.MemberList]
        people = people_of(session, invited)
        if not people:
            raise Fault(BAD_PARAMETER)
        id = f"{self.world.random.randrange(10**10, 10**11)}@chatroom"
        name = call.request.Topic[:MAX_TOPIC] or "、".join(self.network.people[p].name for p in people[:3])
        group = self.network.add_group(id, name, people, owner=session.account.id)
        push_changed(self, group)
        return wire.CreateRoomResponse(
            Topic=call.request.Topic,
            MemberCount=len(people),
            MemberList=[m for m in room_members(self, session, group) if m.UserName in invited],
            ChatRoomName=session.names.of("room", id),
        )

    async def update_room(self, call: Call[wire.UpdateRoom]) -> wire.UpdateRoomResponse:
        request = call.request
        session = self.session_of(call.http, request.BaseRequest)
        recipient = session.names.recipient(request.ChatRoomName)
        if recipient is None or recipient.sort != "room":
            raise Fault(TARGET_GONE)
        group = self.network.groups[recipient.id]
        self._change_room(session, group, request)
        push_changed(self, group)
        members = room_members(self, session, group)
        return wire.UpdateRoomResponse(MemberCount=len(members), MemberList=members)

    def _change_room(self, session: Session, group: Group, request: wire.UpdateRoom) -> None:
        match request.fun:
            case "addmember":
                if len(group.members) > self.rules["room.add_limit"]:
                    # A larger room takes invitations only.
                    raise Fault(BAD_PARAMETER)
                _add_members(group, people_of(session, _split_names(request.AddMemberList)))
            case "invitemember":
                _add_members(group, people_of(session, _split_names(request.InviteMemberList)))
            case "delmember":
                removed = people_of(session, _split_names(request.DelMemberList))
                group.members[:] = [member for member in group.members if member not in removed]
            case "modtopic" if isinstance(request.NewTopic, str) and request.NewTopic:
                group.name = request.NewTopic[:MAX_TOPIC]
            case _:
                raise Fault(BAD_PARAMETER)


def _add_members(group: Group, people: list[str]) -> None:
    group.members.extend(person for person in people if person not in group.members)


def _split_names(names: object) -> list[str]:
    return [name.strip() for name in names.split(",")] if isinstance(names, str) else []
