"""Read cards. All input is untrusted: hostile XML raises ValueError, values of the wrong form are left empty."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree.ElementTree import Element, tostring

from yizhan.model import Card as CardSegment
from yizhan.model import ChannelVideo, ContactCard, Link, MiniProgram, Quote, Segment, Text
from yizhan.platforms.wechat_xml.compose import FileCard
from yizhan.platforms.wechat_xml.emoji import emoji_words
from yizhan.platforms.wechat_xml.record import record_lines
from yizhan.platforms.wechat_xml.xml import find, parse_fragment, refuse_hostile, repaired_source, text_of

_SENDER = re.compile(r"^([^\s:<>]{1,128}):(?:\r?\n|<br/>)")
_SIMPLE_SENDER = re.compile(r"^([^\s:<>]{1,128}): ")
_HEX_KEY = re.compile(r"[0-9a-fA-F]{32}")
_FILE_ID = re.compile(r"[0-9a-fA-F]{20,1024}")
_KINDS = {3: "music", 4: "link", 5: "link", 6: "file", 19: "chat_record", 33: "mini_program", 36: "mini_program"}
_KINDS |= {51: "channel_video", 57: "quote", 68: "link"}
CHAT_RECORD = 19
_CARD_SEGMENTS = {3: "song", CHAT_RECORD: "chat_record"}
_QUOTED_WORDS = {3: "[图片]", 34: "[语音]", 42: "[名片]", 43: "[视频]", 47: "[动画表情]", 48: "[位置]", 62: "[视频]"}
MAX_ORDINARY = 512 << 10
"""Characters of a card; only a chat record (type 19) may be larger, up to `xml.MAX_CHARS`."""


def card_kind(type_: int) -> str:
    """Return the name of a card type; `card` for a type without a name of its own."""
    return _KINDS.get(type_, "card")


def card_type(xml: str) -> int:
    """Return the type of the card in `xml`; 0 if it cannot be read."""
    try:
        return parse_card(xml).type
    except ValueError:
        return 0


@dataclass(frozen=True, slots=True)
class Card:
    """One `<appmsg>` as it arrived."""

    type: int
    """The `type` that is a direct child of appmsg (nested documents have their own); 0 if missing or not a number."""
    title: str
    xml: str
    """The element's original text; forwarding sends it unchanged."""
    root: Element
    sender: str = ""
    """`fromusername` beside the element."""

    @property
    def kind(self) -> str:
        return card_kind(self.type)

    def text(self, path: str) -> str:
        """Return the text at a path below appmsg, such as `appattach/totallen`; empty if there is none."""
        return text_of(find(self.root, path))

    def number(self, path: str) -> int:
        """Return the number at a path; 0 if it is empty, negative, too large or not a number."""
        return _number(self.text(path))

    def file(self) -> FileCard | None:
        """Return the values of a file card; None for other kinds.

        Keys and ids that do not have their documented form are left empty.
        """
        if self.type != 6:
            return None
        attach = "appattach/"
        return FileCard(
            title=self.title,
            totallen=self.number(attach + "totallen"),
            fileext=self.text(attach + "fileext"),
            attachid=self.text(attach + "attachid"),
            cdnattachurl=_only(_FILE_ID, self.text(attach + "cdnattachurl")),
            aeskey=_only(_HEX_KEY, self.text(attach + "aeskey")).lower(),
            md5=_only(_HEX_KEY, self.text("md5")).lower(),
            filekey=self.text(attach + "filekey"),
            overwrite_newmsgid=self.text(attach + "overwrite_newmsgid") or "0",
            fileuploadtoken=self.text(attach + "fileuploadtoken"),
        )

    def segments(self, *, as_cards: bool = False) -> tuple[Segment, ...]:
        """Return the card as segments.

        Songs, chat records and types without a segment of their own become a `Card` segment with `as_cards`, else a
        link, or title and description as text. A file card returns nothing: fetching its bytes is up to the platform
        that received it.
        """
        if as_cards and (self.type in _CARD_SEGMENTS or self.kind == "card"):
            return (self.as_card(),)
        match self.type:
            case 6:
                return ()
            case 3 | 4 | 5 | 68:
                return self._link()
            case 33 | 36:
                return (self._mini_program(),)
            case 51:
                return (self._channel_video(),)
            case 57:
                return (self._quote(), Text(emoji_words(self.title)))
        lines = [line for line in (self.title, self.text("des")) if line]
        return (Text("\n".join(lines)),) if lines else ()

    def as_card(self) -> CardSegment:
        """Return the card as a `Card` segment; a chat record with its lines."""
        url = self.text("url") or self.text("dataurl")
        return CardSegment(
            title=self.title,
            description=self.text("des"),
            url=url if re.match(r"https?://", url, re.IGNORECASE) else "",
            kind=_CARD_SEGMENTS.get(self.type, str(self.type)),
            xml=self.xml,
            lines=record_lines(self.root) if self.type == CHAT_RECORD else (),
        )

    def _link(self) -> tuple[Segment, ...]:
        url, thumb = self.text("url") or self.text("dataurl"), self.text("thumburl") or self.text("songalbumurl")
        if not re.match(r"https?://", url, re.IGNORECASE):
            return (Text(self.title),) if self.title else ()
        return (Link(url, self.title, self.text("des"), thumb),)

    def _mini_program(self) -> MiniProgram:
        return MiniProgram(
            app_id=self.text("weappinfo/appid"),
            username=self.text("weappinfo/username") or self.text("sourceusername"),
            title=self.title,
            path=self.text("weappinfo/pagepath"),
            thumb_url=self.text("thumburl"),
            display_name=self.text("sourcedisplayname"),
            icon_url=self.text("weappinfo/weappiconurl"),
        )

    def _channel_video(self) -> ChannelVideo:
        feed = "finderFeed/"
        media = feed + "mediaList/media/"
        return ChannelVideo(
            object_id=self.text(feed + "objectId"),
            object_nonce_id=self.text(feed + "objectNonceId"),
            nickname=self.text(feed + "nickname"),
            username=self.text(feed + "username"),
            description=self.text(feed + "desc"),
            url=self.text(media + "url"),
            cover_url=self.text(media + "coverUrl"),
            thumb_url=self.text(media + "thumbUrl"),
            avatar_url=self.text(feed + "avatar"),
            duration_seconds=self.number(media + "videoPlayDuration"),
            width=self.number(media + "width"),
            height=self.number(media + "height"),
        )

    def _quote(self) -> Quote:
        refer = "refermsg/"
        chat, member = self.text(refer + "fromusr"), self.text(refer + "chatusr")
        in_group = chat.endswith("@chatroom") or chat.startswith("@@")
        author = member if in_group or not chat else chat
        return Quote(
            message_id=self.text(refer + "svrid"),
            text=_quoted_text(self.number(refer + "type"), self.text(refer + "content")),
            sender=author,
            sender_name=self.text(refer + "displayname"),
            at=float(self.number(refer + "createtime")),
        )

    def quoted(self) -> tuple[int, str]:
        """Return message type and content of the message that a quote card answers; media are their XML."""
        content = self.text("refermsg/content")
        return self.number("refermsg/type"), _SIMPLE_SENDER.sub("", split_sender(content)[1])


@dataclass(frozen=True, slots=True)
class MediaXml:
    """The XML of a picture (`img`), `videomsg`, `voicemsg`, `emoji` or `location`: a tag and its attributes."""

    tag: str
    values: Mapping[str, str]

    def get(self, name: str) -> str:
        return self.values.get(name, "")

    def number(self, name: str) -> int:
        return _number(self.get(name))

    def location_text(self) -> str:
        """Return name and address of a `location`, one per line."""
        return "\n".join(filter(None, (self.get("poiname"), self.get("label")))) or "[位置]"

    def key(self, name: str = "aeskey") -> str:
        """Return a key of 32 hex digits in lower case; empty if it does not have that form."""
        return _only(_HEX_KEY, self.get(name)).lower()

    def file_id(self, name: str) -> str:
        """Return a CDN id; empty if it does not have that form."""
        return _only(_FILE_ID, self.get(name))


@dataclass(frozen=True, slots=True)
class Revoked:
    """A withdrawn message (message type 10002)."""

    chat: str
    message_id: str
    """`newmsgid`: the message's id on the platform."""
    local_id: str
    text: str


@dataclass(frozen=True, slots=True)
class FriendRequest:
    """A friend request (message type 37). Accepting it takes `token` and `ticket`."""

    username: str
    nickname: str
    content: str
    token: str
    ticket: str
    scene: int


def parse_card(text: str) -> Card:
    """Return the card in `text`: the sending form, or the received document, with or without a leading `sender:`.

    Raises:
        ValueError: there is not exactly one `<appmsg>`, or the XML is hostile or cannot be repaired.
    """
    body = _from_first_tag(text)
    top = parse_fragment(body)
    holder = top if find(top, "appmsg") is not None else find(top, "msg")
    found = [element for element in (holder if holder is not None else ()) if element.tag == "appmsg"]
    if holder is None or len(found) != 1:
        raise ValueError(f"expected one <appmsg>, found {len(found)}")
    root = found[0]
    kind = _number(text_of(find(root, "type")))
    if kind != CHAT_RECORD and len(body) > MAX_ORDINARY:
        raise ValueError(f"the card has {len(body)} characters, the limit is {MAX_ORDINARY}")
    return Card(kind, text_of(find(root, "title")), _slice(body, root), root, text_of(find(holder, "fromusername")))


def parse_contact(text: str) -> ContactCard:
    """Return the contact card in `text` (message type 42).

    Raises:
        ValueError: `text` is not a contact card.
    """
    body = _from_first_tag(text)
    element = find(parse_fragment(body), "msg")
    if element is None or not element.get("username"):
        raise ValueError("not a contact card: there is no <msg username=…>")
    return ContactCard(
        username=element.get("username", ""),
        nickname=element.get("nickname", ""),
        alias=element.get("alias", ""),
        xml=repaired_source(body).strip(),
    )


def parse_friend_request(text: str) -> FriendRequest:
    """Return the friend request in `text`.

    Raises:
        ValueError: `text` is not a friend request.
    """
    element = find(parse_fragment(_from_first_tag(text)), "msg")
    if element is None or not element.get("encryptusername"):
        raise ValueError("not a friend request: there is no <msg encryptusername=…>")
    values = element.attrib
    return FriendRequest(
        username=values.get("fromusername", ""),
        nickname=values.get("fromnickname", ""),
        content=values.get("content", ""),
        token=values.get("encryptusername", ""),
        ticket=values.get("ticket", ""),
        scene=_number(values.get("scene", "")),
    )


def parse_media(text: str) -> MediaXml:
    """Return the media element in `text`.

    Raises:
        ValueError: there is none, or the XML is hostile or broken.
    """
    message = find(parse_fragment(_from_first_tag(text)), "msg")
    element = next(iter(message if message is not None else ()), None)
    if element is None:
        raise ValueError("there is no media element in <msg>")
    return MediaXml(element.tag, dict(element.attrib))


def parse_revoked(text: str) -> Revoked | None:
    """Return the withdrawn message that a `sysmsg` names; None for another kind of notice.

    Raises:
        ValueError: the XML is hostile or broken.
    """
    element = find(parse_fragment(_from_first_tag(text)), "sysmsg/revokemsg")
    if element is None:
        return None
    return Revoked(
        chat=text_of(find(element, "session")),
        message_id=text_of(find(element, "newmsgid")),
        local_id=text_of(find(element, "msgid")),
        text=text_of(find(element, "replacemsg")),
    )


def split_sender(text: str) -> tuple[str, str]:
    """Split a group message, `wxid:` + line break + text, into sender and text; sender is empty without the prefix."""
    match = _SENDER.match(text)
    return (match[1], text[match.end() :]) if match else ("", text)


def _from_first_tag(text: str) -> str:
    """Cut off the sender's name in front of the XML; it may contain colons and line breaks."""
    refuse_hostile(text)
    match = re.search(r"<(?:\?xml|msg|appmsg|sysmsg)\b", text[:4096])
    return text[match.start() :] if match else text


def _slice(body: str, root: Element) -> str:
    """Return the original text of `root`, so that element order, CDATA and white space survive forwarding."""
    sound = repaired_source(body)
    start, end = sound.find("<appmsg"), sound.rfind("</appmsg>")
    if 0 <= start < end:
        piece = sound[start : end + len("</appmsg>")]
        try:
            alone = parse_fragment(piece)
        except ValueError:
            return _rewritten(root)
        if len(alone) == 1 and _rewritten(alone[0]) == _rewritten(root):
            return piece
    return _rewritten(root)


def _rewritten(root: Element) -> str:
    tail, root.tail = root.tail, None
    try:
        return tostring(root, encoding="unicode", short_empty_elements=False)
    finally:
        root.tail = tail


def _quoted_text(kind: int, content: str) -> str:
    if kind in _QUOTED_WORDS:
        return _QUOTED_WORDS[kind]
    if kind == 49:
        try:
            return parse_card(content).title
        except ValueError:
            return ""
    simple = _SIMPLE_SENDER.match(content)
    said = content[simple.end() :] if simple and simple[1].startswith("wxid_") else split_sender(content)[1]
    # XML of an unknown message type is nothing to show; a text message may itself look like XML.
    return "" if kind not in (0, 1) and said.lstrip().startswith("<") else emoji_words(said)


def _number(text: str) -> int:
    if not re.fullmatch(r"\d{1,15}(\.\d{0,9})?", text):
        return 0
    return int(float(text))


def _only(pattern: re.Pattern[str], text: str) -> str:
    return text if pattern.fullmatch(text) else ""
