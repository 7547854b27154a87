"""The client end: one account behind a gateway."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from yizhan.errors import LoginNeeded, OutcomeUnknown, PlatformError, Rejected, Unavailable, Unsupported, WireMismatch
from yizhan.model import Content, Event, Handle, Message, PlatformId, Receipt, Segment, SendKey, Target
from yizhan.platforms.adapter import AccountContext, Finding, LoginStep, MediaNeed, Part, Progress
from yizhan.platforms.kit.client import HttpAdapter
from yizhan.platforms.kit.media_rules import MediaRule
from yizhan.platforms.ohwxapi import Settings, convert, wire
from yizhan.platforms.ohwxapi.client.download import Base64Field
from yizhan.platforms.ohwxapi.client.line import Line, socket_url
from yizhan.platforms.ohwxapi.client.members import GroupMembers
from yizhan.wire import Endpoint, HttpResponse
from yizhan.wire.filename import safe_name

log = logging.getLogger(__name__)

Req = TypeVar("Req", bound=Struct)
P = TypeVar("P", bound=Struct)
R = TypeVar("R")

POLL_SECONDS = 3.0
"""Between two looks at the list of online accounts while a login waits for the phone."""
MARGIN_SECONDS = 5.0
"""How much longer than the gateway waits for WeChat we wait for the gateway, at least."""
_CLIENT_ID_TIME = re.compile(r"_(\d{9,11})$")


class Adapter(HttpAdapter):
    """Sends as one wxid. `run` gives any command of the wire, typed by its parameters and its answer."""

    def __init__(self, context: AccountContext) -> None:
        super().__init__(context)
        settings: Settings = context.settings
        self.name = context.name
        self.settings = settings
        self._members = GroupMembers()
        self.wxid = settings.wxid
        self._over_socket = settings.commands == "socket"
        url = socket_url(settings.api_base, settings.socket_url, settings.wxid, settings.security_code)
        self.line = Line(self.caller, url, settings.wxid, context.clock, context.rules.number("socket.max_bytes"))

    # --- raw calls ---

    async def call(self, endpoint: Endpoint[Req, R], request: Req) -> R:
        """Make any call; the request of a command is what `command.asking(wxid, parameters)` returns."""
        if isinstance(endpoint, wire.Command):
            return await self._give(endpoint, request)
        return await self.caller.call(endpoint, request)

    async def run(self, command: wire.Command[P, R], parameters: P, *, progress: Progress | None = None) -> R:
        """Give one command as this account and return its answer.

        Raises:
            PlatformError: the class says what happened.
        """
        return await self._give(command, command.asking(self.wxid, parameters, self.settings.timeout), progress)

    async def _give(self, command: wire.Command[Any, R], request: Any, progress: Progress | None = None) -> R:
        """Carry out a command over HTTP or the WebSocket, as the account is set up."""
        if self.settings.timeout > command.timeout - MARGIN_SECONDS:
            command = dataclasses.replace(command, timeout=self.settings.timeout + MARGIN_SECONDS)
        try:
            if self._over_socket:
                return self.caller.read(command, await self.line.ask(command, request.CgiRequest))
            return await self.caller.call(command, request, progress=progress)
        except OutcomeUnknown as error:
            if command.acts:
                raise
            # The gateway lost its line to WeChat; a lookup or an upload may simply be made again.
            raise Unavailable(
                f"{error} Trying again is safe.", fault=error.fault, account=self.name, endpoint=command.name
            ) from error

    # --- sending ---

    def compose(self, message: Message, target: Target) -> Sequence[Part]:
        return convert.compose(message, target, self.context.rules, over_socket=self._over_socket)

    def media_rule(self, segment: Segment, target: Target) -> MediaRule | None:
        return convert.media_rule(segment, self.context.rules, over_socket=self._over_socket)

    async def upload(
        self, need: MediaNeed, content: Content, target: Target, progress: Progress | None = None
    ) -> Handle:
        """Place the bytes once; the XML that comes back is sent on unread, to whomever."""
        xml = await self.run(wire.CDN_UPLOAD, convert.upload_of(need, target, content), progress=progress)
        if not xml.lstrip().startswith("<"):
            raise WireMismatch(
                f"{self.name}: the upload answered no XML but {xml[:80]!r}.", account=self.name, endpoint="CdnUpload"
            )
        return self.handle(xml, need)

    async def send(
        self, part: Part, handles: Mapping[MediaNeed, Handle], target: Target, key: SendKey, message: Message
    ) -> PlatformId:
        draft: convert.Draft = part.body
        token = handles[part.needs[0]].token if part.needs else ""
        content = self.context.open_media(draft.inline.sha256) if draft.inline else None
        answer = await self.run(draft.command, convert.complete(draft, token, content))
        return self._sent(draft.command, answer)

    def _sent(self, command: wire.Command[Any, Any], answer: Any) -> PlatformId:
        if not isinstance(answer, wire.Sent):
            return PlatformId("", self.context.clock.now(), {"answer": msgspec.to_builtins(answer)})
        id = answer.NewMsgIdExt or (str(answer.NewMsgId) if answer.NewMsgId else "")
        sent = self.sent(id, command.name, ClientMsgId=answer.ClientMsgId)
        time = _CLIENT_ID_TIME.search(answer.ClientMsgId)
        return msgspec.structs.replace(sent, at=float(time[1])) if time else sent

    async def recall(self, sent: PlatformId, target: Target, receipt: Receipt) -> None:
        if not sent.id.isdecimal():
            raise Unsupported(f"{self.name}: this part has no message id, so it cannot be withdrawn.")
        client_id = str(sent.extra.get("ClientMsgId", ""))
        asked = wire.Revoke(ToUserName=target.id, ClientMsgId=client_id, NewMsgId=int(sent.id), CreateTime=int(sent.at))
        await self.run(wire.REVOKE, asked)

    async def mark_read(self, target: Target) -> None:
        raise Unsupported("ohwxapi has no call that marks a conversation as read; open it on the phone.")

    # --- receiving ---

    async def events(self) -> AsyncIterator[Event]:
        """Yield events of the WebSocket; echoes of the account's own messages are `sent`."""
        async for text in self.line.pushes():
            push = wire.read_push(text)
            if push is None and '"CurrentPacket"' in text:
                log.warning("push left out", extra={"account": self.name, "begins": text[:200]})
            if push is None or push.CurrentWxid not in ("", self.wxid):
                continue
            raw = msgspec.json.decode(text)
            event = convert.parse(push, raw, self.name, self.wxid, self.context.clock.now())
            yield event
            for change in self._members.changes(push.CurrentPacket.Data, event):
                yield change

    async def open_reference(self, reference: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Yield the bytes of received media.

        Raises:
            Unsupported: it names nothing that can be fetched, or the gateway keeps the file on its own machine.
            PlatformError: the gateway said no.
        """
        asked = convert.download_of(reference)
        field = Base64Field()
        try:
            async for data in field.bytes_in(self._answer_in_pieces(asked)):
                yield data
        except ValueError as error:
            raise WireMismatch(f"{self.name}: CdnDownload: {error}.", account=self.name) from error
        if not field.found:
            answer = HttpResponse(200, [("Content-Type", "application/json")], field.rest)
            written: wire.Downloaded = self.caller.read(wire.CDN_DOWNLOAD, answer)
            async for data in self._shared(written.FilePath):
                yield data

    async def _answer_in_pieces(self, asked: wire.CdnDownload) -> AsyncIterator[bytes]:
        if self._over_socket:
            yield (await self.line.ask(wire.CDN_DOWNLOAD, asked)).data
            return
        request = wire.CDN_DOWNLOAD.asking(self.wxid, asked, self.settings.timeout)
        async with self.caller.stream(wire.CDN_DOWNLOAD, request) as (head, chunks):
            if head.status != 200:
                body = b"".join([chunk async for chunk in chunks])
                self.caller.read(wire.CDN_DOWNLOAD, HttpResponse(head.status, head.headers, body))
            async for chunk in chunks:
                yield chunk

    async def _shared(self, path: str) -> AsyncIterator[bytes]:
        folder = self.settings.download_folder
        file = Path(folder) / safe_name(path) if folder else None
        if file is None or not file.is_file():
            raise Unsupported(
                f"{self.name}: the gateway wrote the file to {path!r} on its own machine and sent no bytes. "
                "Set download_folder to a folder that both machines share."
            )
        with file.open("rb") as opened:
            while data := opened.read(1 << 20):
                yield data

    # --- the account ---

    async def login(self, show: Callable[[LoginStep], None]) -> str:
        """Wait until the gateway lists the account: asks the phone first, else shows where the code is."""
        if await self._online():
            return self.wxid
        show(await self._ask_phone())
        clock = self.context.clock
        until = clock.now() + self.settings.login_seconds
        while clock.now() < until:
            if await self._online():
                show(LoginStep("confirmed", f"{self.wxid} is online."))
                return self.wxid
            await clock.sleep(POLL_SECONDS)
        show(LoginStep("expired", "The login was not confirmed in time."))
        raise LoginNeeded(
            f"{self.name}: {self.wxid} was not confirmed within {self.settings.login_seconds} s. Log in again.",
            account=self.name,
        )

    async def _ask_phone(self) -> LoginStep:
        try:
            await self.caller.call(wire.PUSH_LOGIN, wire.PushLogin(self.wxid))
        except (LoginNeeded, Rejected, WireMismatch):
            return await self._qr_step()
        return LoginStep("scanned", f"Confirm the login on the phone of {self.wxid}.")

    async def _qr_step(self) -> LoginStep:
        page = f"{self.caller.base('api')}/v2/login/getqrcode?isIPad=2&wxid={self.wxid}"
        answer = await self.caller.exchange(wire.GET_LOGIN_QR_CODE, wire.GetLoginQrCode(wxid=self.wxid, json="1"))
        self.caller.read(wire.GET_LOGIN_QR_CODE, answer)
        # The gateway shows a page with a picture; only our own sandbox also gives its text.
        text = ""
        if answer.content_type == "application/json":
            text = msgspec.json.decode(answer.data)["ResponseData"].get("QrCodeText", "")
        words = "Scan the code with WeChat." if text else f"Open {page} in a browser and scan the code there."
        return LoginStep("qr", words, text)

    async def _online(self) -> bool:
        users = await self.caller.call(wire.GET_ACCOUNTS, wire.GetAccounts())
        return any(_is(user.Wxid, self.wxid) for user in users.WeChatUsers)

    async def check(self) -> Sequence[Finding]:
        base = self.caller.base("api")
        try:
            online = await self._online()
        except Unavailable as error:
            return [Finding("gateway", False, str(error), f"Start the gateway, or correct base_url ({base}).")]
        except PlatformError as error:
            return [Finding("gateway", False, str(error), f"See whether {base} is an ohwxapi gateway.")]
        remedy = "" if online else f"Log {self.wxid} in: yizhan login {self.name}"
        state = f"{self.wxid} is {'online' if online else 'not logged in'}"
        return [Finding("gateway", True, base), Finding("login", online, state, remedy)]

    async def close(self) -> None:
        await self.line.close()
        await super().close()


def _is(listed: str, wxid: str) -> bool:
    """The gateway masks the last four characters of the accounts that it lists."""
    if listed.endswith("****"):
        return len(listed) == len(wxid) and wxid.startswith(listed[:-4])
    return listed == wxid
