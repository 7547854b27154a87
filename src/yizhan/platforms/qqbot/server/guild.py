"""Guild channels and direct messages."""

from __future__ import annotations

from typing import Any

from yizhan.http.loopback_fetch import FetchedTooLarge, NotFetched, fetch_loopback
from yizhan.http.router import Call
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.server.access import Access
from yizhan.platforms.qqbot.server.address_book import GUILD_ID, AddressBook
from yizhan.platforms.qqbot.server.audits import AuditQueue
from yizhan.platforms.qqbot.server.event_source import EventSource
from yizhan.platforms.qqbot.server.formats import format_of
from yizhan.platforms.qqbot.server.gateway import Gateway
from yizhan.platforms.qqbot.server.messages import Messages
from yizhan.platforms.qqbot.server.quotas import Quotas
from yizhan.platforms.qqbot.server.state import ServerState
from yizhan.platforms.qqbot.wire import faults, guild
from yizhan.platforms.qqbot.wire.events import clock_text
from yizhan.platforms.qqbot.wire.quotas import active, passive
from yizhan.platforms.qqbot.wire.token import Nothing
from yizhan.wire import Fault, FormPart
from yizhan.world import Blob

DAY = 86400.0


class Guild:
    def __init__(
        self,
        state: ServerState,
        access: Access,
        address_book: AddressBook,
        event_source: EventSource,
        messages: Messages,
        quotas: Quotas,
        audits: AuditQueue,
        gateway: Gateway,
    ) -> None:
        self.state = state
        self.address_book = address_book
        self.event_source = event_source
        self.messages = messages
        self.quotas = quotas
        self.audits = audits
        self.gateway = gateway
        access.serve(wire.SEND_TO_CHANNEL, self.send_to_channel)
        access.serve(wire.SEND_TO_DM, self.send_to_dm)
        access.serve(wire.OPEN_DM, self.open_dm)
        access.serve(wire.RECALL_FROM_CHANNEL, self.recall_from_channel)
        access.serve(wire.RECALL_FROM_DM, self.recall_from_dm)

    async def send_to_channel(self, call: Call[guild.SendToChannel]) -> guild.GuildMessage:
        channel = self.address_book.channel(call.request.channel_id)
        return await self._send(call.request, "channel", channel.id, call.endpoint.name)

    async def send_to_dm(self, call: Call[guild.SendToDm]) -> guild.GuildMessage:
        guild_id = call.request.guild_id
        if guild_id not in self.address_book.dms:
            raise Fault(faults.CHANNEL_UNKNOWN)
        return await self._send(call.request, "dm", guild_id, call.endpoint.name)

    async def open_dm(self, call: Call[guild.OpenDm]) -> guild.Dm:
        person = self.state.network.people.get(call.request.recipient_id)
        if person is None:
            raise Fault(faults.INVALID_REQUEST, "recipient_id无效")
        guild_id = self.address_book.open_dm(person)
        return guild.Dm(guild_id, guild_id, str(int(self.state.now())))

    async def recall_from_channel(self, call: Call[guild.RecallFromChannel]) -> Nothing:
        channel = self.address_book.channel(call.request.channel_id)
        return self._recall(call.request.message_id, "channel", channel.id)

    async def recall_from_dm(self, call: Call[guild.RecallFromDm]) -> Nothing:
        return self._recall(call.request.message_id, "dm", call.request.guild_id)

    async def _send(self, request: Any, scene: str, target: str, call: str) -> guild.GuildMessage:
        rules = self.state.rules
        if rules["guild.needs_gateway"] and not self.gateway.connected:
            raise Fault(faults.GATEWAY_NEEDED)
        picture = await self._picture(request)
        counted = self._allowed(request, scene, target)
        text = (request.content or "").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        others = {name: value for name in ("markdown", "ark", "embed") if (value := getattr(request, name))}
        if not (text or picture or others):
            raise Fault(faults.MESSAGE_EMPTY)
        if request.markdown:
            text = text or str(request.markdown.get("content") or "")
        self.messages.check_text(text)
        self.quotas.note(counted, target)
        kind = "image" if picture else next(iter(others), "text")
        if request.keyboard:
            others["keyboard"] = request.keyboard

        def show() -> guild.GuildMessage:
            return self._post(call, scene, target, kind, text, picture, others)

        if rules["guild.audit"]:
            answers = bool(request.msg_id or request.event_id)
            raise self.audits.hold(scene, target, answers=answers, show=lambda: show().id)
        return show()

    def _allowed(self, request: Any, scene: str, target: str) -> tuple[str, ...]:
        """Return the quota groups in which the message counts.

        Raises:
            Fault: it answers an unknown or old message, or a quota is used up.
        """
        rules, quotas = self.state.rules, self.quotas
        answers = bool(request.msg_id or request.event_id)
        if answers:
            self._check_answered(request, scene, target)
        groups = passive(scene) if answers else active(scene)
        broken = quotas.exceeded(groups, target)
        if broken:
            if broken.endswith("per_second"):
                raise Fault(faults.GUILD_TOO_OFTEN)
            raise Fault(faults.GUILD_DM_USED_UP if scene == "dm" else faults.GUILD_ACTIVE_USED_UP)
        most = rules.get(f"active.{scene}.channels_per_day", 0)
        if most and not answers and len(quotas.targets(f"active.{scene}", DAY) - {target}) >= most:
            raise Fault(faults.GUILD_CHANNELS_USED_UP)
        return groups

    def _check_answered(self, request: Any, scene: str, target: str) -> None:
        rules = self.state.rules
        known = self.event_source.messages if request.msg_id else self.event_source.events
        answered = known.get(request.msg_id or request.event_id)
        if answered is None or (answered.scene, answered.target) != (scene, target):
            raise Fault(faults.GUILD_MSG_ID_WRONG)
        if rules.limited and self.state.now() - answered.at > rules.number(f"passive.{scene}.seconds"):
            raise Fault(faults.GUILD_MSG_ID_EXPIRED)

    async def _picture(self, request: Any) -> Blob | None:
        limit = self.state.rules.number("guild.image_max_bytes")
        blobs = self.state.world.blobs
        if isinstance(request.file_image, FormPart) and not isinstance(request.file_image.value, str):
            content = request.file_image.value
            blob = content if isinstance(content, Blob) else await blobs.keep(content.chunks())
        elif request.image:
            try:
                blob = await blobs.keep(fetch_loopback(request.image, limit))
            except FetchedTooLarge as error:
                raise Fault(faults.GUILD_IMAGE_TOO_LARGE) from error
            except NotFetched as error:
                raise Fault(faults.GUILD_URL_REFUSED) from error
        elif request.file_image:
            raise Fault(faults.BAD_FORM_BODY, "file_image须为文件")
        else:
            return None
        if blob.size > limit:
            raise Fault(faults.GUILD_IMAGE_TOO_LARGE)
        if format_of(blob.head()) not in self.state.rules.words("image.formats"):
            raise Fault(faults.GUILD_IMAGE_REFUSED)
        return blob

    def _post(
        self, call: str, scene: str, target: str, kind: str, text: str, picture: Blob | None, extra: dict[str, Any]
    ) -> guild.GuildMessage:
        state = self.state
        message_id = self.event_source.new_guild_id()
        state.record(
            call,
            state.app_id,
            target,
            kind,
            account=state.app_id,
            target_kind=scene,
            message_id=message_id,
            text=text,
            blob=picture,
            extra=extra,
        )
        author = guild.GuildAuthor(state.bot_id, state.bot_name, bot=True)
        guild_id = target if scene == "dm" else GUILD_ID
        at = clock_text(int(state.now()))
        return guild.GuildMessage(message_id, target, guild_id, text, at, author=author)

    def _recall(self, message_id: str, scene: str, target: str) -> Nothing:
        post = self.state.world.find_post("qqbot", message_id)
        if post is None or (post.target_kind, post.target) != (scene, target):
            raise Fault(faults.GUILD_RECALL_BAD_ID)
        if post.call == "say":
            raise Fault(faults.GUILD_RECALL_NO_RIGHT)
        if self.state.rules.limited and self.state.now() - post.at > self.state.rules.number("recall.seconds"):
            raise Fault(faults.GUILD_RECALL_TOO_LATE)
        post.recalled = True
        return Nothing()
