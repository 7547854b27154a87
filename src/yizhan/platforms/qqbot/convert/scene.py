"""Messages to users and groups: media are uploaded first, and the message refers to them. Pure."""

from __future__ import annotations

from typing import Any

from yizhan.errors import Unsupported
from yizhan.model import Forward, Image, Media, MediaSegment, Native, Sticker
from yizhan.platforms.adapter import MediaNeed, Part
from yizhan.platforms.qqbot.convert.bodies import LinkMessage
from yizhan.platforms.qqbot.convert.composer import QqComposer, attribute, library_file, native_part
from yizhan.platforms.qqbot.convert.media import check_media, check_open, segment_name, size_text
from yizhan.platforms.qqbot.wire import SCENES, STREAM_TO_USER
from yizhan.platforms.qqbot.wire.files import FILE, FILE_TYPES
from yizhan.platforms.qqbot.wire.messages import MARKDOWN, MEDIA, TEXT, SendMessage


class SceneComposer(QqComposer):
    """Users and groups: media are uploaded first, the message refers to them."""

    def mention(self, user: str) -> str:
        if self.target.kind == "user":
            raise Unsupported(f"{self.target}: one-to-one chats show no mention. Write the name as text.")
        if user == "all":
            raise Unsupported(f"{self.target}: only guild channels can mention everyone. Leave the mention out.")
        return f'<qqbot-at-user id="{attribute(user)}" />'

    def close_text(self) -> None:
        first, *rest = self.take_text()
        if self._last_takes_caption():
            self.parts[-1].body.content = first
        else:
            self.append_text(first)
        for piece in rest:
            self.append_text(piece)

    def append_text(self, text: str) -> None:
        self._append(TEXT, text, f"text {len(text)} chars")

    def _last_takes_caption(self) -> bool:
        body = self.parts[-1].body if len(self.parts) == 1 else None
        needs = self.parts[-1].needs if self.parts else ()
        return isinstance(body, SendMessage) and body.content is None and bool(needs) and needs[0].use == "1"

    def picture(self, segment: Image | Sticker) -> None:
        media = library_file(segment)
        need, note = self._need(segment, media, "image")
        if note:
            self.append_texts()
        caption = self.take_caption()
        self._append(MEDIA, caption, f"image {size_text(media.size)}", need, note)

    def other_media(self, segment: MediaSegment) -> None:
        kind = type(segment).__name__.lower()
        media = library_file(segment)
        need, note = self._need(segment, media, kind)
        self.append_texts()
        self._append(MEDIA, None, f"{kind} {size_text(media.size)}", need, note)

    def forward(self, segment: Forward) -> None:
        url = segment.reference.get("url")
        if segment.kind not in FILE_TYPES or not isinstance(url, str) or not url:
            raise Unsupported(
                f"{self.target} cannot take a forwarded {segment.kind}: QQ passes on received pictures, videos, voices "
                "and files only. Send the text anew."
            )
        check_open(segment.kind, self.rules)
        if segment.kind != "image":
            self.append_texts()
        caption = self.take_caption()
        name = segment.name or str(segment.reference.get("filename") or "")
        message = SendMessage(self.target.id, MEDIA, caption, message_reference=self.take_quote())
        body = LinkMessage(message, FILE_TYPES[segment.kind], url, name)
        self.append_body(body, f"forwarded {segment.kind}", self.take_note())

    def native(self, segment: Native) -> None:
        calls = {"messages": SCENES[self.target.kind].send.name}
        if self.target.kind == "user":
            calls["stream_messages"] = STREAM_TO_USER.name
        self.append_texts()
        self.parts.append(native_part(segment, self.target, calls, self.repeatable))

    def _append(
        self, msg_type: int, content: str | None, summary: str, need: MediaNeed | None = None, note: str = ""
    ) -> None:
        body = SendMessage(self.target.id, msg_type, content, message_reference=self.take_quote())
        self.append_body(body, summary, self.take_note(note), need)

    def formatted(self, content: str, keyboard: dict[str, Any] | None = None) -> SendMessage:
        return SendMessage(
            self.target.id,
            MARKDOWN,
            markdown={"content": content},
            keyboard=keyboard,
            message_reference=self.take_quote(),
        )

    def append_body(self, body: Any, summary: str, note: str = "", need: MediaNeed | None = None) -> None:
        call = SCENES[self.target.kind].send.name
        self.parts.append(Part(call, body, (need,) if need else (), self.repeatable, summary, note))

    def _need(self, segment: MediaSegment, media: Media, kind: str) -> tuple[MediaNeed, str]:
        check_open(kind, self.rules)
        note = check_media(media, kind, self.rules)
        name = segment_name(segment, media)
        # A name is shown with plain files only, and travels with the upload: then it is part of what makes one differ.
        use = f"{FILE_TYPES[kind]}:{name}" if note or FILE_TYPES[kind] == FILE else str(FILE_TYPES[kind])
        return MediaNeed(media, self.target.kind, use, name), note
