"""Plays events by name, as `POST /_sandbox/event` asks for them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from yizhan.errors import did_you_mean
from yizhan.platforms.qqbot.server.event_source import EventSource
from yizhan.platforms.server import SimulatedEvent

Player = Callable[[SimulatedEvent], Awaitable[str]]

_USER_RELATIONS = {
    "friend_added": "FRIEND_ADD",
    "friend_removed": "FRIEND_DEL",
    "active_allowed": "C2C_MSG_RECEIVE",
    "active_refused": "C2C_MSG_REJECT",
}
_GROUP_RELATIONS = {
    "group_added": "GROUP_ADD_ROBOT",
    "group_removed": "GROUP_DEL_ROBOT",
    "active_allowed": "GROUP_MSG_RECEIVE",
    "active_refused": "GROUP_MSG_REJECT",
}


class EventPlayer:
    """Plays events of one bot. Their names are those of `EventKind`, and `raw`."""

    def __init__(self, source: EventSource) -> None:
        self._source = source
        self._players: dict[str, Player] = {
            "message": self._source.write,
            "button_pressed": self._press,
            "member_joined": self._member,
            "member_left": self._member,
            "reaction": self._react,
            "recall": self._withdraw,
            **dict.fromkeys({*_USER_RELATIONS, *_GROUP_RELATIONS}, self._relate),
            "raw": self._raw,
        }

    async def play(self, event: SimulatedEvent) -> str:
        """Play `event`; return the platform's id of the message, interaction or event.

        Raises:
            LookupError: QQ has no such event, or it names a person, group or message that does not exist.
        """
        player = self._players.get(event.event)
        if player is None:
            known = ", ".join(self._players)
            guess = did_you_mean(event.event, self._players)
            raise LookupError(f"QQ has no event '{event.event}'.{guess} It has: {known}.")
        return await player(event)

    async def _press(self, event: SimulatedEvent) -> str:
        button, data = (event.data, "") if event.message_id else ("", event.data)
        return await self._source.press(
            event.sender, event.to, button_id=button, data=data, message_id=event.message_id
        )

    async def _member(self, event: SimulatedEvent) -> str:
        name = "GROUP_MEMBER_ADD" if event.event == "member_joined" else "GROUP_MEMBER_REMOVE"
        return await self._source.change_member(name, event.sender, event.to)

    async def _react(self, event: SimulatedEvent) -> str:
        return await self._source.react(event.sender, event.to, event.message_id, event.data)

    async def _withdraw(self, event: SimulatedEvent) -> str:
        return await self._source.withdraw(event.message_id)

    async def _relate(self, event: SimulatedEvent) -> str:
        if event.to == "bot":
            relations, id = _USER_RELATIONS, event.sender
        else:
            relations, id = _GROUP_RELATIONS, event.to
        if event.event not in relations:
            raise LookupError(f"'{event.event}' needs {'a group in to' if event.to == 'bot' else 'to: bot'}")
        return await self._source.relate(relations[event.event], id, event.sender if event.to != "bot" else "")

    async def _raw(self, event: SimulatedEvent) -> str:
        """Push `body["d"]` as the event `body["t"]`."""
        name = event.body.get("t")
        if not isinstance(name, str) or not name:
            raise LookupError('a raw event needs a body such as {"t": "FRIEND_ADD", "d": {…}}')
        scene, target = ("user", event.sender) if event.to == "bot" else ("group", event.to)
        return await self._source.push(name, event.body.get("d", {}), scene=scene, target=target)
