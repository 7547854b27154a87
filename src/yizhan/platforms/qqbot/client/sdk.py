"""The names and shapes of the vendor's Node SDK: `client.c2cApi.files(openid, {…})` returns an object with `.data`.

Source: "发送富媒体消息" (Node SDK page, v2.10.0) for `c2cApi` and `groupApi`; the older pages of the same SDK
(qq-guild-bot) for `messageApi`, `directMessageApi`, `interactionApi` and `meApi`; `postFile`, `deleteMessage` and
`postStreamingMessage` as in qq-bot-sdk 1.12.5, which many programs of that line use.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.client.api import Api
from yizhan.platforms.qqbot.wire import guild, messages
from yizhan.platforms.qqbot.wire.files import Uploaded
from yizhan.platforms.qqbot.wire.interactions import AnswerInteraction
from yizhan.platforms.qqbot.wire.scenes import Scene
from yizhan.platforms.qqbot.wire.token import Me, Nothing

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SdkResponse(Generic[T]):
    """An answer as the SDK hands it out. A refusal is raised as PlatformError, like everywhere in yizhan."""

    data: T


class _Api:
    def __init__(self, api: Api) -> None:
        self._api = api


class SceneApi(_Api):
    """`client.groupApi`, and the base of `client.c2cApi`."""

    def __init__(self, api: Api, scene: Scene) -> None:
        super().__init__(api)
        self._scene = scene

    async def files(self, openid: str, media: Mapping[str, Any]) -> SdkResponse[Uploaded]:
        """Upload. `media`: the page's `TMedia` (`file_type`, `url`, `srv_send_msg`), or with `file_data`."""
        endpoint = self._scene.upload_and_send if media.get("srv_send_msg") else self._scene.upload
        return SdkResponse(await self._api.call_json(endpoint, openid, media))

    async def postMessage(self, openid: str, message: Mapping[str, Any]) -> SdkResponse[messages.Sent]:
        """Send one message, with the fields of the page "发送消息"."""
        return SdkResponse(await self._api.call_json(self._scene.send, openid, message))

    async def delMessage(self, openid: str, message_id: str) -> SdkResponse[Nothing]:
        """Recall a message."""
        return SdkResponse(await self._api.call(self._scene.recall, messages.Recall(openid, message_id)))

    postFile = files
    deleteMessage = delMessage


class C2CApi(SceneApi):
    """`client.c2cApi`."""

    async def postStreamingMessage(self, openid: str, message: Mapping[str, Any]) -> SdkResponse[messages.StreamSent]:
        """Send a piece of a growing text."""
        return SdkResponse(await self._api.call_json(wire.STREAM_TO_USER, openid, message))


class MessageApi(_Api):
    """`client.messageApi`: guild channels."""

    async def postMessage(self, channelID: str, message: Mapping[str, Any]) -> SdkResponse[guild.GuildMessage]:
        return SdkResponse(await self._api.call_json(wire.SEND_TO_CHANNEL, channelID, message))

    async def deleteMessage(self, channelID: str, messageID: str, hideTip: bool = False) -> SdkResponse[Nothing]:
        request = guild.RecallFromChannel(channelID, messageID, hideTip)
        return SdkResponse(await self._api.call(wire.RECALL_FROM_CHANNEL, request))


class DirectMessageApi(_Api):
    """`client.directMessageApi`: guild direct messages."""

    async def createDirectMessage(self, dms: Mapping[str, str]) -> SdkResponse[guild.Dm]:
        """Open a conversation. `dms`: `source_guild_id` and `recipient_id`."""
        request = guild.OpenDm(dms["recipient_id"], dms["source_guild_id"])
        return SdkResponse(await self._api.call(wire.OPEN_DM, request))

    async def postDirectMessage(self, guildID: str, message: Mapping[str, Any]) -> SdkResponse[guild.GuildMessage]:
        return SdkResponse(await self._api.call_json(wire.SEND_TO_DM, guildID, message))

    async def deleteDirectMessage(self, guildID: str, messageID: str, hideTip: bool = False) -> SdkResponse[Nothing]:
        request = guild.RecallFromDm(guildID, messageID, hideTip)
        return SdkResponse(await self._api.call(wire.RECALL_FROM_DM, request))


class InteractionApi(_Api):
    """`client.interactionApi`: pressed buttons."""

    async def putInteraction(self, interactionID: str, interaction: Mapping[str, int]) -> SdkResponse[Nothing]:
        """Answer a pressed button. `interaction`: `{"code": 0}` and the like."""
        request = AnswerInteraction(interactionID, interaction.get("code", 0))
        return SdkResponse(await self._api.call(wire.ANSWER_INTERACTION, request))


class MeApi(_Api):
    """`client.meApi`: the bot itself."""

    async def me(self) -> SdkResponse[Me]:
        return SdkResponse(await self._api.call(wire.GET_ME, Nothing()))
