"""The sandbox end of web WeChat: the same wire over a simulated world.

Each chapter of calls is a class: `login`, `sync`, `contacts`, `rooms`, `sending`, `uploads`, `downloads`. They share
`state`; `session` and `names` hold one login, `messages` writes received messages, `cdn` keeps media for forwarding,
`phone` plays the person who logs in, `simulated` everybody else; `pictures` makes thumbnails.
"""

from __future__ import annotations

from typing import Literal

from yizhan.platforms.webwechat.server.contacts import ContactCalls, push_changed
from yizhan.platforms.webwechat.server.downloads import DownloadCalls
from yizhan.platforms.webwechat.server.login import LoginCalls
from yizhan.platforms.webwechat.server.rooms import RoomCalls
from yizhan.platforms.webwechat.server.sending import SendingCalls
from yizhan.platforms.webwechat.server.simulated import SimulatedPeople
from yizhan.platforms.webwechat.server.sync import SyncCalls
from yizhan.platforms.webwechat.server.uploads import UploadCalls


class Server(LoginCalls, SyncCalls, ContactCalls, RoomCalls, SendingCalls, UploadCalls, DownloadCalls, SimulatedPeople):
    """The sandbox of web WeChat. Every new login is a user of its own (`me`, `me2` …) who knows the whole world."""

    def people(self, kind: Literal["user", "group"], count: int) -> list[str]:
        """Add people or rooms, tell every session, and return their names, which are target ids."""
        if kind == "group":
            members = list(self.network.people)[:3]
            # Other platforms add rooms to the same network; only ours have ids that begin with 7.
            groups = [
                self.network.add_group(f"7{n:09d}@chatroom", f"群{n:05d}", members)
                for n in _numbers(count, len(self.network.groups))
            ]
            push_changed(self, *groups)
            return [group.name for group in groups]
        people = [
            self.network.add_person(f"wxid_friend{n:06d}", f"friend{n:06d}")
            for n in _numbers(count, len(self.network.people))
        ]
        push_changed(self, *people)
        return [person.name for person in people]

    async def login(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"]) -> None:
        """Play one step of the phone at a QR login."""
        self.phone.play(uuid, step)

    def reset(self) -> None:
        super().reset()
        self.phone.reset()

    async def close(self) -> None:
        self.closing = True
        self.phone.wake()
        for session in list(self.sessions.values()):
            session.wake()


def _numbers(count: int, start: int) -> range:
    return range(start, start + max(0, count))
