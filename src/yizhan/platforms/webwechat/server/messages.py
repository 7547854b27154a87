"""A message in the names of one login: what webwxsync hands out."""

from __future__ import annotations

from yizhan.model import Link
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server.desk import Desk, Spoken
from yizhan.platforms.webwechat.server.session import Placed, Session
from yizhan.platforms.webwechat.wire.content import (
    emoticon_xml,
    encry_name,
    escaped,
    file_card,
    image_xml,
    location_content,
    read_card,
    recall_xml,
    video_xml,
    voice_xml,
)
from yizhan.platforms.webwechat.wire.session import Added, Recommended
from yizhan.platforms.wechat_xml import WEBWECHAT, as_received, compose_link, parse_contact


def added(desk: Desk, session: Session, spoken: Spoken) -> Added:
    """Return `spoken` as `session` receives it: escaped, in a room with the speaker before it."""
    sender = session.names.of(*spoken.sender)
    sort, id = spoken.to
    room = session.names.of("room", id) if sort == "room" else ""
    message = Added(
        MsgId=spoken.id,
        NewMsgId=int(spoken.id),
        FromUserName=room or sender,
        ToUserName=session.me,
        CreateTime=int(spoken.at),
    )
    content = _fill(desk, session, spoken, message, sender)
    message.Content = f"{sender}:<br/>{content}" if room else content
    return message


def _fill(desk: Desk, session: Session, spoken: Spoken, message: Added, sender: str) -> str:
    """Set what the kind of message asks for; return its Content, escaped."""
    match spoken.kind:
        case "image":
            return _image(desk, spoken, message)
        case "video":
            return _video(desk, spoken, message, sender)
        case "voice":
            message.MsgType = wire.VOICE
            message.VoiceLength = spoken.milliseconds
            if spoken.blob is not None and desk.rules["content.media"] == "token":
                return desk.token_of(spoken.blob)
            return escaped(voice_xml(spoken.milliseconds, _size(spoken), sender))
        case "sticker":
            message.MsgType, message.ImgStatus = wire.EMOTICON, 2
            md5 = spoken.blob.md5 if spoken.blob else spoken.md5
            return escaped(emoticon_xml(md5, _size(spoken), sender, session.me))
        case "file":
            return _file(desk, session, spoken, message, sender)
        case "contact_card":
            return _contact(spoken, message)
        case "location":
            message.SubMsgType, message.OriContent = wire.LOCATION, spoken.xml
            return location_content(spoken.xml, spoken.id)
        case "text":
            return escaped(spoken.text)
    return _card(spoken, message, sender)


def _image(desk: Desk, spoken: Spoken, message: Added) -> str:
    message.MsgType, message.ImgStatus = wire.IMAGE, 2
    message.ImgWidth, message.ImgHeight = spoken.size
    if spoken.blob is None:
        return ""
    cdn = desk.on_cdn(spoken.blob)
    if desk.rules["content.media"] == "token":
        return desk.token_of(spoken.blob)
    return escaped(image_xml(cdn, spoken.blob.size, spoken.size))


def _video(desk: Desk, spoken: Spoken, message: Added, sender: str) -> str:
    message.MsgType = wire.VIDEO
    message.ImgWidth, message.ImgHeight = spoken.size
    message.PlayLength = spoken.milliseconds // 1000
    if spoken.blob is None:
        return ""
    cdn = desk.on_cdn(spoken.blob)
    if desk.rules["content.media"] == "token":
        return desk.token_of(spoken.blob)
    return escaped(video_xml(cdn, spoken.blob.size, message.PlayLength, sender, spoken.size))


def _file(desk: Desk, session: Session, spoken: Spoken, message: Added, sender: str) -> str:
    message.MsgType, message.AppMsgType = wire.APP, wire.APP_FILE
    message.FileName, message.FileSize = spoken.name, str(_size(spoken))
    message.EncryFileName = encry_name(spoken.name)
    message.AppInfo.AppID = WEBWECHAT.file_appid
    attach = ""
    if spoken.blob is not None:
        message.MediaId = spoken.media_ids[session.sid] = session.media_id(f"received/{spoken.id}", 160)
        session.media[message.MediaId] = Placed(spoken.blob, spoken.name, spoken.at, "doc", received=True)
        cdn = desk.on_cdn(spoken.blob)
        # What arrives is not the MediaId: sending the card on asks for putting that in its place.
        attach = f"@cdn_{cdn.url}_{cdn.aeskey}_1"
    return escaped(as_received(file_card(spoken.name, _size(spoken), attach), sender))


def _card(spoken: Spoken, message: Added, sender: str) -> str:
    card = read_card(spoken.xml)
    message.MsgType, message.ImgStatus = wire.APP, 2
    # Merged chat records arrive without a type of their own.
    message.AppMsgType = 0 if card.kind == "chat_record" else card.type
    message.FileName, message.Url = card.title, card.url
    return escaped(as_received(spoken.xml, sender))


def _contact(spoken: Spoken, message: Added) -> str:
    message.MsgType = wire.CARD
    try:
        card = parse_contact(spoken.xml)
    except ValueError:
        return escaped(spoken.xml)
    message.RecommendInfo = Recommended(UserName=card.username, NickName=escaped(card.nickname), Alias=card.alias)
    return escaped(spoken.xml)


def link_xml(url: str, title: str) -> str:
    """Return the card of a link that a simulated person sends.

    Raises:
        ValueError: it is not an http or https address.
    """
    return compose_link(Link(url, title or url), WEBWECHAT)


def recalled(session: Session, spoken: Spoken, notice_id: str, now: float) -> Added:
    """Return the notice (MsgType 10002) that `spoken` was withdrawn."""
    sender = session.names.of(*spoken.sender)
    sort, id = spoken.to
    chat = session.names.of("room", id) if sort == "room" else sender
    whom = session.names.whom(sender)
    words = f'"{whom.shown if whom else ""}" 撤回了一条消息'
    return Added(
        MsgId=notice_id,
        NewMsgId=int(notice_id),
        FromUserName=chat,
        ToUserName=session.me,
        MsgType=wire.RECALL,
        Content=escaped(recall_xml(chat, spoken.id, words)),
        Status=4,
        CreateTime=int(now),
    )


def _size(spoken: Spoken) -> int:
    return spoken.blob.size if spoken.blob is not None else 0
