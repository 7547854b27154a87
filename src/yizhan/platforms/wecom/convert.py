"""A message to the robot's messages. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from yizhan.errors import UnknownTarget
from yizhan.model import File, Image, Link, Media, Mention, Native, Target, Video, Voice
from yizhan.model.split import head
from yizhan.platforms.adapter import MediaNeed, Part
from yizhan.platforms.kit.composer import Composer, amount, carried_name
from yizhan.platforms.kit.words import Piece
from yizhan.platforms.rules import Rules
from yizhan.platforms.wecom import wire

ALL = "@all"
ME = "me"
"""The id of the only target: the robot's own group."""
_PHONE = re.compile(r"\+?\d{11,15}")
_ONLY_V2 = re.compile(r"^\s*([-*+]|\d+[.)])\s|^\s*(```|~~~)|^\s*\|.+\||!\[", re.MULTILINE)
"""Lists, code, tables and pictures, which the older Markdown shows as they are typed."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that may still lack the key, its media id, or its picture."""

    message: wire.Send
    picture: Media | None = None
    """Travels in the message itself."""


class RobotComposer(Composer):
    title = "WeCom group robot"
    kinds = ("group",)
    whole = re.compile(r"<@[^>]+>")

    def __init__(self, target: Target, rules: Rules) -> None:
        super().__init__(target, rules)
        if target.id != ME:
            raise UnknownTarget(f"{target}: a robot's key is its group. Write {target.account}/group/{ME}.")

    def text(self, piece: Piece) -> Part:
        phones = [user for user in piece.mentioned if _PHONE.fullmatch(user)]
        everyone = [ALL] if "all" in piece.mentioned else []
        text = wire.Text(piece.text, everyone, phones)
        return self.robot("text", f"text {len(piece.text)} chars", text=text)

    def mention(self, mention: Mention) -> str:
        # The platform adds the names of everyone and of telephone numbers itself.
        return "" if mention.user == "all" or _PHONE.fullmatch(mention.user) else f"<@{mention.user}>"

    def markdown(self, text: str) -> Part:
        summary, content = f"markdown {len(text)} chars", wire.Markdown(text)
        if _ONLY_V2.search(text):
            return self.robot("markdown_v2", summary, markdown_v2=content)
        return self.robot("markdown", summary, markdown=content)

    def image(self, segment: Image, media: Media) -> Part:
        return self.part(wire.SEND.name, Draft(wire.Send("", "image"), media), f"image {amount(media.size)}")

    def voice(self, segment: Voice, media: Media) -> Part:
        if media.format != "amr":
            return self.placed("file", media, segment.name)
        return self.placed("voice", media, segment.name)

    def video(self, segment: Video, media: Media) -> Part:
        return self.placed("file", media, segment.name, "WeCom robots send no videos; it went as a file.")

    def file(self, segment: File, media: Media) -> Part:
        return self.placed("file", media, segment.name)

    def link(self, segment: Link) -> Part:
        title = _cut(segment.title, self.number("article.title_bytes"))
        description = _cut(segment.description, self.number("article.description_bytes"))
        was_cut = (title, description) != (segment.title, segment.description)
        article = wire.Article(title, segment.url, description, segment.thumb_url)
        note = "The card's title or description was cut to what the platform shows." if was_cut else ""
        return self.robot("news", f"link {segment.title[:40]}", note, news=wire.News([article]))

    def native(self, segment: Native) -> Part:
        self.native_call(segment, {wire.SEND.name: wire.SEND})
        message = self.native_request(segment, wire.Send, key="")
        return self.part(wire.SEND.name, Draft(message), f"native {message.msgtype}")

    def placed(self, kind: str, media: Media, name: str, note: str = "") -> Part:
        """Return a message whose media are uploaded first. The upload carries the name."""
        shown, changed = carried_name(media, name)
        note = " ".join(filter(None, (note, changed)))
        need = MediaNeed(media, "account", f"{kind} {shown}", shown)
        return self.part(wire.SEND.name, Draft(wire.Send("", kind)), f"{kind} {amount(media.size)}", need, note=note)

    def robot(self, kind: str, summary: str, note: str = "", **content: Struct) -> Part:
        """Return a message of one type; `content` is the field of that name."""
        message = replace(wire.Send("", kind), **content)
        return self.part(wire.SEND.name, Draft(message), summary, note=note)


def _cut(text: str, most: int) -> str:
    """Return `text` in at most `most` bytes of UTF-8 (0: no limit), with an ellipsis where it was cut."""
    if not most or len(text.encode()) <= most:
        return text
    return head(text, most - len("…".encode())) + "…"
