"""The adapter: wire and convert, driven by the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from yizhan.errors import HandleExpired, OutcomeUnknown, PlatformError, Rejected, Unavailable, Unsupported, WireMismatch
from yizhan.model import Content, Event, Handle, Message, PlatformId, Receipt, Segment, SendKey, Target
from yizhan.platforms.adapter import AccountContext, Finding, Limit, LoginStep, MediaNeed, Part, Progress
from yizhan.platforms.kit.media_rules import MediaRule
from yizhan.platforms.qqbot import Settings, convert, wire
from yizhan.platforms.qqbot.client.bot import Bot, SceneCalls, picture_part
from yizhan.platforms.qqbot.client.gateway import Gateway
from yizhan.platforms.qqbot.client.inbox import Inbox
from yizhan.platforms.qqbot.client.links import Link, Links
from yizhan.platforms.qqbot.client.unfinished import Uploads
from yizhan.platforms.qqbot.client.upload import ChunkedUpload, KnownDigests
from yizhan.platforms.qqbot.convert import ByLink, Guild, Raw
from yizhan.platforms.qqbot.wire.events import clock_seconds
from yizhan.platforms.qqbot.wire.faults import PROXY_REFUSED
from yizhan.platforms.qqbot.wire.files import Download, Uploaded
from yizhan.platforms.qqbot.wire.guild import GuildMessage, SendToChannel
from yizhan.platforms.qqbot.wire.messages import MediaInfo, SendMessage, Sent
from yizhan.platforms.qqbot.wire.webhook import NOT_HANDLED, answer
from yizhan.wire import Endpoint

UNSAID_TTL_SECONDS = 300
"""How long a `file_info` is trusted whose answer names no end."""

_GUILD_CALLS: dict[str, Endpoint[Any, GuildMessage]] = {"channel": wire.SEND_TO_CHANNEL, "dm": wire.SEND_TO_DM}


class Adapter:
    """One bot, for the engine."""

    def __init__(self, context: AccountContext) -> None:
        settings: Settings = context.settings
        self.context = context
        self.settings = settings
        self.account = context.name
        self.bot = Bot(
            settings.app_id,
            settings.secret,
            base_url=settings.base_url,
            token_url=settings.token_url,
            account=context.name,
            clock=context.clock,
            state_store=context.state_store,
            proxy=settings.proxy,
        )
        self._scenes: dict[str, SceneCalls] = {"user": self.bot.c2c, "group": self.bot.group}
        self._inbox = Inbox()
        self._uploads = Uploads(context.state_store, context.clock)
        self._links = Links(context.clock)
        self._digests = KnownDigests()

    def compose(self, message: Message, target: Target) -> Sequence[Part]:
        return convert.compose(message, target, self.context.rules)

    def media_rule(self, segment: Segment, target: Target) -> MediaRule | None:
        return convert.media_rule(segment, target, self.context.rules)

    def limits(self, message: Message, target: Target) -> Sequence[Limit]:
        return convert.limits(message, target, self.context.rules)

    async def upload(
        self, need: MediaNeed, content: Content, target: Target, progress: Progress | None = None
    ) -> Handle:
        """Inline when small, else in chunks; also in chunks when the proxy in front finds it too large after all."""
        file_type, _, name = need.use.partition(":")
        calls = self._scenes[need.scope]
        if content.size <= self.context.rules.number("files.inline_max_bytes"):
            try:
                return self._handle(
                    need.scope,
                    await calls.files(
                        target.id,
                        file_type=int(file_type),
                        file_data=content,
                        file_name=name or None,
                        progress=progress,
                    ),
                )
            except Rejected as error:
                if error.fault is None or error.fault.row is not PROXY_REFUSED:
                    raise
        upload = ChunkedUpload(
            calls,
            target.id,
            content,
            self.context.clock,
            progress,
            uploads=self._uploads,
            digests=lambda: self._digests.of(need.media, content),
        )
        key = f"{need.scope} {need.media.sha256} {need.use}"
        return self._handle(need.scope, await upload.run(int(file_type), name or need.name, key))

    async def send(
        self, part: Part, handles: Mapping[MediaNeed, Handle], target: Target, key: SendKey, message: Message
    ) -> PlatformId:
        """Answers carry `key.number` as `msg_seq`, by which the platform knows a repeat; active messages carry none."""
        match part.body:
            case SendMessage() as body:
                info = handles[part.needs[0]].token if part.needs else ""
                return self._sent(await self._send(body, info, key, message, target))
            case ByLink():
                return self._sent(await self._send_by_link(part.body, key, message, target))
            case Guild():
                return self._sent(await self._send_to_guild(part.body, message))
            case Raw(call, fields):
                return self._sent(await self._send_raw(call, fields, key, message, target))
        raise TypeError(f"{self.account}: a part of another platform: {part.call}")

    async def recall(self, sent: PlatformId, target: Target, receipt: Receipt) -> None:
        """Raises Rejected once the platform's two minutes are over."""
        if target.kind == "channel":
            await self.bot.channels.delete_message(target.id, sent.id)
        elif target.kind == "dm":
            await self.bot.dms.delete_message(target.id, sent.id)
        else:
            await self._scenes[target.kind].delete_message(target.id, sent.id)

    async def mark_read(self, target: Target) -> None:
        raise Unsupported(
            f"{target}: QQ bots have no call for 'read'. Nothing needs to be done: people see no such mark."
        )

    async def events(self) -> AsyncIterator[Event]:
        """Yield what comes in over the socket (it reconnects and resumes by itself) and over the webhook.

        Raises:
            LoginNeeded, NotAllowed: the platform will not let this bot in.
        """
        gateway = Gateway(self.bot, self._inbox, self.account, self.settings.intents, self.context.state_store)
        task = asyncio.create_task(gateway.run()) if self.settings.receive == "socket" else None
        try:
            while True:
                place, event = await self._inbox.take()
                yield event
                gateway.took(place)
        finally:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, Event | None]:
        """Judge a push that arrived at this account's address: status and JSON to answer with, and what it tells.

        The answer is to be given once the event is safe.
        """
        now = self.context.clock.now()
        judged = answer(
            self.settings.app_id,
            self.settings.secret,
            headers,
            body,
            now=now,
            tolerance_seconds=float(self.context.rules["webhook.tolerance_seconds"]),
        )
        event = convert.parse(judged.event, self.account, now) if judged.event else None
        return judged.status, judged.body, event

    def receive_webhook(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Judge a push, put its event among those that `events()` yields, and return what to answer (JSON)."""
        status, said, event = self.read_webhook(headers, body)
        if event is not None and not self._inbox.offer(event):
            return 200, NOT_HANDLED
        return status, said

    async def open_reference(self, reference: dict[str, Any]) -> AsyncIterator[bytes]:
        """Yield the bytes of received media.

        Raises:
            HandleExpired: the link has ended.
            Unavailable: the storage does not answer as it should just now.
        """
        url = str(reference.get("url") or "")
        if not url.startswith(("http://", "https://")):
            raise Unsupported(f"{self.account}: this reference has no link. Take it from an event of this account.")
        async with self.bot.caller.stream(wire.DOWNLOAD, Download(""), url=url) as (head, chunks):
            if head.status >= 500 or head.status == 429:
                raise Unavailable(
                    f"{self.account}: the storage of received media answered {head.status}; try again later.",
                    account=self.account,
                )
            if head.status != 200:
                raise HandleExpired(
                    f"{self.account}: the link to received media answered {head.status}; such links end after a while.",
                    account=self.account,
                )
            async for chunk in chunks:
                yield chunk

    async def login(self, show: Callable[[LoginStep], None]) -> str:
        """Check the secret; there is nothing to show."""
        me = await self.bot.me()
        return f"{me.username} (AppID {self.settings.app_id})"

    async def check(self) -> Sequence[Finding]:
        findings = []
        for what, look, remedy in (
            ("access token", self.bot.tokens.headers, "Compare AppID and AppSecret with the management console."),
            ("the bot itself", self.bot.me, "See whether the bot is online and this machine's address is allowed."),
            ("event gateway", self.bot.gateway, "Without it nothing comes in; sending works all the same."),
        ):
            try:
                await look()
                findings.append(Finding(what, True))
            except Unavailable as error:
                findings.append(Finding(what, False, str(error), "See whether base_url is right and can be reached."))
            except PlatformError as error:
                findings.append(Finding(what, False, str(error), remedy))
        return findings

    async def close(self) -> None:
        await self.bot.close()

    async def _send(self, body: SendMessage, info: str, key: SendKey, message: Message, target: Target) -> Sent:
        changes: dict[str, Any] = {"media": MediaInfo(info)} if info else {}
        if message.reply is not None:
            changes["event_id" if message.reply.kind == "event" else "msg_id"] = message.reply.id
            changes["msg_seq"] = key.number
        request = msgspec.structs.replace(body, **changes) if changes else body
        return await self.bot.call(self._scenes[target.kind].scene.send, request)

    async def _send_by_link(self, part: ByLink, key: SendKey, message: Message, target: Target) -> Sent:
        link = Link(target.kind, part.file_type, part.url, part.name)

        async def upload() -> Handle:
            placed = await self._scenes[link.scene].files(
                target.id, file_type=link.file_type, url=link.url, file_name=link.name or None
            )
            return self._handle(link.scene, placed)

        handle = await self._links.handle(link, upload)
        try:
            return await self._send(part.message, handle.token, key, message, target)
        except HandleExpired:
            self._links.drop(link, handle)
            handle = await self._links.handle(link, upload)
            return await self._send(part.message, handle.token, key, message, target)

    async def _send_to_guild(self, part: Guild, message: Message) -> GuildMessage:
        changes: dict[str, Any] = {}
        if message.reply is not None:
            changes["event_id" if message.reply.kind == "event" else "msg_id"] = message.reply.id
        if part.image is not None:
            changes["file_image"] = picture_part(self.context.open_media(part.image.sha256))
        request = msgspec.structs.replace(part.message, **changes) if changes else part.message
        endpoint: Endpoint[Any, GuildMessage] = (
            wire.SEND_TO_CHANNEL if isinstance(request, SendToChannel) else wire.SEND_TO_DM
        )
        return await self._unless_held(self.bot.call(endpoint, request))

    async def _unless_held(self, call: Awaitable[GuildMessage]) -> GuildMessage:
        """Await a guild send; where it is held for review, say by which id its end will be told."""
        try:
            return await call
        except OutcomeUnknown as error:
            match error.fault.data if error.fault else None:
                case {"message_audit": {"audit_id": audit_id}}:
                    told = (
                        f"It is under review as {audit_id}; MESSAGE_AUDIT_PASS or MESSAGE_AUDIT_REJECT tells the end."
                    )
                    raise OutcomeUnknown(
                        f"{error} {told}", fault=error.fault, account=error.account, endpoint=error.endpoint
                    ) from error
            raise

    async def _send_raw(
        self, call: str, fields: dict[str, Any], key: SendKey, message: Message, target: Target
    ) -> Sent | GuildMessage:
        if message.reply is not None and not fields.get("is_wakeup"):
            field = "event_id" if message.reply.kind == "event" else "msg_id"
            numbered = {"msg_seq": key.number} if target.kind in self._scenes else {}
            fields = {field: message.reply.id, **numbered, **fields}
        if call == wire.STREAM_TO_USER.name:
            return await self.bot.raw(wire.STREAM_TO_USER, target.id, fields)
        if target.kind in self._scenes:
            return await self.bot.raw(self._scenes[target.kind].scene.send, target.id, fields)
        return await self._unless_held(self.bot.raw(_GUILD_CALLS[target.kind], target.id, fields))

    def _sent(self, sent: Sent | GuildMessage) -> PlatformId:
        if not sent.id:
            raise WireMismatch(f"{self.account}: the platform's answer has no message id.", account=self.account)
        at = clock_seconds(sent.timestamp) or self.context.clock.now()
        ref_idx = sent.ext_info.ref_idx if isinstance(sent, Sent) and sent.ext_info else ""
        return PlatformId(sent.id, at, {"ref_idx": ref_idx} if ref_idx else {})

    def _handle(self, scope: str, placed: Uploaded) -> Handle:
        ttl = UNSAID_TTL_SECONDS if placed.ttl < 0 else placed.ttl
        return Handle(placed.file_info, scope, self.context.clock.now() + ttl if ttl else None)
