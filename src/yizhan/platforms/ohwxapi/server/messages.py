"""Messages: sent by accounts, received from people, withdrawn."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from yizhan.model import Kind
from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.ohwxapi import wire
from yizhan.platforms.ohwxapi.server.accounts import Account, Accounts, Commands
from yizhan.platforms.ohwxapi.server.cdn import Cdn
from yizhan.platforms.ohwxapi.server.sockets import Sockets
from yizhan.platforms.ohwxapi.server.sources import Sources, Taken
from yizhan.platforms.ohwxapi.wire import EventName, MsgType
from yizhan.platforms.wechat_xml import EVERYONE, as_received, compose_media, parse_card, parse_contact
from yizhan.platforms.wechat_xml.xml import escape
from yizhan.wire import Fault
from yizhan.world import Blob, Group, Post

VOICE_MILLISECONDS = 1000
"""Length of a simulated person's voice message."""
_MONEY = (2000, 2001, 2003)
_SHOWN = {"image": "[图片]", "voice": "[语音]", "video": "[视频]", "sticker": "[动画表情]", "contact_card": "[名片]"}


@dataclass(frozen=True, slots=True)
class Draft:
    """A message on its way: its content on the wire, and its post in the world."""

    call: str
    type: int
    content: str
    kind: str
    text: str = ""
    name: str = ""
    blob: Blob | None = None
    mentioned: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)


class Messages:
    """The messages that accounts send and hear."""

    def __init__(self, server: SandboxServer, accounts: Accounts, cdn: Cdn, sources: Sources) -> None:
        self.server = server
        self.world = server.world
        self.accounts = accounts
        self.cdn = cdn
        self.sources = sources
        self.sockets: Sockets

    # --- commands ---

    def commands(self) -> Commands:
        return [
            (wire.SEND_APP_MSG, self.app),
            (wire.SEND_MSG, self.text),
            (wire.SEND_IMAGE, self.image),
            (wire.SEND_VOICE, self.voice),
            (wire.SEND_EMOJI, self.sticker),
            (wire.SEND_VIDEO, self.video),
            (wire.PAT, self.pat),
            (wire.REVOKE, self.revoke),
        ]

    async def app(self, account: Account, asked: wire.SendAppMsg, call: str = "SendAppMsg") -> wire.Sent:
        xml = asked.AppMsgXml or asked.Content
        if not xml:
            raise Fault(wire.PARAMETER, "param error: AppMsgXml")
        if asked.MsgType == MsgType.CARD:
            return self._send(account, asked.ToUserName, _contact(call, xml, "AppMsgXml"))
        # The value begins at the appmsg node: no declaration and no <msg> around it.
        if not xml.lstrip().startswith("<appmsg"):
            raise Fault(wire.BAD_XML)
        try:
            card = parse_card(xml)
        except ValueError as error:
            raise Fault(wire.BAD_XML, f"{wire.BAD_XML.message}: {error}") from error
        if not card.type or card.type in _MONEY:
            raise Fault(wire.BAD_XML, f"{wire.BAD_XML.message}: type")
        is_file = card.kind == "file"
        placed = self.cdn.file_in(card) if is_file else None
        draft = Draft(
            call,
            MsgType.APP,
            as_received(xml.strip(), account.wxid),
            card.kind,
            text="" if is_file else card.title,
            name=card.title if is_file else "",
            blob=placed.blob if placed else None,
            extra={"xml": xml},
        )
        return self._send(account, asked.ToUserName, draft)

    async def text(self, account: Account, asked: wire.SendMsg, call: str = "SendMsg") -> wire.Sent:
        if asked.MsgType == MsgType.CARD:
            return self._send(account, asked.ToUserName, _contact(call, asked.Content, "Content"))
        if asked.MsgType not in (0, MsgType.TEXT):
            raise Fault(wire.PARAMETER, "param error: MsgType")
        if not asked.Content:
            raise Fault(wire.PARAMETER, "param error: Content")
        mentioned = self._mentioned(asked)
        draft = Draft(call, MsgType.TEXT, asked.Content, "text", asked.Content, mentioned=mentioned)
        return self._send(account, asked.ToUserName, draft)

    async def image(self, account: Account, asked: wire.SendImage, call: str = "SendImage") -> wire.Sent:
        self.accounts.kind_of(account, asked.ToUserName)
        if asked.ImageXml:
            _, placed = self.cdn.media_in(asked.ImageXml, "img", "cdnmidimgurl", "ImageXml")
            xml, blob = asked.ImageXml, placed.blob if placed else None
        else:
            sources = (asked.ImageUrl, asked.ImageBase64, asked.ImagePath)
            blob = (await self.sources.take(*sources, name="ImageUrl")).blob
            xml = self.cdn.image_xml(blob)
        draft = Draft(call, MsgType.IMAGE, xml, "image", blob=blob, extra={"xml": xml})
        return self._send(account, asked.ToUserName, draft)

    async def voice(self, account: Account, asked: wire.SendVoice, call: str = "SendVoice") -> wire.Sent:
        self.accounts.kind_of(account, asked.ToUserName)
        sources = (asked.VoiceUrl, asked.VoiceBase64, asked.VoicePath)
        if sum(1 for source in sources if source) != 1:
            raise Fault(wire.PARAMETER, "param error: VoicePath, VoiceBase64 or VoiceUrl")
        if asked.VoiceTime < 1:
            raise Fault(wire.PARAMETER, "param error: VoiceTime")
        if self.server.rules.limited and asked.VoiceTime > self.server.rules.number("voice.seconds"):
            raise Fault(wire.PARAMETER, "param error: VoiceTime")
        blob = (await self.sources.take(*sources, name="VoiceUrl")).blob
        if self.server.rules.limited and b"#!SILK" not in blob.head(16):
            raise Fault(wire.UNREADABLE, f"{wire.UNREADABLE.message}: not SILK")
        xml = self.cdn.voice_xml(account.wxid, blob, asked.VoiceTime * 1000)
        return self._send(account, asked.ToUserName, Draft(call, MsgType.VOICE, xml, "voice", blob=blob))

    async def video(self, account: Account, asked: wire.SendVideo, call: str = "SendVideo") -> wire.Sent:
        self.accounts.kind_of(account, asked.ToUserName)
        if asked.VideoXml:
            _, placed = self.cdn.media_in(asked.VideoXml, "videomsg", "cdnvideourl", "VideoXml")
            xml, blob = asked.VideoXml, placed.blob if placed else None
        else:
            sources = (asked.VideoUrl, asked.VideoBase64, asked.VideoPath)
            blob = (await self.sources.take(*sources, name="VideoXml")).blob
            if asked.ThumbUrl or asked.ThumbBase64 or asked.ThumbPath:
                await self.sources.take(asked.ThumbUrl, asked.ThumbBase64, asked.ThumbPath, name="ThumbUrl")
            xml = self.cdn.video_xml(account.wxid, blob, max(0, asked.VideoTime))
        return self._send(account, asked.ToUserName, Draft(call, MsgType.VIDEO, xml, "video", blob=blob))

    async def sticker(self, account: Account, asked: wire.SendEmoji, call: str = "SendEmoji") -> wire.Sent:
        if not re.fullmatch("[0-9a-fA-F]{32}", asked.EmojiMd5):
            raise Fault(wire.PARAMETER, "param error: EmojiMd5")
        if asked.EmojiLen < 0:
            raise Fault(wire.PARAMETER, "param error: EmojiLen")
        blob = self.world.blobs.by_md5(asked.EmojiMd5.lower())
        xml = sticker_xml(account.wxid, asked.ToUserName, asked.EmojiMd5.lower(), asked.EmojiLen)
        draft = Draft(call, MsgType.STICKER, xml, "sticker", text=asked.EmojiMd5.lower(), blob=blob)
        return self._send(account, asked.ToUserName, draft)

    async def pat(self, account: Account, asked: wire.Pat) -> wire.Nothing:
        group = self.accounts.group(account, asked.ChatUserName)
        if asked.PattedUsername not in group.members and asked.PattedUsername not in self.accounts.known:
            raise Fault(wire.NO_TARGET)
        template = f'"${{{account.wxid}}}" 拍了拍 "${{{asked.PattedUsername}}}"'
        for listener in self.accounts.in_group(group):
            data = wire.EventData(
                ChatUserName=group.id,
                FromUserName=account.wxid,
                PattedUserName=asked.PattedUsername,
                Template=template,
                EventName=EventName.PAT_MSG,
            )
            self.sockets.push(listener.wxid, data)
        return wire.Nothing()

    async def revoke(self, account: Account, asked: wire.Revoke) -> wire.Nothing:
        post = self._sent(account, asked)
        if post is None:
            raise Fault(wire.PARAMETER, "param error: NewMsgId")
        limit = self.server.rules.number("recall.seconds")
        if self.server.rules.limited and self.world.now() - post.at > limit:
            raise Fault(wire.TOO_LATE)
        if not post.recalled:
            post.recalled = True
            self._announce_revoked(account, post)
        return wire.Nothing()

    # --- a simulated person speaks ---

    def say(
        self, sender: str, account: Account, group: Group | None, text: str, media: Blob | None, kind: Kind, name: str
    ) -> str:
        """Let `sender` write to the account or in a group; return the message's id."""
        draft = self.said(sender, text, media, kind, name)
        return self.deliver(sender, account, group, draft if group is None else self._with_names(draft, group))

    def deliver(self, sender: str, account: Account, group: Group | None, draft: Draft) -> str:
        """Keep a person's message and push it to the account, or to the accounts in the group; return its id."""
        place = group.id if group is not None else account.wxid
        post = self._post(account.wxid, sender, place, "group" if group else "user", draft, self._number())
        for listener in self.accounts.in_group(group) if group else [account]:
            self._push(listener, sender, place, draft, post)
        return post.message_id

    def said(self, sender: str, text: str, media: Blob | None, kind: Kind, name: str) -> Draft:
        if media is None:
            return Draft("say", MsgType.TEXT, text, "text", text)
        match kind:
            case "image":
                return Draft("say", MsgType.IMAGE, self.cdn.image_xml(media), "image", text, name, media)
            case "video":
                return Draft("say", MsgType.VIDEO, self.cdn.video_xml(sender, media, 0), "video", text, name, media)
            case "voice":
                xml = self.cdn.voice_xml(sender, media, VOICE_MILLISECONDS)
                return Draft("say", MsgType.VOICE, xml, "voice", text, name, media)
        xml = self.cdn.file_xml(Account(sender, sender), Taken(media, name), name or f"{media.md5}.bin")
        return Draft("say", MsgType.APP, as_received(xml, sender), "file", text, name, media, extra={"xml": xml})

    def _with_names(self, draft: Draft, group: Group) -> Draft:
        """Add mentions of the accounts whose `@name` is in the text."""
        called = tuple(a.wxid for a in self.accounts.in_group(group) if f"@{a.name}" in draft.text)
        if not called:
            return draft
        return replace(draft, mentioned=tuple(dict.fromkeys([*draft.mentioned, *called])))

    # --- one way for all ---

    def _send(self, account: Account, to: str, draft: Draft) -> wire.Sent:
        kind = self.accounts.kind_of(account, to)
        self.server.count("send", account=account.wxid)
        post = self._post(account.wxid, account.wxid, to, kind, draft, self._number())
        client_id = f"{self.world.hex(16)}_{int(post.at)}"
        post.extra["ClientMsgId"] = client_id
        if self.server.rules["echo.own"]:
            self._push(account, account.wxid, to, draft, post)
        for listener in self._others(account, to):
            self._push(listener, account.wxid, to if kind == "group" else listener.wxid, draft, post)
        return wire.Sent(int(post.message_id), client_id, post.message_id)

    def _others(self, account: Account, to: str) -> Iterable[Account]:
        if to in self.accounts.known:
            return [] if to == account.wxid else [self.accounts.known[to]]
        group = self.accounts.network.groups.get(to)
        return [other for other in self.accounts.in_group(group) if other is not account] if group else []

    def _post(self, account: str, sender: str, to: str, kind: str, draft: Draft, number: int) -> Post:
        return self.world.post(
            network="wechat",
            platform="ohwxapi",
            call=draft.call,
            account=account,
            sender=sender,
            target=to,
            target_kind=kind,
            kind=draft.kind,
            text=draft.text,
            name=draft.name,
            blob=draft.blob,
            message_id=str(number),
            extra={**draft.extra, "MsgId": self.world.random.getrandbits(31), "mentioned": list(draft.mentioned)},
        )

    def _push(self, listener: Account, sender: str, place: str, draft: Draft, post: Post) -> None:
        """Push to one account. In a group the sender is the group; for an own message it is the account itself."""
        own, in_group = sender == listener.wxid, place.endswith("@chatroom")
        message = wire.AddMsg(
            MsgId=post.extra["MsgId"],
            FromUserName=sender if own or not in_group else place,
            ToUserName=place if own else listener.wxid,
            MsgType=draft.type,
            Content=draft.content,
            ImgStatus=2 if draft.type in (MsgType.IMAGE, MsgType.APP) else 1,
            CreateTime=int(post.at),
            MsgSource=_source(draft.mentioned, len(self._members(place)) if in_group else 0),
            PushContent="" if own else self._notice(listener, sender, draft, in_group),
            NewMsgId=int(post.message_id),
            NewMsgIdExt=post.message_id,
            ActionUserName=sender if in_group and not own else "",
        )
        self._tell(listener, message)

    def _notice(self, listener: Account, sender: str, draft: Draft, in_group: bool) -> str:
        name = self.accounts.name_of(sender)
        if in_group and listener.wxid in draft.mentioned:
            return f"{name}{wire.MENTIONED}"
        shown = draft.text or _SHOWN.get(draft.kind) or f"[文件] {draft.name}"
        return f"{name} : {shown[:100]}"

    def _announce_revoked(self, account: Account, post: Post) -> None:
        who = self.accounts.name_of(account.wxid)
        content = (
            f'<sysmsg type="revokemsg"><revokemsg><session>{escape(post.target)}</session>'
            f"<msgid>{post.extra['MsgId']}</msgid><newmsgid>{post.message_id}</newmsgid>"
            f'<replacemsg><![CDATA["{escape(who)}" 撤回了一条消息]]></replacemsg></revokemsg></sysmsg>'
        )
        for listener in self._others(account, post.target):
            in_group = post.target_kind == "group"
            self.notice(listener, post.target if in_group else account.wxid, content, MsgType.SYSTEM)

    def notice(self, listener: Account, place: str, content: str, type_: int = MsgType.NOTICE) -> None:
        """Push a notice (a member joined, a message was withdrawn) of a conversation."""
        number = self._number()
        message = wire.AddMsg(
            MsgId=self.world.random.getrandbits(31),
            FromUserName=place,
            ToUserName=listener.wxid,
            MsgType=type_,
            Content=content,
            CreateTime=int(self.world.now()),
            MsgSource="<msgsource></msgsource>",
            NewMsgId=number,
            NewMsgIdExt=str(number),
        )
        self._tell(listener, message)

    def _tell(self, listener: Account, message: wire.AddMsg) -> None:
        if listener.online:
            self.sockets.push(listener.wxid, wire.EventData(AddMsg=message, EventName=EventName.MSG_NEW))

    def _sent(self, account: Account, asked: wire.Revoke) -> Post | None:
        if asked.NewMsgId:
            post = self.world.find_post("ohwxapi", str(asked.NewMsgId))
        else:
            mine = self.world.select(platform="ohwxapi", target=asked.ToUserName, account=account.wxid)
            post = next(
                (p for p in mine if asked.ClientMsgId and p.extra.get("ClientMsgId") == asked.ClientMsgId), None
            )
        if post is None or post.sender != account.wxid or post.target != asked.ToUserName:
            return None
        return post

    def _mentioned(self, asked: wire.SendMsg) -> tuple[str, ...]:
        """Members that are mentioned; entries that are no member's id (nicknames) are ignored."""
        given = asked.AtUsers
        names = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
        members = self._members(asked.ToUserName)
        return tuple(n.strip() for n in names if n.strip() in members or n.strip() == EVERYONE)

    def _members(self, place: str) -> set[str]:
        group = self.accounts.network.groups.get(place)
        return {*group.members, *(a.wxid for a in self.accounts.in_group(group))} if group else set()

    def _number(self) -> int:
        """Return a message id of 63 bits, above 2**62: readers with 53-bit numbers must take the text."""
        return self.world.random.getrandbits(62) | 1 << 62


def _contact(call: str, xml: str, parameter: str) -> Draft:
    try:
        card = parse_contact(xml)
    except ValueError as error:
        raise Fault(wire.PARAMETER, f"param error: {parameter}") from error
    return Draft(
        call,
        MsgType.CARD,
        card.xml,
        "contact_card",
        text=card.nickname,
        extra={"username": card.username, "xml": card.xml},
    )


def sticker_xml(sender: str, to: str, md5: str, length: int) -> str:
    values: dict[str, str | int] = {
        "fromusername": sender,
        "tousername": to,
        "type": 2,
        "idbuffer": "media:0_0",
        "md5": md5,
        "len": length,
        "productid": "",
        "androidmd5": md5,
        "androidlen": length,
        "cdnurl": "",
        "encrypturl": "",
        "aeskey": "",
        "width": 240,
        "height": 240,
    }
    return compose_media("emoji", values)


def _source(mentioned: tuple[str, ...], members: int) -> str:
    if not members:
        return "<msgsource></msgsource>"
    at = f"<atuserlist><![CDATA[,{','.join(mentioned)}]]></atuserlist>" if mentioned else ""
    return f"<msgsource>{at}<silence>0</silence><membercount>{members}</membercount></msgsource>"
