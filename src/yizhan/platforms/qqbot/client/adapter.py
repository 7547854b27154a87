"""The adapter of one QQ bot account, driven by the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

from yizhan.errors import (
    ContentRefused,
    HandleExpired,
    PlatformError,
    Rejected,
    Unavailable,
    Unsupported,
    WireMismatch,
)
from yizhan.model import Content, Event, Handle, Message, PlatformId, Receipt, Reply, Segment, SendKey, Target
from yizhan.platforms.adapter import AccountContext, Finding, Limit, LoginStep, MediaNeed, Part, Progress, StreamPiece
from yizhan.platforms.adapter import Adapter as BaseAdapter
from yizhan.platforms.kit.media_rules import MediaRule
from yizhan.platforms.qqbot import Settings, convert, wire
from yizhan.platforms.qqbot.client.bot import Bot
from yizhan.platforms.qqbot.client.digests import DigestCache
from yizhan.platforms.qqbot.client.event_queue import EventQueue
from yizhan.platforms.qqbot.client.gateway import Gateway
from yizhan.platforms.qqbot.client.link_uploads import LinkUploads
from yizhan.platforms.qqbot.client.presses import PressAcknowledger
from yizhan.platforms.qqbot.client.sender import Sender, naming_the_rule
from yizhan.platforms.qqbot.client.sent_references import SentReferences
from yizhan.platforms.qqbot.client.unfinished_uploads import UnfinishedUploads
from yizhan.platforms.qqbot.client.upload import ChunkedUpload
from yizhan.platforms.qqbot.wire.events import clock_seconds
from yizhan.platforms.qqbot.wire.faults import PROXY_REFUSED
from yizhan.platforms.qqbot.wire.files import Download, Uploaded
from yizhan.platforms.qqbot.wire.guild import GuildMessage
from yizhan.platforms.qqbot.wire.messages import Sent
from yizhan.platforms.qqbot.wire.webhook import NOT_HANDLED, answer
from yizhan.wire import Endpoint

Res = TypeVar("Res")

DEFAULT_TTL_SECONDS = 300
"""Life of a `file_info` whose answer names no `ttl`."""


class Adapter(BaseAdapter):
    """One bot, for the engine."""

    def __init__(self, context: AccountContext) -> None:
        super().__init__(context)
        settings: Settings = context.settings
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
        self._queue = EventQueue()
        self._presses = PressAcknowledger(self.bot) if settings.acknowledge_presses else None
        self._sent = SentReferences()
        owner = f"{self.bot.app_id} {self.bot.base_url}"
        self._uploads = UnfinishedUploads(context.state_store, context.clock, owner)
        self._digests = DigestCache()
        self._sender = Sender(self.bot, LinkUploads(context.clock), self._handle, context.open_media)

    async def call(self, endpoint: Endpoint[Any, Res], request: Any) -> Res:
        """Make any call of the platform, typed; see `yizhan.platforms.qqbot.wire`."""
        return await self.bot.call(endpoint, request)

    def compose(self, message: Message, target: Target) -> Sequence[Part]:
        return convert.compose(message, target, self.context.rules)

    def stream_limit(self, target: Target, reply: Reply | None) -> int | None:
        """One-to-one chats have growing texts, as answers only."""
        rules = self.context.rules
        allowed = target.kind == "user" and reply is not None and rules["stream.allowed"]
        return rules.number("text.max_chars") if allowed else None

    def stream_message(self, piece: StreamPiece, target: Target, reply: Reply | None) -> Message:
        return convert.stream_message(piece, reply)

    def media_rule(self, segment: Segment, target: Target) -> MediaRule | None:
        return convert.media_rule(segment, target, self.context.rules)

    def limits(self, message: Message, target: Target) -> Sequence[Limit]:
        return convert.limits(message, target, self.context.rules)

    async def upload(
        self, need: MediaNeed, content: Content, target: Target, progress: Progress | None = None
    ) -> Handle:
        """Upload inline when the content is small, else in chunks; also in chunks if the proxy refuses its size."""
        file_type, _, name = need.use.partition(":")
        calls = self._sender.scenes[need.scope]
        if content.size <= self.context.rules.number("files.inline_max_bytes"):
            try:
                uploaded = await calls.files(
                    target.id,
                    file_type=int(file_type),
                    file_data=content,
                    file_name=name or None,
                    progress=progress,
                )
                return self._handle(need.scope, uploaded)
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
            digests=lambda: self._digests.digests(need.media, content),
        )
        key = f"{need.scope} {need.media.sha256} {need.use}"
        return self._handle(need.scope, await upload.run(int(file_type), name or need.name, key))

    async def send(
        self, part: Part, handles: Mapping[MediaNeed, Handle], target: Target, key: SendKey, message: Message
    ) -> PlatformId:
        file_info = handles[part.needs[0]].token if part.needs else ""
        try:
            sent = await self._sender.send(part.body, file_info, key, message.reply, target)
        except ContentRefused as error:
            raise naming_the_rule(error, self.context.rules) from error
        platform_id = self._platform_id(sent.answer, sent.note)
        self._sent.add(platform_id.id, platform_id.extra.get("ref_idx", ""))
        return platform_id

    async def recall(self, sent: PlatformId, target: Target, receipt: Receipt) -> None:
        """Raises Rejected once the platform's two minutes are over."""
        if target.kind == "channel":
            await self.bot.channels.delete_message(target.id, sent.id)
        elif target.kind == "dm":
            await self.bot.dms.delete_message(target.id, sent.id)
        else:
            await self._sender.scenes[target.kind].delete_message(target.id, sent.id)

    async def mark_read(self, target: Target) -> None:
        raise Unsupported(
            f"{target}: QQ bots have no call for 'read'. Nothing needs to be done: people see no such mark."
        )

    async def events(self) -> AsyncIterator[Event]:
        """Yield events of the socket, which reconnects and resumes automatically, and of the webhook.

        Raises:
            LoginNeeded, NotAllowed: the platform does not admit this bot.
        """
        settings, store = self.settings, self.context.state_store
        gateway = Gateway(self.bot, self._queue, self.account, settings.intents, store, self._sent, self._presses)
        task = asyncio.create_task(gateway.run()) if self.settings.receive == "socket" else None
        try:
            while True:
                position, event = await self._queue.get()
                yield event
                gateway.acknowledge(position)
        finally:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def read_webhook(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes, Event | None]:
        """Verify a webhook request and return status and JSON to answer with, and the event in it.

        The answer is given once the event is stored.
        """
        now = self.context.clock.now()
        verdict = answer(
            self.settings.app_id,
            self.settings.secret,
            headers,
            body,
            now=now,
            tolerance_seconds=float(self.context.rules["webhook.tolerance_seconds"]),
        )
        own = convert.Own(references=self._sent)
        event = convert.parse(verdict.event, self.account, now, own) if verdict.event else None
        if event is not None and self._presses is not None:
            self._presses.received(event)
        return verdict.status, verdict.body, event

    def receive_webhook(self, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
        """Verify a webhook request, queue its event for `events()`, and return status and JSON to answer with."""
        status, answer_body, event = self.read_webhook(headers, body)
        if event is not None and not self._queue.offer(event):
            return 200, NOT_HANDLED
        return status, answer_body

    async def open_reference(self, reference: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Yield the bytes of received media.

        Raises:
            HandleExpired: the link has expired.
            Unavailable: the storage is out of order for now.
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
                    f"{self.account}: the link to received media answered {head.status}; such links expire.",
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
        for subject, check, remedy in (
            ("access token", self.bot.tokens.headers, "Compare AppID and AppSecret with the management console."),
            ("the bot itself", self.bot.me, "See whether the bot is online and this machine's address is allowed."),
            ("event gateway", self.bot.gateway, "Without it no events arrive; sending still works."),
        ):
            try:
                await check()
                findings.append(Finding(subject, True))
            except Unavailable as error:
                findings.append(
                    Finding(subject, False, str(error), "See whether base_url is right and can be reached.")
                )
            except PlatformError as error:
                findings.append(Finding(subject, False, str(error), remedy))
        return findings

    async def close(self) -> None:
        if self._presses is not None:
            await self._presses.close()
        await self.bot.close()

    def _platform_id(self, sent: Sent | GuildMessage, note: str) -> PlatformId:
        if not sent.id:
            raise WireMismatch(f"{self.account}: the platform's answer has no message id.", account=self.account)
        at = clock_seconds(sent.timestamp) or self.context.clock.now()
        ref_idx = sent.ext_info.ref_idx if isinstance(sent, Sent) and sent.ext_info else ""
        return PlatformId(sent.id, at, {"ref_idx": ref_idx} if ref_idx else {}, note)

    def _handle(self, scope: str, uploaded: Uploaded) -> Handle:
        ttl = DEFAULT_TTL_SECONDS if uploaded.ttl < 0 else uploaded.ttl
        return Handle(uploaded.file_info, scope, self.context.clock.now() + ttl if ttl else None)
