"""Messages that the account sends, forwards and withdraws; each becomes a post of the world."""

from __future__ import annotations

from typing import Any

from yizhan.http.router import Call
from yizhan.model import ChannelVideo, ContactCard
from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.wechat_xml import (
    EVERYONE,
    OBJECT_ID,
    FileCard,
    compose_channel_video,
    compose_contact,
    parse_card,
)
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.server.account import Account
from yizhan.platforms.wechatsdk.server.book import AddressBook
from yizhan.platforms.wechatsdk.server.calls import Calls, refused
from yizhan.platforms.wechatsdk.server.cdn import Cdn, Stored, voice_milliseconds
from yizhan.wire import Fault
from yizhan.world import Blob, World

NETWORK, PLATFORM = "wechat", "wechatsdk"
_FILES = frozenset({wire.CDN_FILE, wire.CDN_LARGE_FILE})
_PICTURES = frozenset({wire.CDN_ORIGINAL, wire.CDN_IMAGE})
_VIDEOS = frozenset({wire.CDN_VIDEO})
_VOICES = frozenset({wire.CDN_VOICE})


class Sending:
    """`rules` is asked at every call, since the sandbox changes them while it runs."""

    def __init__(self, world: World, book: AddressBook, account: Account, cdn: Cdn, server: SandboxServer) -> None:
        self._world = world
        self._book = book
        self._account = account
        self._cdn = cdn
        self._server = server

    @property
    def calls(self) -> Calls:
        """The most frequent calls stand first: numbers are searched in this order."""
        return [
            (wire.FORWARD_FILE, self.forward_file),
            (wire.FORWARD_IMAGE, self.forward_image),
            (wire.SEND_TEXT, self.text),
            (wire.FORWARD_VIDEO, self.forward_video),
            (wire.FORWARD_VOICE, self.forward_voice),
            (wire.FORWARD_VOICE_LEGACY, self.forward_voice_legacy),
            (wire.SEND_IMAGE, self.image),
            (wire.SEND_FILE, self.file),
            (wire.SEND_VIDEO, self.video),
            (wire.SEND_VOICE, self.voice),
            (wire.SEND_STICKER, self.sticker),
            (wire.SEND_KNOWN_STICKER, self.known_sticker),
            (wire.SEND_CARD, self.card),
            (wire.SEND_OFFICIAL_CARD, self.official_card),
            (wire.SEND_CHANNEL_CARD, self.channel_card),
            (wire.SEND_ENTERPRISE_CARD, self.enterprise_card),
            (wire.SEND_CHANNEL_VIDEO, self.channel_video),
            (wire.SEND_LOCATION, self.location),
            (wire.SEND_LINK, self.link),
            (wire.SEND_XML, self.xml),
            (wire.SEND_QUOTE, self.quote),
            (wire.PAT, self.pat),
            (wire.REVOKE, self.revoke),
            (wire.START_CALL, self.start_call),
            (wire.END_CALL, self.end_call),
            (wire.MARK_READ, self.mark),
            (wire.MARK_UNREAD, self.mark),
        ]

    # --- said ---

    async def text(self, call: Call[wire.SendText]) -> wire.Sent:
        request = call.request
        rules = self._server.rules
        limit = rules.number("text.max_bytes")
        if not request.msgContent:
            raise refused(wire.MISSING, "msgContent")
        if rules.limited and len(request.msgContent.encode()) > limit:
            raise refused(wire.TOO_LARGE, f"the limit is {limit} bytes")
        extra = {"mentions": self._mentioned(request.userName, request.msgContent, request.atUserList)}
        return self._post(call, "text", text=request.msgContent, extra=extra)

    async def image(self, call: Call[wire.SendFile]) -> wire.Sent:
        return await self._file(call, "image", call.request.filePath)

    async def file(self, call: Call[wire.SendFile]) -> wire.Sent:
        return await self._file(call, "file", call.request.filePath)

    async def video(self, call: Call[wire.SendFile]) -> wire.Sent:
        return await self._file(call, "video", call.request.filePath)

    async def voice(self, call: Call[wire.SendFile]) -> wire.Sent:
        self._book.recipient(call.request.userName)
        blob = await self._cdn.read(call.request.filePath)
        self._short_enough(voice_milliseconds(blob))
        return self._post(call, "voice", blob=blob)

    async def sticker(self, call: Call[wire.SendSticker]) -> wire.Sent:
        path = call.request.emojiPath or call.request.filePath
        if not path:
            raise refused(wire.MISSING, "emojiPath")
        self._book.recipient(call.request.userName)
        blob = await self._cdn.read(path, "sticker")
        if not blob.head(4) == b"GIF8":
            raise refused(wire.FILE_REFUSED, "a sticker is a gif")
        return self._post(call, "sticker", blob=blob, extra={"md5": blob.md5})

    async def known_sticker(self, call: Call[wire.SendKnownSticker]) -> wire.Sent:
        md5 = call.request.emojiMd5.lower()
        return self._post(call, "sticker", blob=self._world.blobs.by_md5(md5), extra={"md5": md5})

    async def card(self, call: Call[wire.SendCard]) -> wire.Sent:
        return self._contact(call, call.request.beSharedUserName, self._book.known(call.request.beSharedUserName))

    async def official_card(self, call: Call[wire.SendOfficialCard]) -> wire.Sent:
        return self._contact(call, call.request.bizUserName)

    async def channel_card(self, call: Call[wire.SendChannelCard]) -> wire.Sent:
        return self._contact(call, call.request.finderUserName)

    async def enterprise_card(self, call: Call[wire.SendEnterpriseCard]) -> wire.Sent:
        return self._contact(call, call.request.openimUserName)

    async def channel_video(self, call: Call[wire.SendChannelVideo]) -> wire.Sent:
        request = call.request
        if not request.objectId or not request.objectNonceId:
            raise refused(wire.MISSING, "objectId, objectNonceId")
        extra = {"objectId": request.objectId, "objectNonceId": request.objectNonceId}
        if OBJECT_ID.fullmatch(request.objectId):
            # The client knows the rest of the card by these ids; the sandbox has no more than them.
            extra["xml"] = compose_channel_video(ChannelVideo(request.objectId, request.objectNonceId))
        return self._post(call, "channel_video", extra=extra)

    async def location(self, call: Call[wire.SendLocation]) -> wire.Sent:
        request = call.request
        extra = {"longitude": request.longitude, "latitude": request.latitude, "poiName": request.poiName}
        return self._post(call, "location", text=request.label, extra=extra)

    async def link(self, call: Call[wire.SendLink]) -> wire.Sent:
        return self._xml(call, call.request.content)

    async def xml(self, call: Call[wire.SendXml]) -> wire.Sent:
        return self._xml(call, call.request.content or call.request.msgContent)

    async def quote(self, call: Call[wire.SendQuote]) -> wire.Sent:
        request = call.request
        if request.userName.endswith("@chatroom") and not request.sourceUserName:
            raise refused(wire.MISSING, "sourceUserName")
        extra = {
            "quoted": str(request.msgSvrID),
            "quoted_text": request.sourceContent,
            "quoted_sender": request.sourceUserName,
            "mentions": self._mentioned(request.userName, request.content, request.atUserList),
        }
        return self._post(call, "quote", text=request.content, extra=extra)

    async def pat(self, call: Call[wire.Pat]) -> wire.Done:
        self._book.recipient(call.request.chatroomUserName or call.request.userName)
        self._book.known(call.request.userName)
        return wire.Done()

    async def start_call(self, call: Call[wire.StartCall]) -> wire.Done:
        if self._book.recipient(call.request.userName) == "group":
            raise refused(wire.FAILED, "not for groups")
        return wire.Done()

    async def end_call(self, call: Call[wire.EndCall]) -> wire.Done:
        return wire.Done()

    # --- forwarded from one upload ---

    async def forward_file(self, call: Call[wire.ForwardFile]) -> wire.Sent:
        request = call.request
        self._book.recipient(request.userName)
        if not request.fileName.strip():
            raise refused(wire.MISSING, "fileName")
        stored = self._stored(request, _FILES, request.rawfilemd5, request.rawfilekey)
        if stored.file_type != request.fileType:
            raise refused(wire.FILE_MISMATCH, "fileType")
        return self._post(call, "file", blob=stored.blob, name=request.fileName, extra={"fileid": request.fileid})

    async def forward_image(self, call: Call[wire.ForwardImage]) -> wire.Sent:
        self._book.recipient(call.request.userName)
        stored = self._stored(call.request, _PICTURES, call.request.rawfilemd5)
        return self._post(call, "image", blob=stored.blob, extra={"fileid": call.request.fileid})

    async def forward_video(self, call: Call[wire.ForwardVideo]) -> wire.Sent:
        self._book.recipient(call.request.userName)
        stored = self._stored(call.request, _VIDEOS, call.request.rawfilemd5)
        return self._post(call, "video", blob=stored.blob, extra={"fileid": call.request.fileid})

    async def forward_voice(self, call: Call[wire.ForwardVoice]) -> wire.Sent:
        request = call.request
        self._book.recipient(request.userName)
        self._short_enough(_number(request.voiceduration))
        stored = self._stored(request, _VOICES)
        extra = {"fileid": request.fileid, "milliseconds": _number(request.voiceduration)}
        return self._post(call, "voice", blob=stored.blob, extra=extra)

    async def forward_voice_legacy(self, call: Call[wire.ForwardVoiceLegacy]) -> wire.Sent:
        request = call.request
        self._book.recipient(request.userName)
        self._short_enough(_number(request.duration))
        stored = self._cdn.forwarded(request.fileid, request.aeskey, request.fileSize, file_types=_VOICES)
        return self._post(call, "voice", blob=stored.blob, extra={"fileid": request.fileid})

    # --- taken back, marked ---

    async def revoke(self, call: Call[wire.Revoke]) -> wire.Done:
        rules = self._server.rules
        post = self._world.find_post(PLATFORM, str(call.request.msgSvrID))
        if post is None:
            raise Fault(wire.MESSAGE_NOT_FOUND)
        if post.sender != self._account.wxid:
            raise Fault(wire.NO_PERMISSION)
        if rules.limited and self._world.now() > post.at + rules["recall.seconds"]:
            raise Fault(wire.REVOKE_TOO_LATE)
        post.recalled = True
        return wire.Done()

    async def mark(self, call: Call[wire.OneChat]) -> wire.Marked:
        self._book.recipient(call.request.userName)
        return wire.Marked()

    # --- how it becomes a post ---

    def _post(
        self,
        call: Call[Any],
        kind: str,
        *,
        text: str = "",
        name: str = "",
        blob: Blob | None = None,
        extra: dict[str, Any] | None = None,
    ) -> wire.Sent:
        target = call.request.userName
        target_kind = self._book.recipient(target)
        self._server.count("send", account=self._account.wxid)
        number = self._world.random.randrange(1 << 62, 1 << 63)
        self._world.post(
            network=NETWORK,
            platform=PLATFORM,
            call=call.endpoint.name,
            account=self._account.wxid,
            sender=self._account.wxid,
            target=target,
            target_kind=target_kind,
            kind=kind,
            message_id=str(number),
            text=text,
            name=name,
            blob=blob,
            extra=extra or {},
        )
        return wire.Sent(number, str(number))

    async def _file(self, call: Call[wire.SendFile], kind: str, path: str) -> wire.Sent:
        self._book.recipient(call.request.userName)
        blob = await self._cdn.read(path, kind)
        return self._post(call, kind, blob=blob, name=path.replace("\\", "/").rpartition("/")[2])

    def _contact(self, call: Call[Any], shared: str, name: str = "") -> wire.Sent:
        if not shared:
            raise refused(wire.MISSING, "whose card")
        xml = compose_contact(ContactCard(shared, name))
        return self._post(call, "contact_card", text=name, extra={"username": shared, "xml": xml})

    def _xml(self, call: Call[wire.SendLink] | Call[wire.SendXml], content: str) -> wire.Sent:
        if not content:
            raise refused(wire.MISSING, "content")
        if not content.lstrip().startswith("<appmsg"):
            raise refused(wire.BAD_XML, "it begins with <appmsg>")
        try:
            card = parse_card(content)
        except ValueError as error:
            raise refused(wire.BAD_XML, str(error)) from error
        file = card.file()
        blob = self._attached(file) if file is not None else None
        extra = {"type": card.type, "xml": card.xml, "url": card.text("url")}
        return self._post(call, card.kind, text=card.title, name=file.title if file else "", blob=blob, extra=extra)

    def _attached(self, file: FileCard) -> Blob | None:
        """The bytes that a file card names. Cards are delivered unseen: a wrong id only shows at the other side."""
        try:
            return self._cdn.forwarded(file.cdnattachurl, file.aeskey, file.totallen, file.md5 or None).blob
        except Fault:
            return None

    def _stored(
        self,
        request: wire.ForwardFile | wire.ForwardImage | wire.ForwardVideo | wire.ForwardVoice,
        file_types: frozenset[int],
        md5: str | None = None,
        raw_file_key: wire.Digits | None = None,
    ) -> Stored:
        size = request.rawtotalsize
        return self._cdn.forwarded(request.fileid, request.aeskey, size, md5, raw_file_key, file_types)

    def _mentioned(self, target: str, text: str, names: list[str]) -> list[str]:
        """Return the mentioned members: a mention needs the id in the list and a visible @ in the text."""
        if not names or "@" not in text or not target.endswith("@chatroom"):
            return []
        group = self._book.group(target)
        return [name for name in names if name == EVERYONE or name in group.members]

    def _short_enough(self, milliseconds: int) -> None:
        rules = self._server.rules
        limit = rules.number("voice.seconds") * 1000
        if rules.limited and milliseconds > limit:
            raise refused(wire.FILE_REFUSED, f"voice of {milliseconds} ms, the limit is {limit} ms")


def _number(value: str | int) -> int:
    text = str(value)
    return int(text[:12]) if text.isascii() and text.isdecimal() else 0
