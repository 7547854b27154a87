"""What simulated people say: a post of the world, and a push to every handler."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from yizhan.model import Kind
from yizhan.platforms.rules import Rules
from yizhan.platforms.wechat_xml import EVERYONE, FileCard, as_received, compose_file, compose_media
from yizhan.platforms.wechat_xml.xml import CData, attributes, write
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.server.account import Account
from yizhan.platforms.wechatsdk.server.book import Book, token_of
from yizhan.platforms.wechatsdk.server.cdn import Cdn, Stored
from yizhan.platforms.wechatsdk.server.pushes import Pushes
from yizhan.world import Blob, Group, World

TEXT, IMAGE, VOICE, FRIEND_REQUEST, VIDEO, CARD, SYSTEM = 1, 3, 34, 37, 43, 49, 10002
"""Message types."""
_TYPES = {
    "image": (IMAGE, wire.CDN_IMAGE),
    "voice": (VOICE, wire.CDN_VOICE),
    "video": (VIDEO, wire.CDN_VIDEO),
    "file": (CARD, wire.CDN_FILE),
}


class Saying:
    def __init__(
        self, world: World, book: Book, account: Account, cdn: Cdn, pushes: Pushes, rules: Callable[[], Rules]
    ) -> None:
        self._world = world
        self._book = book
        self._account = account
        self._cdn = cdn
        self._pushes = pushes
        self._rules = rules

    async def say(self, sender: str, to: str, *, text: str, media: Blob | None, kind: Kind, name: str) -> str:
        """Let somebody say something; returns the message's id. Who is no contact asks to be one with these words.

        Raises:
            LookupError: there is no such person or group, or the person is not in the group.
        """
        group = self._find(sender, to)
        if group is None and not self._book.people[sender].friends:
            return self.ask_friend(sender, text)
        message_type, content, xml = TEXT, text, ""
        if media is not None:
            message_type, file_type = _TYPES[kind]
            if kind == "file" and media.size >= self._rules().number("file.large_from"):
                file_type = wire.CDN_LARGE_FILE
            stored = await self._cdn.put(media, media.md5, file_type)
            xml = content = self._xml(kind, stored, sender, name or text)
        number = self._post(sender, group, kind if media is not None else "text", text, media, name)
        self._push(number, sender, group, message_type, content, "" if xml else text)
        return str(number)

    def card(self, sender: str, to: str, appmsg: str) -> str:
        """Let somebody send a card. LookupError as with `say`."""
        group = self._find(sender, to)
        number = self._post(sender, group, "card", appmsg, None, "")
        self._push(number, sender, group, CARD, as_received(appmsg, sender), "")
        return str(number)

    def withdraw(self, message_id: str) -> None:
        """Let whoever said it take a message back.

        Raises:
            LookupError: nobody said it.
        """
        post = self._world.find_post("wechatsdk", message_id)
        if post is None or post.sender == self._account.wxid:
            raise LookupError(f"nobody said '{message_id}'")
        post.recalled = True
        group = self._book.groups.get(post.target)
        words = f'"{self._book.known(post.sender)}" 撤回了一条消息'
        xml = (
            f'<sysmsg type="revokemsg"><revokemsg><session>{post.target if group else post.sender}</session>'
            f"<msgid>{int(message_id) & 0x7FFFFFFF}</msgid><newmsgid>{message_id}</newmsgid>"
            f"{write([('replacemsg', CData(words))])}</revokemsg></sysmsg>"
        )
        self._push(self._number(), post.sender, group, SYSTEM, xml, "")

    def ask_friend(self, sender: str, text: str) -> str:
        """Let somebody ask to be a contact; returns the message's id. LookupError when there is nobody of that id."""
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
        self._push(number, "fmessage", None, FRIEND_REQUEST, f"<msg{attributes(values)}/>", "")
        return str(number)

    def typed_by_hand(self, to: str, text: str) -> str:
        """Let the account's owner write in the WeChat window: push type 4. Returns the message's id."""
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
            "msgType": TEXT,
            "talker": to,
            "talkerInfo": self._book.talker(to),
            "userName": self._account.wxid,
        }
        self._pushes.push(wire.PUSH_OWN, data)
        return str(number)

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

    def _post(self, sender: str, group: Group | None, kind: str, text: str, media: Blob | None, name: str) -> int:
        number = self._number()
        self._world.post(
            network="wechat",
            platform="wechatsdk",
            call="say",
            account=self._account.wxid,
            sender=sender,
            target=group.id if group else self._account.wxid,
            target_kind="group" if group else "user",
            kind=kind,
            message_id=str(number),
            text=text,
            name=name,
            blob=media,
        )
        return number

    def _push(self, number: int, sender: str, group: Group | None, kind: int, content: str, said: str) -> None:
        now = int(self._world.now())
        source = self._source(group, said)
        data: dict[str, Any] = {
            "type": kind,
            "from": group.id if group else sender,
            "to": self._account.wxid,
            "content": f"{sender}:\n{content}" if group else content,
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

    def _source(self, group: Group | None, said: str) -> str:
        if group is None:
            return "<msgsource></msgsource>"
        me = self._account.profile
        mentioned = [me.userName] if f"@{me.nickName}" in said else []
        if "@所有人" in said:
            mentioned.append(EVERYONE)
        at = f"<atuserlist>{','.join(mentioned)}</atuserlist>" if mentioned else ""
        return f"<msgsource>{at}<silence>0</silence><membercount>{len(group.members) + 1}</membercount></msgsource>"

    def _xml(self, kind: Kind, stored: Stored, sender: str, name: str) -> str:
        answer, blob = stored.answer, stored.blob
        if kind == "file":
            card = FileCard(
                title=name or "file",
                totallen=blob.size,
                cdnattachurl=answer.fileid,
                aeskey=answer.aeskey,
                md5=blob.md5,
                filekey=f"{sender}_{int(self._world.now())}",
            )
            return as_received(compose_file(card), sender)
        tag, values = _ATTRIBUTES[kind](stored, sender)
        return compose_media(tag, values)


def _image(stored: Stored, _sender: str) -> tuple[str, dict[str, str | int]]:
    answer = stored.answer
    return "img", {
        "aeskey": answer.aeskey,
        "encryver": "1",
        "cdnthumbaeskey": answer.aeskey,
        "cdnthumburl": answer.fileid,
        "cdnthumblength": answer.rawthumbsize,
        "cdnthumbheight": "120",
        "cdnthumbwidth": "90",
        "cdnmidheight": "0",
        "cdnmidwidth": "0",
        "cdnhdheight": "0",
        "cdnhdwidth": "0",
        "cdnmidimgurl": answer.fileid,
        "length": stored.blob.size,
        "md5": stored.blob.md5,
        "hevc_mid_size": "0",
        "originsourcemd5": "",
    }


def _video(stored: Stored, sender: str) -> tuple[str, dict[str, str | int]]:
    answer = stored.answer
    return "videomsg", {
        "aeskey": answer.aeskey,
        "cdnvideourl": answer.fileid,
        "cdnthumbaeskey": answer.aeskey,
        "cdnthumburl": answer.fileid,
        "length": stored.blob.size,
        "playlength": "1",
        "cdnthumblength": answer.rawthumbsize,
        "cdnthumbwidth": "288",
        "cdnthumbheight": "512",
        "fromusername": sender,
        "md5": stored.blob.md5,
        "newmd5": "",
        "isplaceholder": "0",
        "isad": "0",
    }


def _voice(stored: Stored, sender: str) -> tuple[str, dict[str, str | int]]:
    answer = stored.answer
    return "voicemsg", {
        "endflag": "1",
        "cancelflag": "0",
        "forwardflag": "0",
        "voiceformat": "4",
        "voicelength": answer.voiceduration,
        "length": stored.blob.size,
        "bufid": "0",
        "aeskey": answer.aeskey,
        "voiceurl": answer.fileid,
        "voicemd5": "",
        "clientmsgid": stored.blob.sha1[:12],
        "fromusername": sender,
    }


_ATTRIBUTES = {"image": _image, "video": _video, "voice": _voice}
