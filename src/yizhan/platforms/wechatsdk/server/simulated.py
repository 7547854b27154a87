"""Plays events by name, as `POST /_sandbox/event` asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from yizhan.errors import did_you_mean
from yizhan.platforms.server import SimulatedEvent
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.server.account import Account
from yizhan.platforms.wechatsdk.server.event_source import EventSource
from yizhan.platforms.wechatsdk.server.groups import Groups
from yizhan.platforms.wechatsdk.server.pushes import Pushes

_GROUP_CHANGES = {
    "member_joined": wire.MEMBERS_JOINED,
    "member_left": wire.MEMBERS_LEFT,
    "group_added": wire.SELF_JOINED,
    "group_removed": wire.SELF_LEFT,
}


class EventPlayer:
    """Plays the events of one server. Their names are those of `EventKind`, and `raw`."""

    def __init__(self, source: EventSource, groups: Groups, account: Account, pushes: Pushes) -> None:
        self._source = source
        self._groups = groups
        self._account = account
        self._pushes = pushes
        self._players: Mapping[str, Callable[[SimulatedEvent], str]] = {
            "recall": lambda event: source.withdraw(event.message_id),
            "friend_requested": lambda event: source.request_friendship(event.sender, event.text),
            "sent": lambda event: source.write_by_hand(event.to, event.text),
            "login_lost": self._log_out,
            **dict.fromkeys(_GROUP_CHANGES, self._change_group),
            "raw": self._raw,
        }

    async def play(self, event: SimulatedEvent) -> str:
        """Play `event`; return the id of the message, or the event's own name where it has no id.

        Raises:
            LookupError: the platform has no such event, or it names a person or thing that is not there.
        """
        if event.event == "message":
            return await self._source.write(_addressed(event))
        player = self._players.get(event.event)
        if player is None:
            guess = did_you_mean(event.event, self._players)
            known = ", ".join(["message", *self._players])
            raise LookupError(f"WeChatSDK has no event '{event.event}'.{guess} It has: {known}.")
        return player(event)

    def _change_group(self, event: SimulatedEvent) -> str:
        self._groups.play(_GROUP_CHANGES[event.event], event.sender, event.to)
        return event.event

    def _log_out(self, event: SimulatedEvent) -> str:
        self._account.log_out()
        return event.event

    def _raw(self, event: SimulatedEvent) -> str:
        """Push `body["data"]` as the push type `body["pushType"]`."""
        kind, data = event.body.get("pushType"), event.body.get("data", {})
        if not isinstance(kind, int) or not isinstance(data, Mapping):
            raise LookupError('a raw event needs a body such as {"pushType": 1, "data": {…}}')
        self._pushes.push(kind, dict(data))
        return str(data.get("szMsgSvrID") or f"push{kind}")


def _addressed(event: SimulatedEvent) -> SimulatedEvent:
    """Return a message in a group with the mention of the account that it wants by default."""
    wanted = event.to != "bot" and event.addressed and event.text and not {"bot", "all"} & {*event.mentions}
    return replace(event, mentions=["bot", *event.mentions]) if wanted else event
