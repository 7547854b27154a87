"""Messages and acts of simulated people: each is a post of the world, and a push to every handler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from yizhan.model import Card, CardLine, Quote
from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.server import SaidMedia, SimulatedEvent
from yizhan.platforms.wechat_xml import EVERYONE, MENTION_END, as_received, compose_card, compose_quote
from yizhan.platforms.wechat_xml.cards import DATATYPES
from yizhan.platforms.wechat_xml.record import RecordItem
from yizhan.platforms.wechat_xml.xml import CData, attributes, write
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.server.account import Account
from yizhan.platforms.wechatsdk.server.book import AddressBook, token_of
from yizhan.platforms.wechatsdk.server.cdn import Cdn
from yizhan.platforms.wechatsdk.server.media_xml import media_xml
from yizhan.platforms.wechatsdk.server.pushes import Pushes
from yizhan.world import Blob, Group, Post, World

_TYPES = {
    "image": (wire.TYPE_IMAGE, wire.CDN_IMAGE),
    "voice": (wire.TYPE_VOICE, wire.CDN_VOICE),
    "video": (wire.TYPE_VIDEO, wire.CDN_VIDEO),
    "sticker": (wire.TYPE_STICKER, wire.CDN_IMAGE),
    "file": (wire.TYPE_CARD, wire.CDN_FILE),
}
"""Message type and CDN type by kind of media."""


@dataclass(frozen=True, slots=True)
class Content:
    """The content of one message."""

    type: int
    content: str
    kind: str = "text"
    text: str = ""
    name: str = ""
    blob: Blob | None = None
    mentioned: Sequence[str] = ()
    extra: dict[str, Any] = field(default_factory=dict)


class EventSource:
    def __init__(
        self,
        world: World,
        book: AddressBook,
        account: Account,
        cdn: Cdn,
        pushes: Pushes,
        server: SandboxServer,
    ) -> None:
        self._world = world
        self._book = book
        self._account = account
        self._cdn = cdn
        self._pushes = pushes
        self._server = server

    # --- messages ---

    async def write(self, said: SimulatedEvent) -> str:
        """Let a person write; return the id of the last message. Each of several media is a message of its own.

        A person who is no contact asks to become one with the text.

        Raises:
            LookupError: there is no such person, group or quoted message, or the person is not in the group.
        """
        group = self._find(said.sender, said.to)
        if group is None and not self._book.people[said.sender].friends:
            return self.request_friendship(said.sender, said.text)
        contents = [await self._media(media, said) for media in said.media]
        if said.card is not None or said.lines:
            contents.append(await self._card(said))
        if said.xml:
            contents.append(_own_words(said))
        if said.quote:
            contents.append(await self._quote(said, group))
        return [self._send(said.sender, group, content) for content in contents or [self._text(said, group)]][-1]

    def _text(self, said: SimulatedEvent, group: Group | None) -> Content:
        text, mentioned = self._mentions(said, group)
        return Content(wire.TYPE_TEXT, text, text=text, mentioned=mentioned)

    def _mentions(self, said: SimulatedEvent, group: Group | None) -> tuple[str, list[str]]:
        """Return the text with its mentions written out, and the mentioned ids as the wire has them."""
        me = self._account.profile
        ids = [me.userName if id == "bot" else EVERYONE if id == "all" else id for id in said.mentions]
        shown = ["所有人" if id == EVERYONE else self._book.known(id) for id in ids]
        text = "".join(f"@{name}{MENTION_END}" for name in shown) + said.text
        if group is None:
            return text, []
        # Phones add the ids of names that are picked from the list; here a written name counts as picked.
        written = {f"@{me.nickName}": me.userName, "@所有人": EVERYONE}
        return text, list(dict.fromkeys([*ids, *(id for name, id in written.items() if name in said.text)]))

    async def _media(self, media: SaidMedia, said: SimulatedEvent) -> Content:
        kind = "sticker" if said.data == "sticker" else media.kind
        return await self._content_of(media.blob, kind, said.sender, media.name, said.text)

    async def _content_of(self, blob: Blob, kind: str, sender: str, name: str, text: str = "") -> Content:
        message_type, file_type = _TYPES[kind]
        if kind == "file" and blob.size >= self._server.rules.number("file.large_from"):
            file_type = wire.CDN_LARGE_FILE
        stored = await self._cdn.put(blob, blob.md5, file_type)
        xml = media_xml(kind, stored, sender, name or text, self._world.now())
        return Content(message_type, xml, kind, text, name, blob)

    async def _card(self, said: SimulatedEvent) -> Content:
        items = [await self._item(line) for line in said.lines]
        xml = compose_card(said.card or Card("聊天记录"), items)
        return Content(wire.TYPE_CARD, as_received(xml, said.sender), "card", xml, extra={"xml": xml})

    async def _item(self, line: SimulatedEvent) -> RecordItem:
        words = CardLine(line.text, self._book.known(line.sender), self._world.now())
        if not line.media:
            return RecordItem(words)
        media = line.media[0]
        file_type = _TYPES[media.kind][1]
        answer = (await self._cdn.put(media.blob, media.blob.md5, file_type)).answer
        datatype = DATATYPES[media.kind]
        return RecordItem(words, datatype, answer.fileid, answer.aeskey, media.blob.md5, media.blob.size, media.name)

    async def _quote(self, said: SimulatedEvent, group: Group | None) -> Content:
        post = self._world.find_post("wechatsdk", said.quote)
        if post is None:
            raise LookupError(f"there is no message '{said.quote}' to quote")
        message_type, content = await self._quoted(post)
        quoted = Quote(post.message_id, content, post.sender, self._book.known(post.sender), post.at)
        text, mentioned = self._mentions(said, group)
        xml = compose_quote(text, quoted, chat=group.id if group else "", kind=message_type)
        document = as_received(xml, said.sender)
        return Content(wire.TYPE_CARD, document, "quote", text, mentioned=mentioned, extra={"quoted": said.quote})

    async def _quoted(self, post: Post) -> tuple[int, str]:
        if post.blob is not None and post.kind in _TYPES:
            content = await self._content_of(post.blob, post.kind, post.sender, post.name)
            return content.type, content.content
        if "xml" in post.extra:
            return wire.TYPE_CARD, str(post.extra["xml"])
        return wire.TYPE_TEXT, post.text

    def write_by_hand(self, to: str, text: str) -> str:
        """Let the account's owner write in the WeChat window: push type 4. Return the message's id."""
        kind = self._book.recipient(to)
        number = self._number()
        data = {
            "content": text,
            "createTime": int(self._world.now()),
            "isChatroomMsg": int(kind == "group"),
            "isSender": 1,
            "md5": "",
            "msgSvrID": number,
            "szMsgSvrID": str(number),
            "msgType": wire.TYPE_TEXT,
            "talker": to,
            "talkerInfo": self._book.talker(to),
            "userName": self._account.wxid,
        }
        self._pushes.push(wire.PUSH_OWN, data)
        return str(number)

    # --- other acts ---

    def withdraw(self, message_id: str) -> str:
        """Let the sender withdraw a message; return the id of the notice.

        Raises:
            LookupError: no person wrote it.
        """
        post = self._world.find_post("wechatsdk", message_id)
        if post is None or post.sender == self._account.wxid:
            raise LookupError(f"no person wrote a message '{message_id}'")
        post.recalled = True
        group = self._book.groups.get(post.target)
        words = f'"{self._book.known(post.sender)}" 撤回了一条消息'
        xml = (
            f'<sysmsg type="revokemsg"><revokemsg><session>{post.target if group else post.sender}</session>'
            f"<msgid>{int(message_id) & 0x7FFFFFFF}</msgid><newmsgid>{message_id}</newmsgid>"
            f"{write([('replacemsg', CData(words))])}</revokemsg></sysmsg>"
        )
        number = self._number()
        self._push(number, post.sender, group, Content(wire.TYPE_REVOKED, xml))
        return str(number)

    def request_friendship(self, sender: str, text: str) -> str:
        """Let a person ask to become a contact; return the message's id.

        Raises:
            LookupError: there is no such person.
        """
        person = self._world.network("wechat").person(sender)
        values = {
            "fromusername": sender,
            "encryptusername": token_of(sender),
            "fromnickname": person.name,
            "content": text,
            "scene": "30",
            "ticket": f"v4_{sender.encode().hex()}@stranger",
        }
        number = self._number()
        self._push(number, "fmessage", None, Content(wire.TYPE_FRIEND_REQUEST, f"<msg{attributes(values)}/>"))
        return str(number)

    # --- posts and pushes ---

    def _find(self, sender: str, to: str) -> Group | None:
        network = self._world.network("wechat")
        network.person(sender)
        if to == "bot":
            return None
        group = network.group(to)
        if sender not in group.members:
            raise LookupError(f"'{sender}' is not in the group '{to}'; members: {', '.join(group.members)}")
        return group

    def _number(self) -> int:
        return self._world.random.randrange(1 << 62, 1 << 63)

    def _send(self, sender: str, group: Group | None, content: Content) -> str:
        number = self._number()
        self._world.post(
            network="wechat",
            platform="wechatsdk",
            call="say",
            account=self._account.wxid,
            sender=sender,
            target=group.id if group else self._account.wxid,
            target_kind="group" if group else "user",
            kind=content.kind,
            message_id=str(number),
            text=content.text,
            name=content.name,
            blob=content.blob,
            extra={**content.extra, "mentions": list(content.mentioned)},
        )
        self._push(number, sender, group, content)
        return str(number)

    def _push(self, number: int, sender: str, group: Group | None, content: Content) -> None:
        now = int(self._world.now())
        source = _source(group, content.mentioned)
        data: dict[str, Any] = {
            "type": content.type,
            "from": group.id if group else sender,
            "to": self._account.wxid,
            "content": f"{sender}:\n{content.content}" if group else content.content,
            "msgSvrID": number,
            "szMsgSvrID": str(number),
            "createtime": now,
            "createTime": now,
            "isChatroomMsg": int(group is not None),
            "isSender": 0,
            "syncFromMobile": False,
            "reserved1": source,
            "reversed1": source,
            "talkerInfo": self._book.talker(group.id if group else sender),
        }
        if group is not None:
            data["chatroomMemberInfo"] = self._book.speaker(sender, group)
        self._pushes.push(wire.PUSH_MESSAGE, data)


def _own_words(said: SimulatedEvent) -> Content:
    """Return a card as its XML has it: an `<appmsg>`, or the `<msg>` of a contact card."""
    if said.xml.lstrip().startswith("<appmsg"):
        return Content(wire.TYPE_CARD, as_received(said.xml, said.sender), "card", said.xml, extra={"xml": said.xml})
    return Content(wire.TYPE_CONTACT, said.xml, "contact_card", extra={"xml": said.xml})


def _source(group: Group | None, mentioned: Sequence[str]) -> str:
    if group is None:
        return "<msgsource></msgsource>"
    at = f"<atuserlist>{','.join(mentioned)}</atuserlist>" if mentioned else ""
    return f"<msgsource>{at}<silence>0</silence><membercount>{len(group.members) + 1}</membercount></msgsource>"
