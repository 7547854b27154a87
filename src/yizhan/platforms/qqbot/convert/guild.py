"""Messages to guild channels and direct messages: text and one picture in one message. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from yizhan.errors import MediaTooLarge, Unsupported
from yizhan.model import Image, Media, Mention, Native
from yizhan.platforms.adapter import Part
from yizhan.platforms.kit.words import Piece
from yizhan.platforms.qqbot.convert.bodies import GuildBody
from yizhan.platforms.qqbot.convert.composer import QqComposer, attribute
from yizhan.platforms.qqbot.convert.media import check_media, size_text
from yizhan.platforms.qqbot.wire import SEND_TO_CHANNEL, SEND_TO_DM
from yizhan.platforms.qqbot.wire.guild import SendToChannel, SendToDm

_TEXT_AND_PICTURES = (
    "Guild channels and direct messages carry text and pictures only. Send a link as text, or choose a group or a user."
)


class GuildComposer(QqComposer):
    """Guild channels and direct messages. Answers carry no number there, so the platform recognizes no repeat."""

    remedies: ClassVar[Mapping[str, str]] = {
        **QqComposer.remedies,
        **dict.fromkeys(("video", "voice", "file", "forward"), _TEXT_AND_PICTURES),
    }

    def written(self, text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def mention(self, mention: Mention) -> str:
        if self.target.kind == "dm":
            raise Unsupported(f"{self.target}: direct messages show no mention. Write the name as text.")
        return "<qqbot-at-everyone />" if mention.user == "all" else f'<qqbot-at-user id="{attribute(mention.user)}" />'

    def text(self, piece: Piece) -> Part:
        return self._content_part(piece.text, None, f"text {len(piece.text)} chars")

    def close_text(self) -> None:
        last = self.parts[0].body if len(self.parts) == 1 else None
        pieces = self.take_text()
        if pieces and isinstance(last, GuildBody) and last.image is not None and last.message.content is None:
            last.message.content = pieces.pop(0)
        for piece in pieces:
            self.append_text(piece)

    def image(self, segment: Image, media: Media) -> Part:
        check_media(media, "image", self.rules)
        limit = self.rules.number("guild.image_max_bytes")
        if media.size > limit:
            raise MediaTooLarge(
                f"{self.target}: the picture has {size_text(media.size)}, a channel takes {size_text(limit)} "
                f"(rule guild.image_max_bytes, profile {self.rules.profile}). Send a smaller one."
            )
        return self._content_part(self.take_caption(), media, f"image {size_text(media.size)}")

    def native(self, segment: Native) -> Part:
        self.close_text()
        return self.native_part(segment, {"messages": self._call})

    def formatted(self, content: str, keyboard: dict[str, Any] | None = None) -> SendToChannel | SendToDm:
        return self._message(markdown={"content": content}, keyboard=keyboard)

    def call_part(self, body: Any, summary: str, note: str = "") -> Part:
        return self.part(self._call, body, summary, note=note)

    @property
    def _call(self) -> str:
        return (SEND_TO_DM if self.target.kind == "dm" else SEND_TO_CHANNEL).name

    def _content_part(self, content: str | None, image: Media | None, summary: str) -> Part:
        return self.call_part(GuildBody(self._message(content=content), image), summary, self.take_note())

    def _message(self, **fields: Any) -> SendToChannel | SendToDm:
        quote = self.take_quote()
        if self.target.kind == "dm":
            return SendToDm(guild_id=self.target.id, message_reference=quote, **fields)
        return SendToChannel(channel_id=self.target.id, message_reference=quote, **fields)
