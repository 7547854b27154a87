"""Pushes to events, and what an event refers to back to a download."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.errors import Unsupported
from yizhan.model import (
    Event,
    EventKind,
    Forward,
    Message,
    Reply,
    Segment,
    Target,
    Text,
)
from yizhan.platforms.ohwxapi import wire
from yizhan.platforms.ohwxapi.wire import EventName, FileType, MsgType
from yizhan.platforms.wechat_xml import (
    parse_card,
    parse_contact,
    parse_friend_request,
    parse_media,
    parse_revoked,
    parse_words,
)
from yizhan.wire.filename import safe_name

# --- pushes → events --------------------------------------------------------------------------------------------------


def parse(push: wire.Push, raw: Mapping[str, Any], account: str, wxid: str, now: float) -> Event:
    """Return what a push says. Media stand as `Forward`, so that it can be fetched or sent on."""
    data = push.CurrentPacket.Data
    if data.EventName == EventName.MSG_NEW and data.AddMsg is not None:
        return _message(data.AddMsg, raw, account, wxid)
    if data.EventName == EventName.FRIEND_REQ:
        return _friend_request(data, raw, account, now)
    place = data.ChatUserName or data.FromUserName or (data.Contact.UserName if data.Contact else "")
    return Event(
        id=_made_id(data, data.EventName, now),
        kind=_KINDS.get(data.EventName, EventKind.OTHER),
        account=account,
        at=now,
        target=_place(account, place),
        sender=data.InviteUserName or data.FromUserName,
        sender_name=data.InviteNickName,
        message=Message((Text(words),)) if (words := data.Template or data.Reason) else None,
        raw=dict(raw),
    )


_KINDS: dict[str, EventKind] = {
    EventName.CHATROOM_INVITE: EventKind.GROUP_ADDED,
    EventName.ACCOUNT_OFFLINE: EventKind.LOGIN_LOST,
}


def _made_id(data: Struct, name: str, now: float) -> str:
    """Happenings have no id of their own: what happened, and in which second."""
    return f"{name}:{hashlib.sha256(msgspec.json.encode(data)).hexdigest()[:16]}:{int(now)}"


def _friend_request(data: wire.EventData, raw: Mapping[str, Any], account: str, now: float) -> Event:
    """Somebody asks to be a contact; `context` has what accepting (137) wants."""
    event = Event(_made_id(data, data.EventName, now), EventKind.OTHER, account, now, raw=dict(raw))
    try:
        asked = parse_friend_request(data.Content)
    except ValueError:
        return event
    return msgspec.structs.replace(
        event,
        target=_place(account, asked.username),
        sender=asked.username,
        sender_name=asked.nickname,
        message=Message((Text(asked.content),)) if asked.content else None,
        context={"V1Username": asked.token, "V2Ticket": asked.ticket, "Sence": asked.scene},
    )


def _message(message: wire.AddMsg, raw: Mapping[str, Any], account: str, wxid: str) -> Event:
    own = message.FromUserName == wxid
    place = message.ToUserName if own else message.FromUserName
    in_group = place.endswith("@chatroom")
    at = float(message.CreateTime)
    numbers = (message.NewMsgIdExt, str(message.NewMsgId))
    # Notices that are made up on the spot have the number 0.
    id = next((number for number in numbers if number not in ("", "0")), _made_id(message, "message", at))
    segments, kind = _content(message, id), EventKind.SENT if own else EventKind.MESSAGE
    if message.MsgType in _NOTICES and not own:
        kind = EventKind.RECALL if _revoked(message) else EventKind.OTHER
    return Event(
        id=id,
        kind=kind,
        account=account,
        at=at,
        target=_place(account, place),
        sender=wxid if own else (message.ActionUserName if in_group else message.FromUserName),
        sender_name="" if own else _sender_name(message),
        message=Message(segments) if segments else None,
        reply=Reply(_revoked(message) or id, at) if kind in (EventKind.MESSAGE, EventKind.RECALL) else None,
        raw=dict(raw),
        about=_revoked(message) if kind is EventKind.RECALL else "",
    )


_NOTICES = frozenset({MsgType.EVENT, MsgType.PHONE_STATUS, MsgType.NOTICE_9999, MsgType.NOTICE, MsgType.SYSTEM})


def _place(account: str, id: str) -> Target | None:
    return Target(account, "group" if id.endswith("@chatroom") else "user", id) if id else None


def _content(message: wire.AddMsg, id: str) -> tuple[Segment, ...]:
    """The segments of a message. What cannot be read is shown as text rather than lost."""
    try:
        match message.MsgType:
            case MsgType.TEXT:
                return parse_words(message.Content, message.MsgSource)
            case MsgType.IMAGE:
                return (_reference("image", message, id),)
            case MsgType.VOICE:
                return (_reference("voice", message, id),)
            case MsgType.VIDEO:
                return (_reference("video", message, id),)
            case MsgType.STICKER:
                return (_reference("sticker", message, id),)
            case MsgType.CARD:
                return (parse_contact(message.Content),)
            case MsgType.LOCATION:
                return (Text(parse_media(message.Content).location_text()),)
            case MsgType.APP:
                card = parse_card(message.Content)
                if card.kind != "file":
                    return card.segments(as_cards=True)
                return (_reference("file", message, id, safe_name(card.title)),)
            case MsgType.PHONE_STATUS:
                return ()
            case MsgType.SYSTEM if (revoked := parse_revoked(message.Content)) is not None:
                return (Text(revoked.text),) if revoked.text else ()
    except ValueError:
        pass
    return (Text(message.Content),) if message.Content else ()


def _reference(kind: str, message: wire.AddMsg, id: str, name: str = "") -> Forward:
    reference = {"platform": "ohwxapi", "type": message.MsgType, "xml": message.Content, "id": id}
    return Forward(kind, {**reference, "msg_id": message.MsgId}, name)


def _revoked(message: wire.AddMsg) -> str:
    if message.MsgType != MsgType.SYSTEM:
        return ""
    try:
        revoked = parse_revoked(message.Content)
    except ValueError:
        return ""
    return revoked.message_id if revoked else ""


def _sender_name(message: wire.AddMsg) -> str:
    if message.ActionNickName:
        return message.ActionNickName
    name, found, _ = message.PushContent.partition(wire.MENTIONED)
    return name if found else ""


# --- references -------------------------------------------------------------------------------------------------------


def download_of(reference: Mapping[str, Any]) -> wire.CdnDownload:
    """Return the download of what an event refers to.

    Raises:
        Unsupported: it names nothing that the CDN holds.
    """
    xml, kind = str(reference.get("xml", "")), reference.get("type")
    try:
        if kind == MsgType.VOICE:
            return wire.CdnDownload(VoiceXml=xml, FileType=FileType.VOICE, MsgId=reference.get("msg_id", 0))
        if kind == MsgType.APP and (card := parse_card(xml).file()) is not None:
            return _by_id(card.cdnattachurl, card.aeskey, FileType.FILE)
        media = parse_media(xml)
        if kind == MsgType.IMAGE:
            middle = media.file_id("cdnmidimgurl")
            large = media.file_id("cdnbigimgurl")
            return _by_id(large or middle, media.key(), FileType.ORIGINAL_IMAGE if large else FileType.IMAGE)
        if kind == MsgType.VIDEO:
            return _by_id(media.file_id("cdnvideourl"), media.key(), FileType.VIDEO)
    except ValueError as error:
        raise Unsupported(f"The reference cannot be read: {error}.") from error
    raise Unsupported(f"ohwxapi has no download for messages of type {kind}.")


def _by_id(file_id: str, key: str, file_type: int) -> wire.CdnDownload:
    if not file_id or not key:
        raise Unsupported("The message names no object of the CDN (its id or key is missing).")
    return wire.CdnDownload(AesKey=key, FileId=file_id, FileType=file_type)
