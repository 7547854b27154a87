"""The composer that users, groups, channels and direct messages have in common. Pure.

One part per picture, video, voice or file. Text goes along as the caption of a picture, because answers are counted;
beside anything else the platform does not show it, so it becomes a part of its own.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from yizhan.errors import Unsupported
from yizhan.model import (
    Button,
    Buttons,
    Card,
    Image,
    Markdown,
    Mention,
    Message,
    Native,
    Quote,
    Segment,
    Sticker,
    Target,
    Text,
)
from yizhan.model.split import split_text
from yizhan.platforms.adapter import Part
from yizhan.platforms.kit.composer import Composer
from yizhan.platforms.kit.markdown import plain_text, split_markdown
from yizhan.platforms.kit.words import Piece
from yizhan.platforms.qqbot.convert.bodies import FormattedBody, NativeBody
from yizhan.platforms.qqbot.convert.keyboard import keyboard_of, keyboard_problem
from yizhan.platforms.qqbot.wire.messages import MessageReference
from yizhan.platforms.rules import Rules

MARKUP = re.compile(r"<qqbot-at-[^>]*>|&\w+;")
"""Text that is never cut: mentions, and emoji that are written as names."""
_SPECIAL = re.compile(rf"({MARKUP.pattern})|([\\`*_~\[\]#>|]|(?m:^)[-+](?=\s)|(?<=\d)\.(?=\s))")


class QqComposer(Composer):
    """Gathers text until a picture takes it along, and puts buttons under the last text of a message."""

    title = "QQ"
    whole = MARKUP
    remedies: ClassVar[Mapping[str, str]] = {
        "link": "Send it as text: title and address.",
        "sticker": "QQ knows no sticker by its MD5. Send the picture itself.",
    }

    def __init__(self, message: Message, target: Target, rules: Rules) -> None:
        super().__init__(target, rules)
        self.message = message
        self.parts: list[Part] = []
        self.gathered = ""
        """Text that is not part of any message yet."""
        self.pending_quote: MessageReference | None = None
        self.pending_buttons: list[Buttons] = []
        self.pending_note = ""
        """A remark that the next part brings to the receipt."""

    def compose(self, message: Message) -> tuple[Part, ...]:
        for segment in message.segments:
            self.add(segment)
        if self.pending_buttons:
            self.add_buttons()
        elif self.gathered.strip():
            self.close_text()
        if not self.parts:
            raise Unsupported(f"{self.target}: there is nothing to send. Give the message text or media.")
        return tuple(self.parts)

    def add(self, segment: Segment) -> None:
        match segment:
            case Text(text):
                self.gathered += self.written(text)
            case Mention():
                self.gathered += self.mention(segment)
            case Quote(message_id):
                self.add_quote(message_id)
            case Markdown():
                self.add_markdown(segment)
            case Buttons():
                self.pending_buttons.append(segment)
            case Card():
                self.add_card(segment)
            case _:
                self.parts.append(self._single(segment))

    # --- text ---

    @property
    def max_chars(self) -> int:
        return self.rules.number("text.max_chars")

    def take_text(self) -> list[str]:
        """Return the gathered text in pieces that one message takes, and begin anew; none when it is but blanks."""
        text, self.gathered = self.gathered, ""
        return split_text(text, self.max_chars, whole=MARKUP)

    def take_caption(self) -> str | None:
        """Return the end of the gathered text; the text before it becomes messages of its own."""
        pieces = self.take_text()
        for piece in pieces[:-1]:
            self.append_text(piece)
        return pieces[-1] if pieces else None

    def append_texts(self) -> None:
        """Make the gathered text, which nothing takes along, parts of its own."""
        for piece in self.take_text():
            self.append_text(piece)

    def append_text(self, text: str) -> None:
        self.parts.append(self.text(Piece(text)))

    def take_quote(self) -> MessageReference | None:
        quote, self.pending_quote = self.pending_quote, None
        return quote

    def take_note(self, *more: str) -> str:
        """Return the remarks for the next part."""
        note, self.pending_note = self.pending_note, ""
        return "; ".join(filter(None, [note, *more]))

    def add_quote(self, message_id: str) -> None:
        if not message_id:
            self.pending_note = "the quoted message has no id here, so the quote was left out"
            return
        self.pending_quote = MessageReference(message_id)

    def add_card(self, card: Card) -> None:
        self.append_texts()
        self.gathered = self.written(card.words)
        self.pending_note = f"QQ takes no cards: the words of '{card.title}' go as text"

    # --- Markdown and buttons ---

    def add_markdown(self, segment: Markdown) -> None:
        self.append_texts()
        if not self.rules["markdown.free_form"]:
            self._refuse_format(segment.fallback, "Markdown", "markdown.free_form")
            self.gathered = self.written(plain_text(segment.text))
            self.append_texts()
            return
        for piece in split_markdown(segment.text, self.max_chars):
            plain = self.written(plain_text(piece)) if segment.fallback == "text" else None
            body = FormattedBody(self.formatted(piece), plain)
            self.parts.append(self.call_part(body, f"markdown {len(piece)} chars", self.take_note()))

    def add_buttons(self) -> None:
        """Put the buttons under the last text or Markdown of the message, which becomes Markdown then."""
        rows = [row for buttons in self.pending_buttons for row in buttons.rows]
        words = (
            "\n".join(button.words for button in self.pending_buttons)
            if len(self.pending_buttons) == 1
            else _numbered(rows)
        )
        as_text = all(buttons.fallback == "text" for buttons in self.pending_buttons)
        problem = keyboard_problem(rows, self.rules)
        if not self.rules["markdown.free_form"]:
            problem = "markdown.free_form"
        if problem:
            self._refuse_format("text" if as_text else "fail", "buttons", problem)
            self.gathered = "\n\n".join(filter(None, [self.gathered.rstrip(), self.written(words)]))
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
        self.parts.append(self.call_part(body, f"{sum(map(len, rows))} buttons", self.take_note(keyboard.note)))

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
                self.pending_note, self.pending_quote = part.note, body.message.message_reference
                return content, body.plain
        return "", ""

    def _refuse_format(self, fallback: str, form: str, rule: str) -> None:
        """Note that `form` is replaced by text.

        Raises:
            Unsupported: the segment asks to fail then.
        """
        why = f"rule {rule}, profile {self.rules.profile}"
        if fallback == "fail":
            raise Unsupported(
                f"{self.target} takes no {form} ({why}). Use fallback='text', or change the rule if the bot may."
            )
        self.pending_note = f"sent as plain text instead of {form} ({why})"

    # --- differences between scenes and guilds ---

    def written(self, text: str) -> str:
        """Return `text` as the wire writes it."""
        return text

    @abstractmethod
    def close_text(self) -> None:
        """Make parts of the text at the end of the message."""

    @abstractmethod
    def formatted(self, content: str, keyboard: dict[str, Any] | None = None) -> Any:
        """Return a message of Markdown, with the quote that is pending."""

    @abstractmethod
    def call_part(self, body: Any, summary: str, note: str = "") -> Part:
        """Return a part of the call that sends messages to this kind of target."""

    # --- segments ---

    def sticker(self, segment: Sticker, media: Any) -> Part:
        if media is None:
            self.refuse(segment)
        return self.image(Image(media, media.name), media)

    def native_part(self, segment: Native, calls: Mapping[str, str]) -> Part:
        """Return the part of a native segment. `calls`: the platform's names by ours; both are accepted."""
        call = self.native_call(segment, {**calls, **{name: name for name in calls.values()}})
        # Neither a wake-up message nor a further piece of a stream has a number by which a repeat is recognized.
        numbered = not (segment.body.get("is_wakeup") or segment.body.get("stream_msg_id"))
        repeatable = self.repeatable and numbered
        return Part(call, NativeBody(call, segment.body), (), repeatable, f"native {segment.call}")


def escaped(text: str) -> str:
    """Return Markdown that shows `text` unchanged, with its mentions and line breaks."""
    return _SPECIAL.sub(lambda found: found[1] or f"\\{found[2]}", text).replace("\n", "  \n")


def _numbered(rows: list[tuple[Button, ...]]) -> str:
    return Buttons(tuple(rows)).words


def attribute(text: str) -> str:
    """Return `text` as the value of an attribute of the platform's markup."""
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")
