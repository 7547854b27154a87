"""The client end: one account behind one local API."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from yizhan.errors import (
    ConfigError,
    HandleExpired,
    LoginNeeded,
    NotAllowed,
    PlatformError,
    Rejected,
    Unavailable,
    Unsupported,
)
from yizhan.model import Content, Event, EventKind, Handle, Message, PlatformId, Receipt, SendKey, Target
from yizhan.platforms.adapter import AccountContext, Finding, LoginStep, MediaNeed, Part, Progress
from yizhan.platforms.kit.client import HttpAdapter
from yizhan.platforms.wechatsdk import Settings, convert, wire
from yizhan.platforms.wechatsdk.client.folder import SharedFolder
from yizhan.platforms.wechatsdk.client.listen import Listener, Registration
from yizhan.platforms.wechatsdk.client.tcp import TcpListener
from yizhan.wire import Endpoint

log = logging.getLogger(__name__)

Req = TypeVar("Req", bound=Struct)
Res = TypeVar("Res")

POLL_SECONDS = 2.0
"""Between two looks at whether the code was scanned."""
MAX_WAITING = 10_000
"""Events that wait to be read; the oldest goes when there are more."""


class Adapter(HttpAdapter):
    """Sends as the account that is logged in. `call` makes any call of the wire, typed by its request and answer."""

    def __init__(self, context: AccountContext) -> None:
        super().__init__(context)
        settings: Settings = context.settings
        self.name = context.name
        self.settings = settings
        self.folder = SharedFolder(settings.shared_folder, settings.client_folder)
        self.registration = Registration(self.call, settings.api_base, context.state_store, context.clock)
        self._events: asyncio.Queue[Event] = asyncio.Queue(MAX_WAITING)

    # --- raw calls ---

    async def call(self, endpoint: Endpoint[Req, Res], request: Req) -> Res:
        """Make one call with the account's key and return its answer.

        Raises:
            PlatformError: the class says what happened.
        """
        if self.settings.secret_key:
            request = msgspec.structs.replace(request, secretKey=self.settings.secret_key)
        return await self.caller.call(endpoint, request)

    # --- sending ---

    def compose(self, message: Message, target: Target) -> Sequence[Part]:
        return convert.compose(message, target, self.context.rules)

    async def upload(
        self, need: MediaNeed, content: Content, target: Target, progress: Progress | None = None
    ) -> Handle:
        """Put the bytes where the client sees them and have it place them in the CDN, once for everybody.

        Raises:
            ConfigError: the shared folder cannot be written.
            Rejected: the client does not see the file, or the CDN does not take it.
        """
        name = need.media.name or f"{need.media.sha256[:8]}.{need.media.format or 'bin'}"
        shared = await self.folder.place(content, name, need.media.sha256, progress)
        if need.use == "sticker":
            # Stickers have no place in the CDN: they are sent by path, so the file stays.
            return Handle(msgspec.json.encode({"path": shared.theirs}).decode(), "account")
        try:
            file_type = convert.file_type_of(need, self.context.rules)
            request = wire.Upload(filePath=shared.theirs, aeskey=shared.md5, fileType=file_type)
            placed = (await self.call(wire.CDN_UPLOAD, request)).data
        except (HandleExpired, NotAllowed) as error:
            raise Rejected(
                f"{error} {self.folder.explain(shared.theirs)}",
                fault=error.fault,
                account=self.name,
                endpoint=wire.CDN_UPLOAD.name,
            ) from error
        finally:
            self.folder.remove(shared)
        if str(placed.retcode) not in ("", "0"):
            raise Unavailable(f"{self.name}: the CDN refused the upload (retcode {placed.retcode}).", account=self.name)
        return self.handle(convert.kept_of(placed, file_type), need)

    async def send(
        self, part: Part, handles: Mapping[MediaNeed, Handle], target: Target, key: SendKey, message: Message
    ) -> PlatformId:
        draft: convert.Draft = part.body
        token = handles[part.needs[0]].token if part.needs else ""
        answer = await self.call(draft.endpoint, convert.complete(draft, token))
        if not isinstance(answer, wire.Sent):
            return PlatformId("", self.context.clock.now(), {"answer": msgspec.to_builtins(answer)})
        return self.sent(answer.id, draft.endpoint.name)

    async def recall(self, sent: PlatformId, target: Target, receipt: Receipt) -> None:
        if not sent.id:
            raise Unsupported(f"{self.name}: this part has no message id, so it cannot be withdrawn.")
        await self.call(wire.REVOKE, wire.Revoke(msgSvrID=sent.id))

    async def mark_read(self, target: Target) -> None:
        await self.call(wire.MARK_READ, wire.OneChat(userName=target.id))

    # --- receiving ---

    async def events(self) -> AsyncIterator[Event]:
        """Yield received events. A listener is opened and registered with the client, unless events are `off`."""
        if self.settings.events == "off":
            while True:
                yield await self._events.get()
        by_tcp = self.settings.events == "tcp"
        listener = (TcpListener if by_tcp else Listener)(self.settings, self.receive_push)
        async with self.registration.of(listener, self._login_lost):
            while True:
                yield await self._events.get()

    def receive_push(self, body: bytes | str | Mapping[str, Any]) -> None:
        """Take a push that came another way, such as over a handler that another program registered.

        Events without the documented shape are logged and left out.
        """
        try:
            raw: Any = body if isinstance(body, Mapping) else msgspec.json.decode(body)
            if not isinstance(raw, Mapping):
                raise ValueError("not a push: no object")
            events = convert.parse(raw, self.name, self.context.clock.now())
        except (ValueError, TypeError, RecursionError) as error:
            log.warning("push left out", extra={"account": self.name, "reason": str(error)})
            return
        for event in events:
            self._put(event)

    def _put(self, event: Event) -> None:
        if self._events.full():
            self._events.get_nowait()
            log.warning("event dropped: the queue is full", extra={"account": self.name})
        self._events.put_nowait(event)

    def _login_lost(self, why: str) -> None:
        now = self.context.clock.now()
        self._put(Event(f"login_lost:{int(now)}", EventKind.LOGIN_LOST, self.name, now, raw={"reason": why}))

    async def open_reference(self, reference: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Yield the bytes of received media: the client downloads them into the shared folder.

        Raises:
            Unsupported: it names nothing that can be fetched, or the file did not appear on this side.
            PlatformError: the client said no.
        """
        shared = self.folder.expect(str(reference.get("name") or "media"))
        try:
            await self.call(wire.CDN_DOWNLOAD, convert.download_of(reference, shared.theirs))
            if not shared.ours.is_file():
                raise Unsupported(
                    f"{self.name}: the download is not at {shared.ours}. {self.folder.explain(shared.theirs)}"
                )
            async for data in self.folder.read(shared):
                yield data
        finally:
            self.folder.remove(shared)

    # --- the account ---

    async def login(self, show: Callable[[LoginStep], None]) -> str:
        """Return the account that is logged in; without one, show a code and wait for the phone."""
        profile = await self._profile()
        if profile.isLogin:
            return _words(profile)
        code = await self.call(wire.LOGIN_QRCODE, wire.Request())
        show(LoginStep("qr", "Scan the code with WeChat.", f"http://weixin.qq.com/x/{code.uuid}" if code.uuid else ""))
        clock = self.context.clock
        until = clock.now() + self.settings.login_seconds
        while clock.now() < until:
            profile = await self._profile()
            if profile.isLogin:
                show(LoginStep("confirmed", f"{_words(profile)} is logged in."))
                return _words(profile)
            await clock.sleep(POLL_SECONDS)
        show(LoginStep("expired", "The login was not confirmed in time."))
        raise LoginNeeded(
            f"{self.name}: the login was not confirmed within {self.settings.login_seconds} s. Log in again.",
            account=self.name,
        )

    async def _profile(self) -> wire.SelfProfile:
        return (await self.call(wire.SELF_PROFILE, wire.Request())).data

    async def check(self) -> Sequence[Finding]:
        base = self.caller.base("api")
        try:
            profile = await self._profile()
        except Unavailable as error:
            return [Finding("API", False, str(error), f"Start WeChat with the SDK, or correct base_url ({base}).")]
        except PlatformError as error:
            return [Finding("API", False, str(error), "Correct secret_key, or see whether the licence has ended.")]
        state = _words(profile) if profile.isLogin else "no account is logged in"
        remedy = "" if profile.isLogin else f"Log in: yizhan login {self.name}"
        return [Finding("API", True, base), Finding("login", profile.isLogin, state, remedy), self._check_folder()]

    def _check_folder(self) -> Finding:
        try:
            self.folder.remove(self.folder.expect("check"))
        except ConfigError as error:
            return Finding("shared folder", False, str(error), "Name a folder that can be written as shared_folder.")
        return Finding(
            "shared folder",
            True,
            f"{self.folder.root}, for the client {self.settings.client_folder or 'the same path'}",
        )

    async def close(self) -> None:
        await super().close()
        self.folder.close()


def _words(profile: wire.SelfProfile) -> str:
    return f"{profile.nickName} ({profile.userName})" if profile.nickName else profile.userName
