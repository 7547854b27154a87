"""Walks the segments of a message once: text is gathered until something takes it along. Pure."""

from __future__ import annotations

import re
from typing import Any

from yizhan.errors import Refused, Unsupported, did_you_mean
from yizhan.model import (
    Buttons,
    Card,
    File,
    Forward,
    Image,
    Markdown,
    Media,
    MediaSegment,
    Mention,
    Message,
    Native,
    Quote,
    Segment,
    Sticker,
    Target,
    Text,
    Video,
    Voice,
)
from yizhan.model.split import split_text
from yizhan.platforms.adapter import Part
from yizhan.platforms.kit.markdown import plain_text, split_markdown
from yizhan.platforms.qqbot.convert.bodies import FormattedBody, NativeBody
from yizhan.platforms.qqbot.convert.keyboard import keyboard_of, keyboard_problem
from yizhan.platforms.qqbot.wire.messages import MessageReference
from yizhan.platforms.rules import Rules

MARKUP = re.compile(r"<qqbot-at-[^>]*>|&\w+;")
"""Text that stands for one thing and is not cut: mentions, and characters that are written as names."""
_SPECIAL = re.compile(rf"({MARKUP.pattern})|([\\`*_~\[\]#>|]|(?m:^)[-+](?=\s)|(?<=\d)\.(?=\s))")

_REMEDIES = {
    "Link": "Send it as text: title and address.",
    "MiniProgram": "Send a picture of its code, or its address as text.",
    "ChannelVideo": "Send the video itself, or its address as text.",
    "ContactCard": "Send the name or number as text.",
}


class QqComposer:
    """The part of composing that users, groups, channels and direct messages have in common."""

    def __init__(self, message: Message, target: Target, rules: Rules) -> None:
        self.target = target
        self.rules = rules
        self.parts: list[Part] = []
        self.repeatable = message.reply is not None
        """Answers are numbered, and the platform refuses a number that it has seen."""
        self.text = ""
        self.quote: MessageReference | None = None
        self.buttons: list[Buttons] = []
        self.note = ""
        """A remark that the next part brings to the receipt."""

    def add(self, segment: Segment) -> None:
        match segment:
            case Text(text):
                self.text += self.written(text)
            case Mention(user):
                self.text += self.mention(user)
            case Quote(message_id):
                self.add_quote(message_id)
            case Image() | Sticker():
                self.picture(segment)
            case Video() | Voice() | File():
                self.other_media(segment)
            case Markdown():
                self.markdown(segment)
            case Buttons():
                self.buttons.append(segment)
            case Card():
                self.card(segment)
            case Forward():
                self.forward(segment)
            case Native():
                self.native(segment)
            case _:
                raise self.unsupported(segment)

    def finish(self) -> list[Part]:
        if self.buttons:
            self.add_buttons()
        elif self.text.strip():
            self.close_text()
        if not self.parts:
            raise Unsupported(f"{self.target}: there is nothing to send. Give the message text or media.")
        return self.parts

    # --- text ---

    @property
    def max_chars(self) -> int:
        return self.rules.number("text.max_chars")

    def take_text(self) -> list[str]:
        """Return the gathered text in pieces that one message takes, and begin anew; none when it is but blanks."""
        text, self.text = self.text, ""
        return split_text(text, self.max_chars, whole=MARKUP)

    def take_caption(self) -> str | None:
        """Return the end of the gathered text; what does not fit goes before, in messages of its own."""
        pieces = self.take_text()
        for piece in pieces[:-1]:
            self.append_text(piece)
        return pieces[-1] if pieces else None

    def append_texts(self) -> None:
        """Make the gathered text, which nothing takes along, parts of its own."""
        for piece in self.take_text():
            self.append_text(piece)

    def take_quote(self) -> MessageReference | None:
        quote, self.quote = self.quote, None
        return quote

    def take_note(self, *more: str) -> str:
        """Return the remarks for the next part."""
        note, self.note = self.note, ""
        return "; ".join(filter(None, [note, *more]))

    def add_quote(self, message_id: str) -> None:
        if not message_id:
            self.note = "the quoted message has no id here, so the quote was left out"
            return
        self.quote = MessageReference(message_id)

    def card(self, card: Card) -> None:
        self.append_texts()
        self.text = self.written(card.words)
        self.note = f"QQ takes no cards: the words of '{card.title}' go as text"

    # --- Markdown and buttons ---

    def markdown(self, segment: Markdown) -> None:
        self.append_texts()
        if not self.rules["markdown.free_form"]:
            self._refuse_format(segment.fallback, "Markdown", "markdown.free_form")
            self.text = self.written(plain_text(segment.text))
            self.append_texts()
            return
        for piece in split_markdown(segment.text, self.max_chars):
            plain = self.written(plain_text(piece)) if segment.fallback == "text" else None
            self._append_formatted(piece, plain)

    def add_buttons(self) -> None:
        """Put the buttons under the last text or Markdown of the message, which becomes Markdown then."""
        rows = [row for buttons in self.buttons for row in buttons.rows]
        words = "\n".join(button.words for button in self.buttons) if len(self.buttons) == 1 else _numbered(rows)
        as_text = all(buttons.fallback == "text" for buttons in self.buttons)
        problem = keyboard_problem(rows, self.rules)
        if not self.rules["markdown.free_form"]:
            problem = "markdown.free_form"
        if problem:
            self._refuse_format("text" if as_text else "fail", "buttons", problem)
            self.text = "\n\n".join(filter(None, [self.text.rstrip(), self.written(words)]))
            self.close_text()
            return
        keyboard = keyboard_of(rows, self.rules)
        listing = escaped(self.written(words))
        content, plain = self._text_for_buttons(len(listing) + 2)
        if not content:
            content, plain = escaped(" · ".join(button.text for row in rows for button in row)), ""
        refused = as_text and plain is not None
        body = FormattedBody(
            self.formatted(content, keyboard.wire),
            "\n\n".join(filter(None, [plain, self.written(words)])) if refused else None,
            (f"{content}\n\n{listing}" if plain else listing) if as_text else None,
        )
        self.append_body(body, f"{sum(map(len, rows))} buttons", self.take_note(keyboard.note))

    def _text_for_buttons(self, room: int) -> tuple[str, str | None]:
        """Return the Markdown that the buttons stand under, and its plain form; nothing if there is none with room."""
        *before, last = self.take_text() or [""]
        for piece in before:
            self.append_text(piece)
        if last and len(escaped(last)) + room > self.max_chars > 0:
            self.append_text(last)
        elif last:
            return escaped(last), last
        elif self.parts and isinstance(body := self.parts[-1].body, FormattedBody):
            content = str((body.message.markdown or {}).get("content", ""))
            if not self.max_chars or len(content) + room <= self.max_chars:
                part = self.parts.pop()
                self.note, self.quote = part.note, body.message.message_reference
                return content, body.plain
        return "", ""

    def _refuse_format(self, fallback: str, what: str, rule: str) -> None:
        """Note that `what` goes as text.

        Raises:
            Unsupported: the segment asks to fail then.
        """
        why = f"rule {rule}, profile {self.rules.profile}"
        if fallback == "fail":
            raise Unsupported(
                f"{self.target} takes no such {what} ({why}). Use fallback='text', or change the rule if the bot may."
            )
        self.note = f"{what} go as plain text ({why})" if what == "buttons" else f"{what} goes as plain text ({why})"

    def _append_formatted(self, content: str, plain: str | None) -> None:
        self.append_body(
            FormattedBody(self.formatted(content), plain), f"markdown {len(content)} chars", self.take_note()
        )

    # --- what differs ---

    def written(self, text: str) -> str:
        return text

    def mention(self, user: str) -> str:
        raise NotImplementedError

    def close_text(self) -> None:
        raise NotImplementedError

    def append_text(self, text: str) -> None:
        raise NotImplementedError

    def formatted(self, content: str, keyboard: dict[str, Any] | None = None) -> Any:
        """Return a message of Markdown, with the quote that is pending."""
        raise NotImplementedError

    def append_body(self, body: Any, summary: str, note: str = "") -> None:
        raise NotImplementedError

    def picture(self, segment: Image | Sticker) -> None:
        raise NotImplementedError

    def other_media(self, segment: MediaSegment) -> None:
        raise NotImplementedError

    def forward(self, segment: Forward) -> None:
        raise self.unsupported(segment)

    def native(self, segment: Native) -> None:
        raise NotImplementedError

    def unsupported(self, segment: Segment) -> Unsupported:
        name = type(segment).__name__
        remedy = _REMEDIES.get(name, "Send it as text or as a file.")
        return Unsupported(f"{self.target} cannot take a {name}: QQ bots have no such message. {remedy}")


def escaped(text: str) -> str:
    """Return Markdown that shows `text` as it is; mentions stay what they are, and so do the ends of lines."""
    return _SPECIAL.sub(lambda found: found[1] or f"\\{found[2]}", text).replace("\n", "  \n")


def _numbered(rows: list[tuple[Any, ...]]) -> str:
    return Buttons(tuple(rows)).words


def library_file(segment: MediaSegment) -> Media:
    if isinstance(segment, Sticker) and segment.media is None:
        raise Unsupported("QQ bots cannot send a sticker by its MD5. Send the picture itself.")
    if not isinstance(segment.media, Media):
        raise Refused(f"{type(segment).__name__}: its file has not been taken into the library yet.")
    return segment.media


def native_part(segment: Native, target: Target, calls: dict[str, str], repeatable: bool) -> Part:
    call = calls.get(segment.call) or (segment.call if segment.call in calls.values() else "")
    if not call:
        raise Unsupported(
            f"{target}: there is no native call '{segment.call}'.{did_you_mean(segment.call, calls)} "
            f"Known: {', '.join(calls)}."
        )
    wakes = bool(segment.body.get("is_wakeup"))
    return Part(call, NativeBody(call, segment.body), (), repeatable and not wakes, f"native {segment.call}")


def attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
