"""The sandbox end of web WeChat: answers the same wire over a simulated world.

One module per chapter of the vendor's: `login`, `sync`, `people` (contacts, rooms), `sending`, `files`; `desk` is what
they share, `session` and `names` one login, `messages` what arrives in it, `pictures` thumbnails.
"""

from __future__ import annotations

from typing import Literal

from yizhan.errors import did_you_mean
from yizhan.model import Kind
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server import pictures
from yizhan.platforms.webwechat.server.desk import Desk, Spoken, find_group
from yizhan.platforms.webwechat.server.files import serve_downloads, serve_uploads
from yizhan.platforms.webwechat.server.login import Phone, serve_login
from yizhan.platforms.webwechat.server.messages import added, link_xml, recalled
from yizhan.platforms.webwechat.server.people import serve_people, serve_rooms, tell_changed
from yizhan.platforms.webwechat.server.sending import serve_sending
from yizhan.platforms.webwechat.server.session import Session
from yizhan.platforms.webwechat.server.sync import serve_sync
from yizhan.platforms.webwechat.wire.session import Added, Recommended
from yizhan.wire.filename import safe_name
from yizhan.world import Blob, Person, World


class Server(Desk):
    """Answers web WeChat. Every fresh login is a user of its own (`me`, `me2` …) who knows everybody in the world."""

    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        super().__init__(world, rules, options)
        self.phone = Phone(self)
        serve_login(self, self.phone)
        serve_sync(self)
        serve_people(self)
        serve_rooms(self)
        serve_sending(self)
        serve_uploads(self)
        serve_downloads(self)

    async def say(
        self, sender: str, to: str, *, text: str = "", media: Blob | None = None, kind: Kind = "file", name: str = ""
    ) -> str:
        """Let a person say something: to every login (`to="bot"`), or in a room. Text and media are two messages.

        `kind` may also be `link` (`text` is the address, `name` the title) or `sticker`.

        Raises:
            LookupError: there is no such person or room; the text names close ones.
        """
        person = self._person(sender)
        group = None if to == "bot" else find_group(self.network, to)
        where = ("account", "*") if group is None else ("room", group.id)
        message_id = ""
        for spoken in await self._spoken(person, where, text, media, kind, name):
            self.keep(
                spoken,
                call="say",
                account=next(iter(self.accounts), "me"),
                target=group.name if group else "bot",
                target_kind="group" if group else "user",
            )
            heard = person.friends or group is not None
            for session in self.readers(spoken):
                session.push(added(self, session, spoken) if heard else self._request(session, person, spoken))
            message_id = spoken.id
        return message_id

    async def take_back(self, message_id: str) -> None:
        """Let the person who said it withdraw a message. The bytes stay reachable for whoever kept its Content.

        Raises:
            LookupError: nobody said that.
        """
        spoken = self.messages.get(message_id)
        if spoken is None or spoken.post is None:
            raise LookupError(f"there is no message '{message_id}'")
        spoken.post.recalled = True
        for session in self.readers(spoken):
            session.push(recalled(session, spoken, self.message_id(), self.now()))

    def people(self, kind: Literal["user", "group"], count: int) -> list[str]:
        """Make people or rooms and return their names, by which targets call them; every login is told."""
        if kind == "group":
            members = list(self.network.people)[:3]
            # Other platforms make rooms on the same network; ids with this beginning are ours alone.
            groups = [
                self.network.add_group(f"7{n:09d}@chatroom", f"群{n:05d}", members)
                for n in self._numbers(count, len(self.network.groups))
            ]
            tell_changed(self, *groups)
            return [group.name for group in groups]
        people = [
            self.network.add_person(f"wxid_friend{n:06d}", f"friend{n:06d}")
            for n in self._numbers(count, len(self.network.people))
        ]
        tell_changed(self, *people)
        return [person.name for person in people]

    async def login(self, uuid: str, step: Literal["scan", "confirm", "expire", "cancel"]) -> None:
        """Play the phone at a QR login."""
        self.phone.play(uuid, step)

    async def webhook(self, url: str) -> None:
        """There are none: everything arrives by the page's own long poll."""
        raise LookupError("web WeChat has no webhooks; its clients ask by synccheck and webwxsync")

    def reset(self) -> None:
        self.forget()
        self.phone.forget()

    async def close(self) -> None:
        self.closing = True
        self.phone.wake()
        for session in list(self.sessions.values()):
            session.wake()

    def _person(self, words: str) -> Person:
        people = self.network.people
        found = people.get(words) or next((p for p in people.values() if words in (p.name, p.remark)), None)
        if found is None:
            known = [*people, *(p.name for p in people.values())]
            raise LookupError(f"nobody called '{words}' on the wechat network.{did_you_mean(words, known)}")
        return found

    async def _spoken(
        self, person: Person, to: tuple[str, str], text: str, media: Blob | None, kind: str, name: str
    ) -> list[Spoken]:
        found: list[Spoken] = []
        where = ("room", to[1]) if to[0] == "room" else ("account", to[1])

        def one(kind: str, **more: object) -> Spoken:
            spoken = Spoken(self.message_id(), kind, self.now(), ("person", person.id), where, **more)  # type: ignore[arg-type]
            found.append(spoken)
            return spoken

        if kind == "link" and text:
            one("link", xml=link_xml(text, name), text=name or text, name=name or text)
        elif text:
            one("text", text=text)
        if media is not None:
            spoken = one(kind, blob=media, name=safe_name(name, "file"), md5=media.md5)
            if kind in ("image", "video"):
                spoken.size = self.sizes[media.sha256] = await pictures.thumb_size(media)
            spoken.milliseconds = 1000 if kind in ("voice", "video") else 0
        return found

    def _request(self, session: Session, person: Person, spoken: Spoken) -> Added:
        """Who is no contact yet can only ask to become one."""
        who = Recommended(
            UserName=session.names.of("person", person.id),
            NickName=person.name,
            Content=spoken.text,
            Ticket=f"v2_{person.id}@stranger",
            Scene=30,
            OpCode=2,
        )
        return Added(
            MsgId=spoken.id,
            NewMsgId=int(spoken.id),
            FromUserName="fmessage",
            ToUserName=session.me,
            MsgType=wire.FRIEND_REQUEST,
            CreateTime=int(spoken.at),
            RecommendInfo=who,
        )

    @staticmethod
    def _numbers(count: int, start: int) -> range:
        return range(start, start + max(0, count))
