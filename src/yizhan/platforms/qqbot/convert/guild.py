"""Messages to guild channels and direct messages: text and one picture in one message. Pure."""

from __future__ import annotations

from typing import Any

from yizhan.errors import MediaTooLarge, Unsupported
from yizhan.model import Image, Media, MediaSegment, Native, Sticker
from yizhan.platforms.adapter import Part
from yizhan.platforms.qqbot.convert.bodies import GuildBody
from yizhan.platforms.qqbot.convert.composer import QqComposer, attribute, library_file, native_part
from yizhan.platforms.qqbot.convert.media import check_media, size_text
from yizhan.platforms.qqbot.wire import SEND_TO_CHANNEL, SEND_TO_DM
from yizhan.platforms.qqbot.wire.guild import SendToChannel, SendToDm


class GuildComposer(QqComposer):
    """Guild channels and direct messages."""

    def written(self, text: str) -> str:
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    def mention(self, user: str) -> str:
        if self.target.kind == "dm":
            raise Unsupported(f"{self.target}: direct messages show no mention. Write the name as text.")
        return "<qqbot-at-everyone />" if user == "all" else f'<qqbot-at-user id="{attribute(user)}" />'

    def close_text(self) -> None:
        last = self.parts[0].body if len(self.parts) == 1 else None
        pieces = self.take_text()
        if pieces and isinstance(last, GuildBody) and last.image is not None and last.message.content is None:
            last.message.content = pieces.pop(0)
        for piece in pieces:
            self.append_text(piece)

    def append_text(self, text: str) -> None:
        self._append(text, None, f"text {len(text)} chars")

    def picture(self, segment: Image | Sticker) -> None:
        media = library_file(segment)
        check_media(media, "image", self.rules)
        limit = self.rules.number("guild.image_max_bytes")
        if media.size > limit:
            raise MediaTooLarge(
                f"{self.target}: the picture has {size_text(media.size)}, a channel takes {size_text(limit)} "
                f"(rule guild.image_max_bytes, profile {self.rules.profile}). Send a smaller one."
            )
        self._append(self.take_caption(), media, f"image {size_text(media.size)}")

    def other_media(self, segment: MediaSegment) -> None:
        raise Unsupported(
            f"{self.target} cannot take a {type(segment).__name__.lower()}: guild channels and direct messages carry "
            "text and pictures only. Send a link as text, or choose a group or a user."
        )

    def native(self, segment: Native) -> None:
        self.close_text()
        calls = {"messages": (SEND_TO_DM if self.target.kind == "dm" else SEND_TO_CHANNEL).name}
        # Answers in guilds carry no number, so the platform recognizes no repeat.
        self.parts.append(native_part(segment, self.target, calls, repeatable=False))

    def _append(self, content: str | None, image: Media | None, summary: str) -> None:
        self.append_body(GuildBody(self._message(content=content), image), summary, self.take_note())

    def formatted(self, content: str, keyboard: dict[str, Any] | None = None) -> SendToChannel | SendToDm:
        return self._message(markdown={"content": content}, keyboard=keyboard)

    def append_body(self, body: Any, summary: str, note: str = "") -> None:
        call = SEND_TO_DM if self.target.kind == "dm" else SEND_TO_CHANNEL
        self.parts.append(Part(call.name, body, summary=summary, note=note))

    def _message(self, **fields: Any) -> SendToChannel | SendToDm:
        quote = self.take_quote()
        if self.target.kind == "dm":
            return SendToDm(guild_id=self.target.id, message_reference=quote, **fields)
        return SendToChannel(channel_id=self.target.id, message_reference=quote, **fields)
