"""A small platform on the kit: a robot that writes to groups."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Struct

from yizhan.errors import LoginNeeded, Rejected, Throttled
from yizhan.http.router import Call
from yizhan.model import File, Image, Media, Mention, Native, Quote, Sticker
from yizhan.platforms.adapter import MediaNeed, Part
from yizhan.platforms.kit.composer import Composer, amount, name_of
from yizhan.platforms.kit.envelope import JsonEnvelope
from yizhan.platforms.kit.server import Calls, SandboxServer
from yizhan.platforms.kit.words import Piece
from yizhan.platforms.rules import Rules
from yizhan.platforms.spec import AccountSettings, KindCapabilities, Platform
from yizhan.wire import JSON, Api, Fault, FaultCode, FaultTable, Query, Whole
from yizhan.world import Blob

BAD_KEY = FaultCode(93000, "invalid webhook url", means=LoginNeeded)
TOO_OFTEN = FaultCode(45009, "api freq out of limit", means=Throttled, retry_after=60)
BAD_MEDIA = FaultCode(40007, "invalid media_id")
UNREADABLE = FaultCode(47001, "data format error", means=Rejected)
TOO_LARGE = FaultCode(45001, "media size out of limit")
BAD_TYPE = FaultCode(40008, "invalid message type")
BAD_TYPE_HERE = FaultCode(40008, "invalid message type for groups", means=Throttled)
FAULTS = FaultTable.of(globals())
ENVELOPE = JsonEnvelope(
    FAULTS, UNREADABLE, "errcode", "errmsg", success={"errcode": 0, "errmsg": "ok"}, too_large=TOO_LARGE
)


class Send(Struct, omit_defaults=True):
    key: Annotated[str, Query(secret=True)]
    text: str
    mentioned: list[str] = []
    media_id: str = ""


class Upload(Struct):
    key: Annotated[str, Query(secret=True)]
    body: Annotated[Any, Whole()]


class Done(Struct):
    pass


class Uploaded(Struct):
    media_id: str


API = Api(ENVELOPE, "the robot's page", "/cgi-bin/webhook")
SEND = API.post("send", Send, Done, acts=True, target="key")
UPLOAD = API.post("upload", Upload, Uploaded, "/upload_media", codec=JSON)


class RobotComposer(Composer):
    title = "Robot"
    kinds = ("group",)
    repeatable = True
    whole = re.compile(r"<@\w+>")
    remedies: ClassVar = {"video": "Send it as a file."}

    def text(self, piece: Piece) -> Part:
        return self.part("send", Send("", piece.text, list(piece.mentioned)), f"text {len(piece.text)} chars")

    def mention(self, mention: Mention) -> str:
        return f"<@{mention.user}>"

    def quote(self, quote: Quote, piece: Piece) -> Part:
        return self.part("send", Send("", f"> {quote.text}\n{piece.text}"), "quote")

    def image(self, segment: Image, media: Media) -> Part:
        return self.part("send", Send("", ""), f"image {amount(media.size)}", MediaNeed(media, "account", "image"))

    def file(self, segment: File, media: Media) -> Part:
        name = name_of(media, segment.name)
        return self.part("send", Send("", name), f"file '{name}'", MediaNeed(media, "account", "file", name))

    def sticker(self, segment: Sticker, media: Media | None) -> Part:
        if media is None:
            self.refuse(segment, "there is no sticker by md5")
        return self.image(Image(media), media)

    def native(self, segment: Native) -> Part:
        call = self.native_call(segment, {"send": SEND})
        return self.part(call.name, self.native_request(segment, call.request, key=""), "native")


class Server(SandboxServer):
    platform: ClassVar[Platform]
    envelope = ENVELOPE
    calls: ClassVar[Calls] = {"send": SEND, "take_in": UPLOAD}
    too_often = TOO_OFTEN

    async def send(self, call: Call[Send]) -> Done:
        request = call.request
        if request.key not in self.network.groups:
            raise Fault(BAD_KEY)
        blob = self.uploads.get(request.media_id) if request.media_id else None
        if request.media_id and blob is None:
            raise Fault(BAD_MEDIA)
        self.count("send", account=request.key)
        self.record("send", "robot", request.key, "file" if blob else "text", text=request.text, blob=blob)
        return Done()

    async def take_in(self, call: Call[Upload]) -> Uploaded:
        assert isinstance(call.request.body, Blob)
        return Uploaded(self.upload(call.request.body))


class Settings(AccountSettings, frozen=True, kw_only=True):
    key: str = ""


PLATFORM = Server.platform = Platform(
    name="robot",
    title="Robot",
    network="wechat",
    settings=Settings,
    capabilities={"group": KindCapabilities(RobotComposer.segments())},
    adapter="",
    server="tests.platforms.kit.robot:Server",
    folder=Path(__file__).parent,
)


def rules(**changed: Any) -> Rules:
    values = {
        "limits": True,
        "text.max_chars": 10,
        "handle.seconds": 60,
        "limit.send.count": 2,
        "limit.send.seconds": 60,
        "limit.image.count": 5,
        "limit.image.seconds": 600,
        "limit.image.scope": "target",
    }
    return Rules(
        "rules.toml", "2026", {**values, **{name.replace("__", "."): value for name, value in changed.items()}}
    )
