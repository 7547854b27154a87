"""The calls of a bot by place: users, groups, guild channels, guild direct messages, stored images."""

from __future__ import annotations

import random
from typing import Any

from yizhan.http.client import Progress
from yizhan.model import BytesContent, Content
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.client.api import Api
from yizhan.platforms.qqbot.wire import foreign, guild, messages
from yizhan.platforms.qqbot.wire.files import FinishPart, Prepare, Prepared, Upload, Uploaded
from yizhan.platforms.qqbot.wire.scenes import Scene
from yizhan.wire import Base64, FormPart


class SceneCalls:
    """The calls of one scene: users, or groups."""

    def __init__(self, api: Api, scene: Scene) -> None:
        self.api = api
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
        """Upload by link, inline, or as the last step of a chunked upload; the result is good for the whole scene.

        `file_data`: bytes or content, or text that is base64 already. `srv_send_msg`: also send it to `openid`, as an
        active message. The merge step carries `upload_id` alone: the platform remembers the rest.
        """
        if srv_send_msg is None and not upload_id:
            srv_send_msg = False
        data = file_data if file_data is None or isinstance(file_data, str) else Base64(_content(file_data))
        endpoint = self.scene.upload_and_send if srv_send_msg else self.scene.upload
        request = Upload(openid, file_type, srv_send_msg, url, data, file_name, upload_id)
        return await self.api.call(endpoint, request, progress=progress)

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
        """Send one message. `media`: the result of `files`, or its `file_info`. `msg_type` follows from the rest."""
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
        return await self.api.call(self.scene.send, request)

    async def delete_message(self, openid: str, message_id: str) -> None:
        """Recall a message; the platform allows it for two minutes."""
        await self.api.call(self.scene.recall, messages.Recall(openid, message_id))

    async def upload_prepare(self, openid: str, **fields: Any) -> Prepared:
        """Begin a chunked upload; fields as in `wire.files.Prepare`."""
        return await self.api.call(self.scene.prepare, Prepare(openid, **fields))

    async def upload_part_finish(
        self, openid: str, *, upload_id: str, part_index: int, block_size: str | int, md5: str
    ) -> None:
        await self.api.call(self.scene.finish_part, FinishPart(openid, upload_id, part_index, block_size, md5))


class C2CCalls(SceneCalls):
    """One-to-one chats, with streams and typing notices."""

    async def post_stream_message(self, openid: str, **fields: Any) -> messages.StreamSent:
        """Send a piece of a growing text; fields as in `wire.messages.StreamMessage`."""
        return await self.api.call(wire.STREAM_TO_USER, messages.StreamMessage(openid, **fields))

    async def typing(self, openid: str, msg_id: str | None = None, seconds: int = 60) -> messages.Sent:
        """Show for 1 to 60 seconds that the bot is typing."""
        notify = messages.InputNotify(1, seconds)
        # The notice is numbered like an answer; answers count up from 1 and must not meet it.
        msg_seq = random.randrange(1_000_000, 2_000_000)
        return await self.post_message(openid, msg_id=msg_id, msg_seq=msg_seq, input_notify=notify)


class ChannelCalls:
    """Guild channels."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def post_message(
        self, channel_id: str, *, file_image: bytes | Content | None = None, **fields: Any
    ) -> guild.GuildMessage:
        """Send to a channel; fields as in `wire.guild.GuildContent`, the picture's bytes in `file_image`."""
        request = guild.SendToChannel(channel_id=channel_id, file_image=picture_part(file_image), **fields)
        return await self.api.call(wire.SEND_TO_CHANNEL, request)

    async def delete_message(self, channel_id: str, message_id: str, *, hidetip: bool = False) -> None:
        await self.api.call(wire.RECALL_FROM_CHANNEL, guild.RecallFromChannel(channel_id, message_id, hidetip))


class DmCalls:
    """Guild direct messages."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def create(self, recipient_id: str, source_guild_id: str) -> guild.Dm:
        """Open a conversation; messages go to its `guild_id`."""
        return await self.api.call(wire.OPEN_DM, guild.OpenDm(recipient_id, source_guild_id))

    async def post_message(
        self, guild_id: str, *, file_image: bytes | Content | None = None, **fields: Any
    ) -> guild.GuildMessage:
        request = guild.SendToDm(guild_id=guild_id, file_image=picture_part(file_image), **fields)
        return await self.api.call(wire.SEND_TO_DM, request)

    async def delete_message(self, guild_id: str, message_id: str, *, hidetip: bool = False) -> None:
        await self.api.call(wire.RECALL_FROM_DM, guild.RecallFromDm(guild_id, message_id, hidetip))


class ImageCalls:
    """Stored images for Markdown."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def upload(self, content: Content, *, file_name: str, content_type: str, md5: str, sha1: str = "") -> str:
        """Store a picture and return its `qqbot-media://` address for Markdown."""
        request = foreign.PrepareImage(file_name, content.size, content_type, md5, sha1)
        prepared = await self.api.call(foreign.PREPARE_IMAGE, request)
        body = foreign.PutImage(prepared.upload_id, "", content_type, content)
        answer = await self.api.caller.exchange(foreign.PUT_IMAGE, body, url=prepared.presigned_url)
        if answer.status >= 300:
            self.api.caller.read(foreign.COMPLETE_IMAGE, answer)
        stored = await self.api.call(foreign.COMPLETE_IMAGE, foreign.CompleteImage(prepared.upload_id, md5))
        return stored.url

    async def list(self, cursor: str = "") -> foreign.StoredImages:
        return await self.api.call(foreign.LIST_IMAGES, foreign.ListImages(cursor))

    async def delete(self, image_id: str) -> None:
        await self.api.call(foreign.DELETE_IMAGE, foreign.DeleteImage(image_id))


def picture_part(picture: bytes | Content | None) -> FormPart | None:
    """Return the multipart part of a picture inside a guild message, named as the common clients name it."""
    return None if picture is None else FormPart("file_image", _content(picture), "file_image")


def _content(data: bytes | Content) -> Content:
    return BytesContent(data) if isinstance(data, bytes) else data
