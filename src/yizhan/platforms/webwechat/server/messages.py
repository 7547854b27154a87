"""Messages in the UserNames of one login, as webwxsync returns them."""

from __future__ import annotations

from yizhan.model import Link
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server.names import Sort
from yizhan.platforms.webwechat.server.session import Placed, Session
from yizhan.platforms.webwechat.server.state import SandboxMessage, ServerState
from yizhan.platforms.webwechat.wire.content import (
    compose_file_card,
    emoticon_xml,
    encry_file_name,
    escape_content,
    image_xml,
    location_content,
    recall_xml,
    summarize_card,
    video_xml,
    voice_xml,
)
from yizhan.platforms.webwechat.wire.session import AddMsg, AppMessageType, MessageType, RecommendedPerson
from yizhan.platforms.wechat_xml import WEBWECHAT, as_received, compose_link, parse_contact
from yizhan.world import Person


def received(state: ServerState, session: Session, message: SandboxMessage) -> AddMsg:
    """Return `message` as `session` receives it: Content escaped, in a room with the speaker in front."""
    sender = session.names.of(*message.sender)
    room = _room_of(session, message.to)
    msg = AddMsg(
        MsgId=message.id,
        NewMsgId=int(message.id),
        FromUserName=room or sender,
        ToUserName=session.me,
        CreateTime=int(message.at),
    )
    content = _fill(state, session, message, msg, sender)
    msg.Content = f"{sender}:<br/>{content}" if room else content
    return msg


def _room_of(session: Session, to: tuple[Sort, str]) -> str:
    sort, id = to
    return session.names.of("room", id) if sort == "room" else ""


def _fill(state: ServerState, session: Session, message: SandboxMessage, msg: AddMsg, sender: str) -> str:
    """Set the members that depend on the kind of message; return its escaped Content."""
    match message.kind:
        case "image":
            return _image(state, message, msg)
        case "video":
            return _video(state, message, msg, sender)
        case "voice":
            return _voice(state, message, msg, sender)
        case "sticker":
            msg.MsgType, msg.ImgStatus = MessageType.EMOTICON, 2
            md5 = message.blob.md5 if message.blob else message.md5
            return escape_content(emoticon_xml(md5, _size(message), sender, session.me))
        case "file":
            return _file(state, session, message, msg, sender)
        case "contact_card":
            return _contact(message, msg)
        case "location":
            msg.SubMsgType, msg.OriContent = MessageType.LOCATION, message.xml
            return location_content(message.xml, message.id)
        case "text":
            return escape_content(message.text)
    return _card(message, msg, sender)


def _image(state: ServerState, message: SandboxMessage, msg: AddMsg) -> str:
    msg.MsgType, msg.ImgStatus = MessageType.IMAGE, 2
    msg.ImgWidth, msg.ImgHeight = message.thumb_size
    if message.blob is None:
        return ""
    reference = state.cdn.place(message.blob)
    if state.rules["content.media"] == "token":
        return state.cdn.token_of(message.blob)
    return escape_content(image_xml(reference, message.blob.size, message.thumb_size))


def _video(state: ServerState, message: SandboxMessage, msg: AddMsg, sender: str) -> str:
    msg.MsgType = MessageType.VIDEO
    msg.ImgWidth, msg.ImgHeight = message.thumb_size
    msg.PlayLength = message.milliseconds // 1000
    if message.blob is None:
        return ""
    reference = state.cdn.place(message.blob)
    if state.rules["content.media"] == "token":
        return state.cdn.token_of(message.blob)
    return escape_content(video_xml(reference, message.blob.size, msg.PlayLength, sender, message.thumb_size))


def _voice(state: ServerState, message: SandboxMessage, msg: AddMsg, sender: str) -> str:
    msg.MsgType = MessageType.VOICE
    msg.VoiceLength = message.milliseconds
    if message.blob is not None and state.rules["content.media"] == "token":
        return state.cdn.token_of(message.blob)
    return escape_content(voice_xml(message.milliseconds, _size(message), sender))


def _file(state: ServerState, session: Session, message: SandboxMessage, msg: AddMsg, sender: str) -> str:
    msg.MsgType, msg.AppMsgType = MessageType.APP, AppMessageType.FILE
    msg.FileName, msg.FileSize = message.name, str(_size(message))
    msg.EncryFileName = encry_file_name(message.name)
    msg.AppInfo.AppID = WEBWECHAT.file_appid
    attachment = ""
    if message.blob is not None:
        msg.MediaId = session.media_id(f"received/{message.id}", 160)
        session.media[msg.MediaId] = Placed(message.blob, message.name, message.at, wire.DOCUMENT, received=True)
        reference = state.cdn.place(message.blob)
        # A received card has a CDN id here; to forward the card, a client must put the MediaId in its place.
        attachment = f"@cdn_{reference.url}_{reference.aeskey}_1"
    return escape_content(as_received(compose_file_card(message.name, _size(message), attachment), sender))


def _card(message: SandboxMessage, msg: AddMsg, sender: str) -> str:
    card = summarize_card(message.xml)
    msg.MsgType, msg.ImgStatus = MessageType.APP, 2
    # Chat records have no type of their own on this wire.
    msg.AppMsgType = 0 if card.kind == "chat_record" else card.type
    msg.FileName, msg.Url = card.title, card.url
    return escape_content(as_received(message.xml, sender))


def _contact(message: SandboxMessage, msg: AddMsg) -> str:
    msg.MsgType = MessageType.CARD
    try:
        card = parse_contact(message.xml)
    except ValueError:
        return escape_content(message.xml)
    name = escape_content(card.nickname)
    msg.RecommendInfo = RecommendedPerson(UserName=card.username, NickName=name, Alias=card.alias)
    return escape_content(message.xml)


def friend_request(session: Session, person: Person, message: SandboxMessage) -> AddMsg:
    """Return the friend request that a person sends who is not a contact."""
    return AddMsg(
        MsgId=message.id,
        NewMsgId=int(message.id),
        FromUserName="fmessage",
        ToUserName=session.me,
        MsgType=MessageType.FRIEND_REQUEST,
        CreateTime=int(message.at),
        RecommendInfo=RecommendedPerson(
            UserName=session.names.of("person", person.id),
            NickName=person.name,
            Content=message.text,
            Ticket=f"v2_{person.id}@stranger",
            Scene=30,
            OpCode=2,
        ),
    )


def link_xml(url: str, title: str) -> str:
    """Return the link card that a simulated person sends.

    Raises:
        ValueError: `url` is not an http or https address.
    """
    return compose_link(Link(url, title or url), WEBWECHAT)


def recall_notice(session: Session, message: SandboxMessage, notice_id: str, now: float) -> AddMsg:
    """Return the notice (MsgType 10002) that `message` was recalled."""
    sender = session.names.of(*message.sender)
    chat = _room_of(session, message.to) or sender
    recipient = session.names.recipient(sender)
    text = f'"{recipient.shown if recipient else ""}" 撤回了一条消息'
    return AddMsg(
        MsgId=notice_id,
        NewMsgId=int(notice_id),
        FromUserName=chat,
        ToUserName=session.me,
        MsgType=MessageType.RECALL,
        Content=escape_content(recall_xml(chat, message.id, text)),
        Status=4,
        CreateTime=int(now),
    )


def _size(message: SandboxMessage) -> int:
    return message.blob.size if message.blob is not None else 0
