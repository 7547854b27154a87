"""Sending, and taking back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from yizhan.http.router import Call
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server.desk import Desk, Spoken
from yizhan.platforms.webwechat.server.messages import added, recalled
from yizhan.platforms.webwechat.server.names import Whom
from yizhan.platforms.webwechat.server.session import Placed, Session
from yizhan.platforms.webwechat.wire.base import (
    BAD_PARAMETER,
    SELF_REFUSED,
    SYSTEM_ERROR,
    TARGET_GONE,
    TOO_FREQUENT,
    UNREADABLE,
)
from yizhan.platforms.webwechat.wire.content import MD5, is_token, read_card, read_cdn, split_room
from yizhan.platforms.webwechat.wire.sending import Outgoing, Sent
from yizhan.wire import Endpoint, Fault
from yizhan.wire.filename import safe_name
from yizhan.world import Blob

INTRODUCTION = "你可以撤回2分钟内发送的消息（部分旧版本微信不支持这个功能）。"
TOO_LATE = "该消息发送超过2分钟，不能撤回。"

Make = Callable[[Desk, Session, Outgoing, Spoken], None]


def serve_sending(desk: Desk) -> None:
    """Register the calls of this chapter."""
    for endpoint, make in _MAKERS.items():
        desk.router.add(wire.SENDING[endpoint], _sender(desk, wire.SENDING[endpoint], make))

    @desk.router.on(wire.REVOKE)
    async def revoke(call: Call[wire.Revoke]) -> wire.Revoked:
        session = desk.session(call.http, call.request.BaseRequest)
        spoken = desk.messages.get(str(call.request.SvrMsgId))
        if spoken is None or spoken.sender != ("account", session.account.id):
            raise Fault(SYSTEM_ERROR)
        if desk.now() - spoken.at > desk.rules["recall.seconds"]:
            raise Fault(SYSTEM_ERROR, TOO_LATE)
        if spoken.post is not None and not spoken.post.recalled:
            spoken.post.recalled = True
            for reader in desk.readers(spoken):
                reader.push(recalled(reader, spoken, desk.message_id(), desk.now()))
        return wire.Revoked(INTRODUCTION)


def _sender(desk: Desk, endpoint: Endpoint[Any, Sent], make: Make) -> Callable[[Call[Any]], Any]:
    async def send(call: Call[Any]) -> Sent:
        session = desk.session(call.http, call.request.BaseRequest)
        message: Outgoing = call.request.Msg
        local, client = _word(message.LocalID), _word(message.ClientMsgId)
        seconds = desk.rules["send.repeat_seconds"]
        earlier = session.repeated(message.ToUserName, client, desk.now(), seconds) if client else None
        if earlier is not None:
            return Sent(earlier, local)
        whom = _receiver(desk, session, message.ToUserName)
        spoken = Spoken(desk.message_id(), "text", desk.now(), ("account", session.account.id), (whom.sort, whom.id))
        make(desk, session, message, spoken)
        _count(desk, session, spoken)
        # From here to the answer nothing waits, so that a repeat cannot come in between.
        if client:
            session.remember(message.ToUserName, client, spoken.id, desk.now(), seconds)
        desk.keep(
            spoken,
            call=endpoint.name,
            account=session.account.id,
            target=whom.shown,
            target_kind=whom.kind,
            extra={
                "to": message.ToUserName,
                "scene": str(call.request.Scene or 0),
                "md5": spoken.md5,
                **({"xml": spoken.xml} if spoken.xml else {}),
            },
        )
        for reader in desk.readers(spoken):
            reader.push(added(desk, reader, spoken))
        return Sent(spoken.id, local)

    return send


def _receiver(desk: Desk, session: Session, user_name: str) -> Whom:
    whom = session.names.whom(user_name)
    if whom is None:
        raise Fault(TARGET_GONE)
    if user_name == session.me and not desk.rules["send.to_self"]:
        raise Fault(SELF_REFUSED)
    return whom


def _count(desk: Desk, session: Session, spoken: Spoken) -> None:
    """Pictures in a row are counted; past the limit nothing is delivered."""
    count, seconds = desk.rules["pictures.count"], desk.rules["pictures.seconds"]
    if spoken.kind != "image" or not count or not desk.rules.limited:
        return
    while session.pictures and session.pictures[0] <= spoken.at - seconds:
        session.pictures.popleft()
    if len(session.pictures) >= count:
        raise Fault(TOO_FREQUENT)
    session.pictures.append(spoken.at)


# --- one function per path: what `Msg` says becomes what was spoken ---------------------------------------------------


def _text(desk: Desk, _session: Session, message: Outgoing, spoken: Spoken) -> None:
    content = _content(message)
    if not content or len(content) > desk.rules["text.max_characters"]:
        raise Fault(BAD_PARAMETER)
    spoken.text = content
    match str(message.Type):
        case "42":
            spoken.kind, spoken.xml = "contact_card", content
        case "48":
            spoken.kind, spoken.xml = "location", content


def _image(desk: Desk, session: Session, message: Outgoing, spoken: Spoken) -> None:
    spoken.kind = "image"
    spoken.blob = _placed_or_forwarded(desk, session, message)
    spoken.md5 = spoken.blob.md5
    spoken.size = desk.sizes.get(spoken.blob.sha256, (0, 0))


def _video(desk: Desk, session: Session, message: Outgoing, spoken: Spoken) -> None:
    _image(desk, session, message, spoken)
    spoken.kind = "video"


def _emoticon(desk: Desk, session: Session, message: Outgoing, spoken: Spoken) -> None:
    spoken.kind = "sticker"
    if isinstance(message.MediaId, str) and message.MediaId:
        spoken.blob = _placed(desk, session, message.MediaId).blob
        spoken.md5 = spoken.blob.md5
        return
    md5 = message.EMoticonMd5 if isinstance(message.EMoticonMd5, str) else ""
    if not MD5.fullmatch(md5):
        raise Fault(BAD_PARAMETER)
    spoken.md5 = md5.lower()
    spoken.blob = desk.uploads.get(spoken.md5)


def _app(desk: Desk, session: Session, message: Outgoing, spoken: Spoken) -> None:
    content = _content(message)
    card = read_card(content)
    if not content or "<appmsg" not in content:
        raise Fault(UNREADABLE)
    if card.kind != "file":
        spoken.kind, spoken.xml, spoken.text, spoken.name = card.kind, content, card.title, card.title
        return
    placed = _placed(desk, session, card.attachid, received=True)
    big = placed.blob.size > desk.rules["checkupload.required_above_bytes"]
    if big and not placed.received and message.Signature != placed.signature:
        raise Fault(BAD_PARAMETER)
    spoken.kind, spoken.blob, spoken.md5 = "file", placed.blob, placed.blob.md5
    spoken.name = safe_name(card.title)


_MAKERS: dict[str, Make] = {
    "webwxsendmsg": _text,
    "webwxsendmsgimg": _image,
    "webwxsendvideomsg": _video,
    "webwxsendemoticon": _emoticon,
    "webwxsendappmsg": _app,
}


def _placed(desk: Desk, session: Session, media_id: str, *, received: bool = False) -> Placed:
    """Return what a MediaId of this login stands for; received ones can be sent on as files only."""
    placed = session.media.get(media_id)
    if placed is None or (placed.received and not received):
        raise Fault(SYSTEM_ERROR)
    seconds = desk.rules["media.seconds"]
    if seconds and not placed.received and desk.now() - placed.at > seconds:
        raise Fault(SYSTEM_ERROR)
    return placed


def _placed_or_forwarded(desk: Desk, session: Session, message: Outgoing) -> Blob:
    if isinstance(message.MediaId, str) and message.MediaId:
        return _placed(desk, session, message.MediaId).blob
    content = split_room(_content(message))[1].strip()
    if is_token(content) and content in desk.tokens:
        return desk.tokens[content]
    cdn = read_cdn(content) if "<" in content else None
    blob = desk.from_cdn(cdn) if cdn is not None else None
    if blob is None:
        raise Fault(SYSTEM_ERROR)
    return blob


def _content(message: Outgoing) -> str:
    return message.Content if isinstance(message.Content, str) else ""


def _word(value: object) -> str:
    return "" if value is None else str(value)
