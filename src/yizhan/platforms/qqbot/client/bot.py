"""`Bot`: the platform's calls, typed. Usable on its own:

async with Bot("102000001", secret) as bot:
    uploaded = await bot.group.files(group_openid, file_type=1, url="https://…/a.png")
    await bot.group.post_message(group_openid, media=uploaded)

The names of the vendor's Node SDK exist beside the Python names: `bot.groupApi.postMessage(group_openid, {…})`.
"""

from __future__ import annotations

from yizhan.model import Clock
from yizhan.platforms.adapter import StateStore
from yizhan.platforms.qqbot import VENDOR, wire
from yizhan.platforms.qqbot.client import sdk
from yizhan.platforms.qqbot.client.api import Api
from yizhan.platforms.qqbot.client.calls import C2CCalls, ChannelCalls, DmCalls, ImageCalls, SceneCalls
from yizhan.platforms.qqbot.wire import foreign
from yizhan.platforms.qqbot.wire.foreign import GatewayForBot
from yizhan.platforms.qqbot.wire.interactions import AnswerInteraction
from yizhan.platforms.qqbot.wire.token import Me, Nothing


class Bot(Api):
    """One bot, with its calls by place."""

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
        super().__init__(
            app_id,
            secret,
            base_url=base_url,
            token_url=token_url,
            account=account,
            clock=clock,
            state_store=state_store,
            proxy=proxy,
        )
        self.c2c = C2CCalls(self, wire.USERS)
        self.group = SceneCalls(self, wire.GROUPS)
        self.channels = ChannelCalls(self)
        self.dms = DmCalls(self)
        self.media_images = ImageCalls(self)
        self.c2cApi = sdk.C2CApi(self, wire.USERS)
        self.groupApi = sdk.SceneApi(self, wire.GROUPS)
        self.messageApi = sdk.MessageApi(self)
        self.directMessageApi = sdk.DirectMessageApi(self)
        self.interactionApi = sdk.InteractionApi(self)
        self.meApi = sdk.MeApi(self)

    async def me(self) -> Me:
        return await self.call(wire.GET_ME, Nothing())

    async def gateway(self) -> str:
        """Return the address of the event socket."""
        return (await self.call(wire.GET_GATEWAY, Nothing())).url

    async def gateway_bot(self) -> GatewayForBot:
        return await self.call(foreign.GET_GATEWAY_BOT, Nothing())

    async def answer_interaction(self, interaction_id: str, code: int = 0) -> None:
        """Answer a pressed button, within 3 s of the event and once; `interaction_id` is the event's `d.id`."""
        await self.call(wire.ANSWER_INTERACTION, AnswerInteraction(interaction_id, code))
