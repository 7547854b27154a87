"""The sandbox end of web WeChat: the same wire over a simulated world.

Each chapter of calls is a class: `login`, `sync`, `contacts`, `rooms`, `sending`, `uploads`, `downloads`. They share
`state`; `session` and `names` hold one login, `messages` writes received messages, `cdn` keeps media for forwarding,
`phone` plays the person who logs in, `pictures` makes thumbnails.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from yizhan.errors import did_you_mean
from yizhan.model import Kind
from yizhan.platforms.webwechat.server import pictures
from yizhan.platforms.webwechat.server.contacts import ContactCalls, push_changed
from yizhan.platforms.webwechat.server.downloads import DownloadCalls
from yizhan.platforms.webwechat.server.login import LoginCalls
from yizhan.platforms.webwechat.server.messages import friend_request, link_xml, recall_notice, received
from yizhan.platforms.webwechat.server.rooms import RoomCalls
from yizhan.platforms.webwechat.server.sending import SendingCalls
from yizhan.platforms.webwechat.server.state import SandboxMessage, find_group
from yizhan.platforms.webwechat.server.sync import SyncCalls
from yizhan.platforms.webwechat.server.uploads import UploadCalls
from yizhan.wire.filename import safe_name
from yizhan.world import Blob, Person

DEFAULT_MILLISECONDS = 1000
"""Length of a simulated person's voice message or video."""


class Server(LoginCalls, SyncCalls, ContactCalls, RoomCalls, SendingCalls, UploadCalls, DownloadCalls):
    """The sandbox of web WeChat. Every new login is a user of its own (`me`, `me2` …) who knows the whole world."""

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        """Let a person write to every login (`to="bot"`) or in a room; text and media are two messages.

        `kind` may also be `link` (`text` is the address, `name` the title) or `sticker`.

        Raises:
            LookupError: there is no such person or room; the text suggests close names.
        """
        person = self._person(sender)
        group = None if to == "bot" else find_group(self.network, to)
        message_id = ""
        for message in self._messages(person, group.id if group else "", text, media, kind, name):
            if message.blob is not None and kind in ("image", "video"):
                size = self.thumb_sizes[message.blob.sha256] = await pictures.thumb_size(message.blob)
                message.thumb_size = size
            self.keep(
                message,
                call="say",
                account=next(iter(self.accounts), "me"),
                target=group.name if group else "bot",
                target_kind="group" if group else "user",
            )
            heard = person.friends or group is not None
            for session in self.readers(message):
                session.push(received(self, session, message) if heard else friend_request(session, person, message))
            message_id = message.id
        return message_id

    async def take_back(self, message_id: str) -> None:
        """Let the sender recall a message. Its file stays on the CDN.

        Raises:
            LookupError: there is no such message.
        """
        message = self.messages.get(message_id)
        if message is None or message.post is None:
            raise LookupError(f"there is no message '{message_id}'")
        message.post.recalled = True
        for session in self.readers(message):
            session.push(recall_notice(session, message, self.new_message_id(), self.now()))

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

    def _person(self, text: str) -> Person:
        people = self.network.people
        found = people.get(text) or next((p for p in people.values() if text in (p.name, p.remark)), None)
        if found is None:
            known = [*people, *(p.name for p in people.values())]
            raise LookupError(f"nobody called '{text}' on the wechat network.{did_you_mean(text, known)}")
        return found

    def _messages(
        self, person: Person, room: str, text: str, media: Blob | None, kind: str, name: str
    ) -> Iterator[SandboxMessage]:
        if text:
            message = self._message(person, room, "text")
            message.text = text
            if kind == "link":
                message.kind, message.xml = "link", link_xml(text, name)
                message.text = message.name = name or text
            yield message
        if media is not None:
            message = self._message(person, room, kind)
            message.blob, message.md5, message.name = media, media.md5, safe_name(name, "file")
            message.milliseconds = DEFAULT_MILLISECONDS if kind in ("voice", "video") else 0
            yield message

    def _message(self, person: Person, room: str, kind: str) -> SandboxMessage:
        """Return an empty message from `person`, in a room or (`room` empty) to every login."""
        id, now = self.new_message_id(), self.now()
        if room:
            return SandboxMessage(id, kind, now, ("person", person.id), ("room", room))
        return SandboxMessage(id, kind, now, ("person", person.id), ("account", "*"))


def _numbers(count: int, start: int) -> range:
    return range(start, start + max(0, count))
