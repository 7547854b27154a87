"""The raw calls, typed, under the names of the vendor's Node SDK in Python's spelling. Usable on their own:

async with Bot("102000001", secret) as bot:
    placed = await bot.group.files(group_openid, file_type=1, url="https://…/a.png")
    await bot.group.post_message(group_openid, media=placed)
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Struct

from yizhan.errors import LoginNeeded, Throttled
from yizhan.http.client import Caller, Progress
from yizhan.model import BytesContent, Clock, Content
from yizhan.platforms.adapter import StateStore
from yizhan.platforms.qqbot import VENDOR, wire
from yizhan.platforms.qqbot.client.tokens import Tokens
from yizhan.platforms.qqbot.wire import faults, guild, images, messages
from yizhan.platforms.qqbot.wire.files import FinishPart, Prepare, Prepared, Upload, Uploaded
from yizhan.platforms.qqbot.wire.interactions import AnswerInteraction
from yizhan.platforms.qqbot.wire.scenes import Scene
from yizhan.platforms.qqbot.wire.token import GatewayForBot, Me, Nothing
from yizhan.runtime.clock import SystemClock
from yizhan.wire import Base64, Endpoint, FormPart, Header, Path, Whole

Res = TypeVar("Res")

PATIENCE_SECONDS = 30.0
"""How long a call is repeated that the platform finds too soon after others."""


class Bot:
    """One bot. Every call raises PlatformError (see `yizhan.errors`); a token that has ended is renewed by itself."""

    def __init__(
        self,
        app_id: str,
        secret: str,
        *,
        base_url: str = VENDOR,
        token_url: str = "",
        account: str = "qqbot",
        clock: Clock | None = None,
        state_store: StateStore | None = None,
        proxy: str = "",
    ) -> None:
        base_url = (base_url or VENDOR).rstrip("/")
        self.clock = clock or SystemClock()
        self.caller = Caller(account, {"api": base_url, "token": token_url.rstrip("/") or base_url}, proxy=proxy)
        self.tokens = Tokens(self.caller, app_id, secret, self.clock, state_store)
        self.c2c = C2CCalls(self, wire.USERS)
        self.group = SceneCalls(self, wire.GROUPS)
        self.channels = ChannelCalls(self)
        self.dms = DmCalls(self)
        self.media_images = ImageCalls(self)

    async def __aenter__(self) -> Bot:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self.caller.close()

    async def call(self, endpoint: Endpoint[Any, Res], request: Any, *, progress: Progress | None = None) -> Res:
        """Carry out any call of `yizhan.platforms.qqbot.wire`; once more with a new token if the token was refused.

        A call that comes too soon after others waits a moment and goes again; but for sends: those have a queue.
        """
        patient_until = self.clock.now() + PATIENCE_SECONDS
        while True:
            try:
                return await self._call(endpoint, request, progress)
            except Throttled as error:
                too_soon = error.fault is not None and error.fault.row is faults.CALLED_TOO_OFTEN
                if endpoint.acts or not too_soon or self.clock.now() >= patient_until:
                    raise
                await self.clock.sleep(error.retry_after or 1.0)

    async def _call(self, endpoint: Endpoint[Any, Res], request: Any, progress: Progress | None) -> Res:
        headers = await self.tokens.headers()
        try:
            return await self.caller.call(endpoint, request, headers=headers, progress=progress)
        except LoginNeeded as error:
            if error.fault is None or error.fault.row not in faults.TOKEN_FAULTS:
                raise
        headers = await self.tokens.renew(headers)
        return await self.caller.call(endpoint, request, headers=headers, progress=progress)

    async def raw(self, endpoint: Endpoint[Any, Res], id: str, fields: Mapping[str, Any]) -> Res:
        """The same call with a body of the caller's own making; `id` goes into the path."""
        return await self.call(_raw_form(endpoint), RawBody(id, msgspec.json.encode(fields), "application/json"))

    async def me(self) -> Me:
        return await self.call(wire.GET_ME, Nothing())

    async def gateway(self) -> str:
        """Return the address of the event socket."""
        return (await self.call(wire.GET_GATEWAY, Nothing())).url

    async def gateway_bot(self) -> GatewayForBot:
        return await self.call(wire.GET_GATEWAY_BOT, Nothing())

    async def answer_interaction(self, interaction_id: str, code: int = 0) -> None:
        """Within 3 s of the event, once; `interaction_id` is the event's `d.id`."""
        await self.call(wire.ANSWER_INTERACTION, AnswerInteraction(interaction_id, code))


class RawBody(Struct):
    """Stands in for a call's own struct when the body is given as it is."""

    id: Annotated[str, Path()]
    body: Annotated[Any, Whole()]
    content_type: Annotated[str, Header("Content-Type")]


_raw_forms: dict[str, Endpoint[RawBody, Any]] = {}


def _raw_form(endpoint: Endpoint[Any, Any]) -> Endpoint[RawBody, Any]:
    if endpoint.name not in _raw_forms:
        path = re.sub(r"{\w+}", "{id}", endpoint.path)
        _raw_forms[endpoint.name] = replace(endpoint, request=RawBody, path=path, constants={}, target="id")
    return _raw_forms[endpoint.name]


class SceneCalls:
    """The calls of one scene: users, or groups."""

    def __init__(self, bot: Bot, scene: Scene) -> None:
        self.bot = bot
        self.scene = scene

    async def files(
        self,
        openid: str,
        *,
        file_type: int | None = None,
        url: str | None = None,
        file_data: str | bytes | Content | None = None,
        srv_send_msg: bool | None = None,
        file_name: str | None = None,
        upload_id: str | None = None,
        progress: Progress | None = None,
    ) -> Uploaded:
        """Upload by link, inline, or as the last step in chunks; the result is good for the whole scene.

        `file_data`: bytes or content, or text that is base64 already. `srv_send_msg`: also send it to `openid`, as an
        active message. The merge step carries `upload_id` alone: the platform remembers the rest.
        """
        if srv_send_msg is None and not upload_id:
            srv_send_msg = False
        data = file_data if file_data is None or isinstance(file_data, str) else Base64(_content(file_data))
        endpoint = self.scene.upload_and_send if srv_send_msg else self.scene.upload
        request = Upload(openid, file_type, srv_send_msg, url, data, file_name, upload_id)
        return await self.bot.call(endpoint, request, progress=progress)

    async def post_message(
        self,
        openid: str,
        *,
        content: str | None = None,
        msg_type: int | None = None,
        media: Uploaded | str | None = None,
        markdown: dict[str, Any] | None = None,
        keyboard: dict[str, Any] | None = None,
        ark: dict[str, Any] | None = None,
        embed: dict[str, Any] | None = None,
        message_reference: str | None = None,
        msg_id: str | None = None,
        event_id: str | None = None,
        msg_seq: int | None = None,
        is_wakeup: bool | None = None,
        input_notify: messages.InputNotify | None = None,
    ) -> messages.Sent:
        """Send one message. `media`: what `files` returned, or its `file_info`. `msg_type` follows from the rest."""
        info = media.file_info if isinstance(media, Uploaded) else media
        request = messages.SendMessage(
            openid,
            msg_type,
            content,
            messages.MediaInfo(info) if info else None,
            markdown,
            keyboard,
            ark,
            embed,
            message_reference=messages.MessageReference(message_reference) if message_reference else None,
            msg_id=msg_id,
            event_id=event_id,
            msg_seq=msg_seq,
            is_wakeup=is_wakeup,
            input_notify=input_notify,
        )
        if msg_type is None:
            request.msg_type = messages.implied_type(request)
        return await self.bot.call(self.scene.send, request)

    async def delete_message(self, openid: str, message_id: str) -> None:
        """Recall; the platform allows it for two minutes."""
        await self.bot.call(self.scene.recall, messages.Recall(openid, message_id))

    async def upload_prepare(self, openid: str, **fields: Any) -> Prepared:
        """Begin a chunked upload; fields as in `wire.files.Prepare`."""
        return await self.bot.call(self.scene.prepare, Prepare(openid, **fields))

    async def upload_part_finish(
        self, openid: str, *, upload_id: str, part_index: int, block_size: str | int, md5: str
    ) -> None:
        await self.bot.call(self.scene.finish_part, FinishPart(openid, upload_id, part_index, block_size, md5))


class C2CCalls(SceneCalls):
    """What one-to-one chats have beyond groups."""

    async def post_stream_message(self, openid: str, **fields: Any) -> messages.StreamSent:
        """Send a piece of a growing text; fields as in `wire.messages.StreamMessage`."""
        return await self.bot.call(wire.STREAM_TO_USER, messages.StreamMessage(openid, **fields))

    async def typing(self, openid: str, msg_id: str | None = None, seconds: int = 60) -> messages.Sent:
        """Show for 1 to 60 seconds that the bot is typing."""
        notify = messages.InputNotify(1, seconds)
        # The notice is numbered like an answer; answers count up from 1 and must not meet it.
        msg_seq = random.randrange(1_000_000, 2_000_000)
        return await self.post_message(openid, msg_id=msg_id, msg_seq=msg_seq, input_notify=notify)


class ChannelCalls:
    """Guild channels."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot

    async def post_message(
        self, channel_id: str, *, file_image: bytes | Content | None = None, **fields: Any
    ) -> guild.GuildMessage:
        """Send to a channel; fields as in `wire.guild.GuildContent`, the picture's bytes in `file_image`."""
        request = guild.SendToChannel(channel_id=channel_id, file_image=picture_part(file_image), **fields)
        return await self.bot.call(wire.SEND_TO_CHANNEL, request)

    async def delete_message(self, channel_id: str, message_id: str, *, hidetip: bool = False) -> None:
        await self.bot.call(wire.RECALL_FROM_CHANNEL, guild.RecallFromChannel(channel_id, message_id, hidetip))


class DmCalls:
    """Guild direct messages."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot

    async def create(self, recipient_id: str, source_guild_id: str) -> guild.Dm:
        """Open a conversation; its `guild_id` is where messages go."""
        return await self.bot.call(wire.OPEN_DM, guild.OpenDm(recipient_id, source_guild_id))

    async def post_message(
        self, guild_id: str, *, file_image: bytes | Content | None = None, **fields: Any
    ) -> guild.GuildMessage:
        request = guild.SendToDm(guild_id=guild_id, file_image=picture_part(file_image), **fields)
        return await self.bot.call(wire.SEND_TO_DM, request)

    async def delete_message(self, guild_id: str, message_id: str, *, hidetip: bool = False) -> None:
        await self.bot.call(wire.RECALL_FROM_DM, guild.RecallFromDm(guild_id, message_id, hidetip))


class ImageCalls:
    """Stored images for Markdown."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot

    async def upload(self, content: Content, *, file_name: str, content_type: str, md5: str, sha1: str = "") -> str:
        """Store a picture and return the `qqbot-media://` address for Markdown."""
        request = images.PrepareImage(file_name, content.size, content_type, md5, sha1)
        prepared = await self.bot.call(wire.PREPARE_IMAGE, request)
        body = images.PutImage(prepared.upload_id, "", content_type, content)
        answer = await self.bot.caller.exchange(wire.PUT_IMAGE, body, url=prepared.presigned_url)
        if answer.status >= 300:
            self.bot.caller.read(wire.COMPLETE_IMAGE, answer)
        stored = await self.bot.call(wire.COMPLETE_IMAGE, images.CompleteImage(prepared.upload_id, md5))
        return stored.url

    async def list(self, cursor: str = "") -> images.StoredImages:
        return await self.bot.call(wire.LIST_IMAGES, images.ListImages(cursor))

    async def delete(self, image_id: str) -> None:
        await self.bot.call(wire.DELETE_IMAGE, images.DeleteImage(image_id))


def picture_part(picture: bytes | Content | None) -> FormPart | None:
    """The multipart part of a picture inside a guild message, named the way the common clients name it."""
    return None if picture is None else FormPart("file_image", _content(picture), "file_image")


def _content(data: bytes | Content) -> Content:
    return BytesContent(data) if isinstance(data, bytes) else data
