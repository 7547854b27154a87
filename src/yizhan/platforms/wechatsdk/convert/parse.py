"""Pushes to events. Media stand as `Forward`: by a reference that can be fetched or sent on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from yizhan.errors import Unsupported
from yizhan.model import Event, EventKind, Forward, Message, Reply, Segment, Target, Text
from yizhan.platforms.wechat_xml import (
    parse_card,
    parse_contact,
    parse_friend_request,
    parse_media,
    parse_revoked,
    parse_words,
    split_sender,
)
from yizhan.platforms.wechatsdk import wire
from yizhan.wire.filename import safe_name

_GROUP_KINDS = {4: EventKind.GROUP_ADDED, 5: EventKind.GROUP_REMOVED}
_LARGE_FROM = 25 << 20
"""Where a received file's type changes; the vendor's own border, whatever the rules say."""


def parse(raw: Mapping[str, Any], account: str, now: float) -> Event:
    """Return what a push says.

    Raises:
        ValueError: it does not have the documented shape.
    """
    try:
        push = msgspec.convert(_known(raw), wire.Push, strict=False)
        if push.pushType == wire.PUSH_MESSAGE:
            return _message(msgspec.convert(_renamed(push.data), wire.Message, strict=False), raw, account, now)
    except msgspec.ValidationError as error:
        raise ValueError(f"not a push: {error}") from error
    return _other(push, raw, account, now)


def _renamed(data: Mapping[str, Any]) -> dict[str, Any]:
    return {**_known(data), "sender": data.get("from") or ""}


def _known(data: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is null: nothing is known about it."""
    return {name: value for name, value in data.items() if value is not None}


def _other(push: wire.Push, raw: Mapping[str, Any], account: str, now: float) -> Event:
    data = push.data
    id, kind, target = _made_id(push.pushType, raw), EventKind.OTHER, None
    words, context = "", dict[str, Any]()
    match push.pushType:
        case wire.PUSH_ASYNC:
            kind, context = EventKind.SENT, {"asyncUserData": data.get("asyncUserData", push.asyncUserData)}
            # Told apart from the echo of the same message, which has the same id.
            number = data.get("szMsgSvrID") or data.get("msgSvrID")
            id = f"push{push.pushType}:{number}" if number else id
        case wire.PUSH_OWN:
            kind, words = EventKind.SENT, str(data.get("content", ""))
            id = str(data.get("szMsgSvrID") or data.get("msgSvrID") or data.get("msgSvrId") or id)
            target = _place(account, str(data.get("talker", "")))
        case wire.PUSH_LOGIN:
            words = "logged in" if data.get("step") == 1 else str(data.get("desc", ""))
        case wire.PUSH_LOGOUT:
            kind = EventKind.LOGIN_LOST
        case wire.PUSH_GROUP:
            target = _place(account, str(data.get("chatroomUserName", "")))
            kind = _GROUP_KINDS.get(_int(data.get("subType")), EventKind.OTHER)
    message = Message((Text(words),)) if words else None
    at = float(_int(push.pushTime)) or now
    return Event(id, kind, account, at, target, message=message, context=context, raw=dict(raw))


def _made_id(push_type: int, raw: Mapping[str, Any]) -> str:
    """An id for what has none of its own: the same push twice is the same event."""
    return f"push{push_type}:{hashlib.sha256(msgspec.json.encode(raw)).hexdigest()[:24]}"


def _message(message: wire.Message, raw: Mapping[str, Any], account: str, now: float) -> Event:
    place = message.sender
    in_group = place.endswith("@chatroom") or bool(message.isChatroomMsg)
    author, content = split_sender(message.content) if in_group else (place, message.content)
    info = message.chatroomMemberInfo if in_group else message.talkerInfo
    author = author or str(info.get("userName", ""))
    segments, kind, context = _content(message, content)
    at = float(_int(message.createtime) or _int(message.createTime)) or now
    withdrawn = ""
    if kind is EventKind.RECALL:
        withdrawn = context.pop("withdrawn")
    return Event(
        # Notices that WeChat makes up on the spot have the number 0.
        id=message.id or _made_id(wire.PUSH_MESSAGE, raw),
        kind=kind,
        account=account,
        at=at,
        target=_place(account, place) if place != "fmessage" else None,
        sender=author if place != "fmessage" else str(context.pop("sender", "")),
        sender_name=str(info.get("remark") or info.get("nickName") or ""),
        message=Message(segments) if segments else None,
        reply=Reply(withdrawn or message.id, at) if kind in (EventKind.MESSAGE, EventKind.RECALL) else None,
        context=context,
        raw=dict(raw),
        about=withdrawn,
    )


def _place(account: str, id: str) -> Target | None:
    return Target(account, "group" if id.endswith("@chatroom") else "user", id) if id else None


def _content(message: wire.Message, content: str) -> tuple[tuple[Segment, ...], EventKind, dict[str, Any]]:
    """The segments of a message. What cannot be read is shown as text rather than lost."""
    kind = EventKind.OTHER if message.type in wire.NOTICES else EventKind.MESSAGE
    try:
        match message.type:
            case wire.TYPE_TEXT:
                return parse_words(content, message.reserved1 or message.reversed1), kind, {}
            case wire.TYPE_REVOKED:
                if (revoked := parse_revoked(content)) is not None:
                    text = (Text(revoked.text),) if revoked.text else ()
                    return text, EventKind.RECALL, {"withdrawn": revoked.message_id}
            case wire.TYPE_FRIEND_REQUEST:
                asked = parse_friend_request(content)
                wanted = {"encryptUserName": asked.token, "ticket": asked.ticket, "scene": asked.scene}
                said = (Text(f"{asked.nickname}: {asked.content}"),)
                return said, EventKind.OTHER, {**wanted, "sender": asked.username}
            case wire.TYPE_CONTACT:
                return (parse_contact(content),), kind, {}
            case wire.TYPE_CARD:
                return _card(content), kind, {}
            case wire.TYPE_LOCATION:
                return (Text(parse_media(content).location_text()),), kind, {}
            case wire.TYPE_IMAGE | wire.TYPE_VOICE | wire.TYPE_VIDEO | wire.TYPE_STICKER:
                return (_media(message.type, content),), kind, {}
    except ValueError:
        pass
    return ((Text(content),) if content else ()), kind, {}


def _card(content: str) -> tuple[Segment, ...]:
    card = parse_card(content)
    file = card.file()
    if file is None:
        return card.segments(as_cards=True)
    name = safe_name(card.title)
    large = file.totallen >= _LARGE_FROM
    reference = {
        "platform": "wechatsdk",
        "type": wire.TYPE_CARD,
        "xml": card.xml,
        "fileid": file.cdnattachurl,
        "aeskey": file.aeskey,
        "fileType": wire.CDN_LARGE_FILE if large else wire.CDN_FILE,
        "size": file.totallen,
        "md5": file.md5,
        "name": name,
    }
    return (Forward("file", reference, name),)


def _media(kind: int, content: str) -> Forward:
    media = parse_media(content)
    reference: dict[str, Any] = {"platform": "wechatsdk", "type": kind, "aeskey": media.key(), "md5": media.get("md5")}
    match kind:
        case wire.TYPE_IMAGE:
            original, usual = media.file_id("cdnbigimgurl"), media.file_id("cdnmidimgurl")
            file_type = wire.CDN_IMAGE if usual else wire.CDN_ORIGINAL
            more = {"fileid": usual or original, "fileType": file_type, "thumb": media.number("cdnthumblength")}
            return Forward("image", {**reference, **more, "size": media.number("length")})
        case wire.TYPE_VIDEO:
            more = {"fileid": media.file_id("cdnvideourl"), "fileType": wire.CDN_VIDEO}
            measures = {"thumb": media.number("cdnthumblength"), "seconds": media.number("playlength")}
            return Forward("video", {**reference, **more, **measures, "size": media.number("length")})
        case wire.TYPE_VOICE:
            more = {"fileid": media.file_id("voiceurl"), "fileType": wire.CDN_VOICE}
            length = {"milliseconds": media.number("voicelength"), "size": media.number("length")}
            return Forward("voice", {**reference, **more, **length})
    return Forward("sticker", {**reference, "size": media.number("len")})


def _int(value: Any) -> int:
    text = str(value)
    return int(text[:15]) if text.isascii() and text.isdecimal() else 0


def download_of(reference: Mapping[str, Any], save_path: str) -> wire.Download:
    """Return the download of what an event refers to, into a file of the client's machine.

    Raises:
        Unsupported: it names nothing that the CDN holds.
    """
    file_id, key, file_type = (reference.get(name) for name in ("fileid", "aeskey", "fileType"))
    if not isinstance(file_id, str) or not isinstance(key, str) or not file_id or not key:
        raise Unsupported("The reference names no object of the CDN (its id or key is missing); it cannot be fetched.")
    return wire.Download(fileid=file_id, aeskey=key, fileType=int(file_type or wire.CDN_FILE), savePath=save_path)
