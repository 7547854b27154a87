"""All broadcasts of a store."""

from __future__ import annotations

from collections.abc import Sequence

from yizhan.broadcasts.actions import BroadcastActions
from yizhan.broadcasts.broadcast import Broadcast
from yizhan.broadcasts.create import Audience, WhenRefused
from yizhan.broadcasts.options import BroadcastOptions
from yizhan.broadcasts.rows import broadcast_id
from yizhan.broadcasts.states import BroadcastState
from yizhan.model import Message, SegmentLike, message_of


class Broadcasts:
    """Makes, finds and lists broadcasts."""

    def __init__(self, actions: BroadcastActions) -> None:
        self._actions = actions

    async def create(
        self,
        to: Audience,
        *content: SegmentLike | Message | Sequence[SegmentLike],
        name: str = "",
        key: str | None = None,
        options: BroadcastOptions | None = None,
        refused: WhenRefused = "fail",
    ) -> Broadcast:
        """Store a draft, which leaves when it is started: `await draft.start()`.

        `to`, `key` and `refused` as in `Engine.broadcast`.

        Raises:
            Refused: it cannot be sent to one of them as it stands; nothing is stored.
        """
        created = await self._actions.create(
            message_of(*content), to, name=name, key=key, options=options, refused=refused
        )
        return Broadcast(created.row, self._actions, repeated=created.repeated)

    async def get(self, which: str) -> Broadcast:
        """Return the broadcast of an id such as `b7`.

        Raises:
            Refused: there is none.
        """
        return Broadcast(await self._actions.table.get(broadcast_id(which)), self._actions)

    async def list(
        self, states: Sequence[BroadcastState | str] = (), *, limit: int = 100, before: str | None = None
    ) -> list[Broadcast]:
        """Return broadcasts, newest first: those in `states`, or all. `before`: those older than that id."""
        wanted = [BroadcastState(state) for state in states]
        last = None if before is None else broadcast_id(before)
        return [Broadcast(row, self._actions) for row in await self._actions.table.newest_first(wanted, limit, last)]
