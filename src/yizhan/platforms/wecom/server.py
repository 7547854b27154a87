"""Group robots for the sandbox: every key is a robot in a group of its own."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Literal

import msgspec

from yizhan.http.router import Call
from yizhan.model import BytesContent
from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.rules import Rules
from yizhan.platforms.server import ServerOptions
from yizhan.platforms.wecom import PLATFORM, wire
from yizhan.wire import Fault, FormPart
from yizhan.world import Blob, World

ME = "me"
TYPES = frozenset({"text", "markdown", "markdown_v2", "image", "news", "file", "voice", "template_card"})
PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


class Server(SandboxServer):
    """Knows the key of the sandbox's own robot; its group is `me`."""

    platform = PLATFORM
    envelope = wire.ERRCODE
    calls = {"send": wire.SEND, "upload_media": wire.UPLOAD}  # noqa: RUF012
    too_often = wire.TOO_OFTEN

    def __init__(self, world: World, rules: Rules, options: ServerOptions) -> None:
        super().__init__(world, rules, options)
        self._names: dict[str, tuple[str, str]] = {}
        """Kind and file name of every upload, by media id."""

    async def upload_media(self, call: Call[wire.UploadMedia]) -> wire.Uploaded:
        self._check_key(call.request.key)
        kind, media = call.request.type, call.request.media
        if not isinstance(media, FormPart) or not isinstance(media.value, Blob):
            raise Fault(wire.WRONG_PARAMETER, "invalid Request Parameter, there is no file 'media'")
        blob = media.value
        if self.rules.limited and not 5 < blob.size <= self.rules.number(f"{kind}.max_bytes"):
            raise Fault(wire.WRONG_SIZE)
        if kind == "voice" and not blob.head(6).startswith(b"#!AMR"):
            raise Fault(wire.WRONG_TYPE)
        media_id = self.upload(blob)
        self._names[media_id] = kind, media.filename or "media"
        return wire.Uploaded(kind, media_id, str(int(self.now())))

    async def send(self, call: Call[wire.Send]) -> None:
        message = call.request
        self._check_key(message.key)
        kind, content = await self._content(message)
        self.count("send", account=message.key)
        self.record(wire.SEND.name, "robot", ME, kind, account="robot", **content)

    async def _content(self, message: wire.Send) -> tuple[str, dict[str, Any]]:
        """Return kind and fields of the post that a message becomes.

        Raises:
            Fault: the content is missing, too long, or not there.
        """
        match message.msgtype:
            case "text" if message.text:
                mentioned = [*message.text.mentioned_list, *message.text.mentioned_mobile_list]
                text = self._checked(message.text.content, "text.max_bytes")
                return "text", {"text": text, "extra": {"mentioned": mentioned}}
            case "markdown" if message.markdown:
                return "markdown", {"text": self._checked(message.markdown.content, "markdown.max_bytes")}
            case "markdown_v2" if message.markdown_v2:
                return "markdown", {"text": self._checked(message.markdown_v2.content, "markdown.max_bytes")}
            case "image" if message.image:
                return "image", {"blob": await self._picture(message.image)}
            case "news" if message.news:
                return "link", self._news(message.news.articles)
            case "file" if message.file:
                return "file", self._uploaded(message.file.media_id, "file")
            case "voice" if message.voice:
                return "voice", self._uploaded(message.voice.media_id, "voice")
            case "template_card" if message.template_card:
                return "card", self._card(message.template_card)
            case kind if kind in TYPES:
                raise Fault(wire.WRONG_PARAMETER, f"invalid Request Parameter, '{kind}' is missing")
        raise Fault(wire.WRONG_MESSAGE_TYPE)

    def _check_key(self, key: str) -> None:
        if key != PLATFORM.sandbox_settings["key"]:
            raise Fault(wire.WRONG_KEY)

    def _checked(self, text: str, limit: str) -> str:
        if not text.strip():
            raise Fault(wire.WRONG_PARAMETER, "invalid Request Parameter, content is empty")
        if self.rules.limited and len(text.encode()) > self.rules.number(limit):
            raise Fault(wire.WRONG_PARAMETER, f"content exceed max length. Invalid input, over {limit}")
        return text

    async def _picture(self, image: wire.Image) -> Blob:
        try:
            data = base64.b64decode(str(image.base64), validate=True)
        except ValueError:
            raise Fault(wire.WRONG_PARAMETER, "invalid Request Parameter, base64 cannot be read") from None
        if self.rules.limited and len(data) > self.rules.number("image.max_bytes"):
            raise Fault(wire.WRONG_SIZE)
        if not data.startswith(PICTURES):
            raise Fault(wire.WRONG_TYPE)
        if hashlib.md5(data).hexdigest() != image.md5.lower():
            raise Fault(wire.WRONG_PARAMETER, "invalid Request Parameter, md5 is not that of the picture")
        return await self.world.blobs.keep(BytesContent(data).chunks())

    def _news(self, articles: list[wire.Article]) -> dict[str, Any]:
        if not 1 <= len(articles) <= 8 or not all(one.title and one.url for one in articles):
            raise Fault(wire.WRONG_PARAMETER, "invalid Request Parameter, 1 to 8 articles with title and url")
        first = articles[0]
        more = [msgspec.to_builtins(one) for one in articles]
        return {"text": f"{first.title}\n{first.description}\n{first.url}", "extra": {"articles": more}}

    def _uploaded(self, media_id: str, kind: str) -> dict[str, Any]:
        upload = self.uploads.get(media_id)
        if upload is None:
            raise Fault(wire.WRONG_MEDIA_ID)
        of, name = self._names[media_id]
        if of != kind:
            raise Fault(wire.WRONG_TYPE)
        return {"blob": upload, "name": name}

    def _card(self, card: dict[str, Any]) -> dict[str, Any]:
        if card.get("card_type") not in ("text_notice", "news_notice"):
            raise Fault(wire.WRONG_PARAMETER, "invalid Request Parameter, card_type")
        title = card.get("main_title")
        return {"text": str(title.get("title", "")) if isinstance(title, dict) else "", "extra": {"card": card}}

    def people(self, kind: Literal["user", "group"], count: int) -> list[str]:
        """Return the robot's own group, the only one that it reaches."""
        if kind == "user":
            raise LookupError("A robot writes to its group, not to people.")
        return [ME]

    async def say(self, sender: str, to: str, **said: Any) -> str:
        raise LookupError("A robot hears nothing of its group.")

    def reset(self) -> None:
        super().reset()
        self._names.clear()
