"""Messages to users and groups: media are uploaded first, and the message refers to them. Pure."""

from __future__ import annotations

from typing import Any

from yizhan.errors import Unsupported
from yizhan.model import File, Forward, Image, Media, Mention, Message, Native, Target, Video, Voice
from yizhan.platforms.adapter import MediaNeed, Part
from yizhan.platforms.kit.words import Piece
from yizhan.platforms.qqbot.convert.bodies import LinkMessage
from yizhan.platforms.qqbot.convert.composer import QqComposer, attribute
from yizhan.platforms.qqbot.convert.media import carried_name, check_media, check_open, segment_name, size_text
from yizhan.platforms.qqbot.wire import SCENES, STREAM_TO_USER
from yizhan.platforms.qqbot.wire.files import FILE, FILE_TYPES
from yizhan.platforms.qqbot.wire.messages import MARKDOWN, MEDIA, TEXT, SendMessage
from yizhan.platforms.rules import Rules


class SceneComposer(QqComposer):
    """Users and groups."""

    def __init__(self, message: Message, target: Target, rules: Rules) -> None:
        super().__init__(message, target, rules)
        # Answers are numbered, and the platform refuses a number that it has seen.
        self.repeatable = message.reply is not None  # type: ignore[misc]

    def mention(self, mention: Mention) -> str:
        if self.target.kind == "user":
            raise Unsupported(f"{self.target}: one-to-one chats show no mention. Write the name as text.")
        if mention.user == "all":
            raise Unsupported(f"{self.target}: only guild channels can mention everyone. Leave the mention out.")
        return f'<qqbot-at-user id="{attribute(mention.user)}" />'

    def text(self, piece: Piece) -> Part:
        return self._message_part(TEXT, piece.text, f"text {len(piece.text)} chars")

    def close_text(self) -> None:
        first, *rest = self.take_text()
        if self._last_takes_caption():
            self.parts[-1].body.content = first
        else:
            self.append_text(first)
        for piece in rest:
            self.append_text(piece)

    def _last_takes_caption(self) -> bool:
        body = self.parts[-1].body if len(self.parts) == 1 else None
        needs = self.parts[-1].needs if self.parts else ()
        return isinstance(body, SendMessage) and body.content is None and bool(needs) and needs[0].use == "1"

    def image(self, segment: Image, media: Media) -> Part:
        need, note = self._need(segment, media, "image")
        if note:
            # Shown as a plain file, which has no caption.
            self.append_texts()
        caption = self.take_caption()
        return self._message_part(MEDIA, caption, f"image {size_text(media.size)}", need, note)

    def video(self, segment: Video, media: Media) -> Part:
        return self._uncaptioned(segment, media, "video")

    def voice(self, segment: Voice, media: Media) -> Part:
        return self._uncaptioned(segment, media, "voice")

    def file(self, segment: File, media: Media) -> Part:
        return self._uncaptioned(segment, media, "file")

    def _uncaptioned(self, segment: Video | Voice | File, media: Media, kind: str) -> Part:
        need, note = self._need(segment, media, kind)
        self.append_texts()
        return self._message_part(MEDIA, None, f"{kind} {size_text(media.size)}", need, note)

    def forward(self, segment: Forward) -> Part:
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
        return self.call_part(body, f"forwarded {segment.kind}", self.take_note())

    def native(self, segment: Native) -> Part:
        self.append_texts()
        calls = {"messages": SCENES[self.target.kind].send.name}
        if self.target.kind == "user":
            calls["stream_messages"] = STREAM_TO_USER.name
        return self.native_part(segment, calls)

    def formatted(self, content: str, keyboard: dict[str, Any] | None = None) -> SendMessage:
        return SendMessage(
            self.target.id,
            MARKDOWN,
            markdown={"content": content},
            keyboard=keyboard,
            message_reference=self.take_quote(),
        )

    def call_part(self, body: Any, summary: str, note: str = "", need: MediaNeed | None = None) -> Part:
        needs = (need,) if need else ()
        return self.part(SCENES[self.target.kind].send.name, body, summary, *needs, note=note)

    def _message_part(
        self, msg_type: int, content: str | None, summary: str, need: MediaNeed | None = None, note: str = ""
    ) -> Part:
        body = SendMessage(self.target.id, msg_type, content, message_reference=self.take_quote())
        return self.call_part(body, summary, self.take_note(note), need)

    def _need(self, segment: Image | Video | Voice | File, media: Media, kind: str) -> tuple[MediaNeed, str]:
        check_open(kind, self.rules)
        downgrade = check_media(media, kind, self.rules)
        name = segment_name(segment, media)
        if not downgrade and FILE_TYPES[kind] != FILE:
            return MediaNeed(media, self.target.kind, str(FILE_TYPES[kind]), name), ""
        # Names are shown with plain files only. They travel with the upload, so another name is another upload.
        name, changed = carried_name(name)
        note = "; ".join(filter(None, [downgrade, changed]))
        return MediaNeed(media, self.target.kind, f"{FILE_TYPES[kind]}:{name}", name), note
