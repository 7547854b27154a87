"""Sending and recalling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

from yizhan.http.router import Call
from yizhan.platforms.kit.server import Calls
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server.messages import recall_notice, received
from yizhan.platforms.webwechat.server.names import Recipient
from yizhan.platforms.webwechat.server.session import Placed, Session
from yizhan.platforms.webwechat.server.state import SandboxMessage, ServerState
from yizhan.platforms.webwechat.wire.base import (
    BAD_PARAMETER,
    SELF_REFUSED,
    SYSTEM_ERROR,
    TARGET_GONE,
    UNREADABLE,
)
from yizhan.platforms.webwechat.wire.content import MD5, cdn_reference, is_token, split_speaker, summarize_card
from yizhan.platforms.webwechat.wire.sending import Outgoing, SendResponse
from yizhan.wire import Fault
from yizhan.wire.filename import safe_name
from yizhan.world import Blob

INTRODUCTION = "你可以撤回2分钟内发送的消息（部分旧版本微信不支持这个功能）。"
TOO_LATE = "该消息发送超过2分钟，不能撤回。"
CARDS_WITHOUT_ATTACHMENT = frozenset({19, 51, 57})
"""Types of appmsg (chat record, channel video, quote) that exist without `appattach`."""

Fill: TypeAlias = Callable[[Session, Outgoing, SandboxMessage], None]


class SendingCalls(ServerState):
    """webwxsendmsg, webwxsendmsgimg, webwxsendvideomsg, webwxsendemoticon, webwxsendappmsg, webwxrevokemsg."""

    calls: ClassVar[Calls] = {
        "send_msg": wire.SEND_MSG,
        "send_image": wire.SEND_IMAGE,
        "send_video": wire.SEND_VIDEO,
        "send_emoticon": wire.SEND_EMOTICON,
        "send_app": wire.SEND_APP,
        "revoke": wire.REVOKE,
    }

    async def send_msg(self, call: Call[wire.SendText]) -> SendResponse:
        return self._send(call, self._fill_text)

    async def send_image(self, call: Call[wire.SendMedia]) -> SendResponse:
        return self._send(call, self._fill_image)

    async def send_video(self, call: Call[wire.SendMedia]) -> SendResponse:
        return self._send(call, self._fill_video)

    async def send_emoticon(self, call: Call[wire.SendEmoticon]) -> SendResponse:
        return self._send(call, self._fill_emoticon)

    async def send_app(self, call: Call[wire.SendMedia]) -> SendResponse:
        return self._send(call, self._fill_app)

    async def revoke(self, call: Call[wire.Revoke]) -> wire.RevokeResponse:
        request = call.request
        session = self.session_of(call.http, request.BaseRequest)
        message = self.messages.get(str(request.SvrMsgId))
        if message is None or message.sender != ("account", session.account.id):
            raise Fault(SYSTEM_ERROR)
        recipient = session.names.recipient(request.ToUserName)
        if recipient is None:
            raise Fault(TARGET_GONE)
        if (recipient.sort, recipient.id) != message.to:
            raise Fault(SYSTEM_ERROR)
        if self.now() - message.at > self.rules["recall.seconds"]:
            raise Fault(SYSTEM_ERROR, TOO_LATE)
        if message.post is not None and not message.post.recalled:
            message.post.recalled = True
            for reader in self.readers(message):
                reader.push(recall_notice(reader, message, self.new_message_id(), self.now()))
        return wire.RevokeResponse(INTRODUCTION)

    # --- one send ---

    def _send(self, call: Call[Any], fill: Fill) -> SendResponse:
        """Send `Msg`: `fill` reads from it the content of the message."""
        session = self.session_of(call.http, call.request.BaseRequest)
        msg: Outgoing = call.request.Msg
        local_id, client_id = _text_of(msg.LocalID), _text_of(msg.ClientMsgId)
        seconds = self.rules["send.repeat_seconds"]
        earlier = session.repeated(msg.ToUserName, client_id, self.now(), seconds) if client_id else None
        if earlier is not None:
            return SendResponse(earlier, local_id)
        recipient = self._recipient(session, msg.ToUserName)
        message = SandboxMessage(
            self.new_message_id(),
            "text",
            self.now(),
            ("account", session.account.id),
            (recipient.sort, recipient.id),
        )
        fill(session, msg, message)
        if message.kind == "image":
            self.count("image", account=session.sid)
        if client_id:
            session.remember(msg.ToUserName, client_id, message.id, self.now(), seconds)
        extra = {"to": msg.ToUserName, "scene": str(call.request.Scene or 0), "md5": message.md5}
        if message.xml:
            extra["xml"] = message.xml
        self.keep(
            message,
            call=call.endpoint.name,
            account=session.account.id,
            target=recipient.shown,
            target_kind=recipient.kind,
            extra=extra,
        )
        for reader in self.readers(message):
            reader.push(received(self, reader, message))
        return SendResponse(message.id, local_id)

    def _recipient(self, session: Session, user_name: str) -> Recipient:
        recipient = session.names.recipient(user_name)
        if recipient is None:
            raise Fault(TARGET_GONE)
        if user_name == session.me and not self.rules["send.to_self"]:
            raise Fault(SELF_REFUSED)
        return recipient

    # --- the content of `Msg`, one method per call ---

    def _fill_text(self, _session: Session, msg: Outgoing, message: SandboxMessage) -> None:
        content = _content(msg)
        if not content or (self.rules.limited and len(content) > self.rules["text.max_chars"]):
            raise Fault(BAD_PARAMETER)
        message.text = content
        match str(msg.Type):
            case "42":
                message.kind, message.xml = "contact_card", content
            case "48":
                message.kind, message.xml = "location", content

    def _fill_image(self, session: Session, msg: Outgoing, message: SandboxMessage) -> None:
        self._fill_media(session, msg, message, "image", wire.PICTURE)

    def _fill_video(self, session: Session, msg: Outgoing, message: SandboxMessage) -> None:
        self._fill_media(session, msg, message, "video", wire.MOVIE)

    def _fill_media(self, session: Session, msg: Outgoing, message: SandboxMessage, kind: str, media_type: str) -> None:
        blob = self._blob(session, msg, media_type)
        message.kind, message.blob, message.md5 = kind, blob, blob.md5
        message.thumb_size = self.thumb_sizes.get(blob.sha256, (0, 0))

    def _fill_emoticon(self, session: Session, msg: Outgoing, message: SandboxMessage) -> None:
        message.kind = "sticker"
        if isinstance(msg.MediaId, str) and msg.MediaId:
            # One client uploads gifs as pictures, the others as documents.
            message.blob = self._placed(session, msg.MediaId, wire.DOCUMENT, wire.PICTURE).blob
            message.md5 = message.blob.md5
            return
        md5 = msg.EMoticonMd5 if isinstance(msg.EMoticonMd5, str) else ""
        if not MD5.fullmatch(md5):
            raise Fault(BAD_PARAMETER)
        message.md5 = md5.lower()
        message.blob = self.uploads.get(message.md5)

    def _fill_app(self, session: Session, msg: Outgoing, message: SandboxMessage) -> None:
        content = _content(msg)
        try:
            card = summarize_card(content)
        except ValueError as error:
            raise Fault(UNREADABLE) from error
        if not card.has_attachment and card.type not in CARDS_WITHOUT_ATTACHMENT:
            raise Fault(BAD_PARAMETER)
        if card.kind != "file":
            message.kind, message.xml, message.text, message.name = card.kind, content, card.title, card.title
            return
        placed = self._placed(session, card.attachid, received=True)
        big = placed.blob.size > self.rules["checkupload.required_above_bytes"]
        if big and not placed.received and msg.Signature != placed.signature:
            raise Fault(BAD_PARAMETER)
        message.kind, message.blob, message.md5 = "file", placed.blob, placed.blob.md5
        message.name = safe_name(card.title)

    def _placed(self, session: Session, media_id: str, *media_types: str, received: bool = False) -> Placed:
        """Return the file of a MediaId.

        `media_types`: the uploads that the call takes, all if empty. `received`: whether it takes received files.
        """
        placed = session.media.get(media_id)
        if placed is None or (placed.received and not received):
            raise Fault(SYSTEM_ERROR)
        if media_types and placed.media_type not in media_types:
            raise Fault(SYSTEM_ERROR)
        seconds = self.rules["handle.seconds"]
        if seconds and not placed.received and self.now() - placed.at > seconds:
            raise Fault(SYSTEM_ERROR)
        return placed

    def _blob(self, session: Session, msg: Outgoing, media_type: str) -> Blob:
        """Return the uploaded file, or the received one that `Content` forwards."""
        if isinstance(msg.MediaId, str) and msg.MediaId:
            return self._placed(session, msg.MediaId, media_type).blob
        content = split_speaker(_content(msg))[1].strip()
        if is_token(content):
            blob = self.cdn.find_token(content)
        else:
            reference = cdn_reference(content) if "<" in content else None
            blob = self.cdn.find(reference) if reference is not None else None
        if blob is None:
            raise Fault(SYSTEM_ERROR)
        return blob


def _content(msg: Outgoing) -> str:
    return msg.Content if isinstance(msg.Content, str) else ""


def _text_of(value: object) -> str:
    return "" if value is None else str(value)
