"""The client end of one web WeChat account."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from yizhan.errors import (
    HandleExpired,
    LoginNeeded,
    NotAllowed,
    PlatformError,
    TargetGone,
    Unavailable,
    UnknownTarget,
    Unsupported,
)
from yizhan.model import Content, Event, Handle, Message, PlatformId, Receipt, Segment, SendKey, Target
from yizhan.platforms.adapter import AccountContext, Finding, LoginStep, MediaNeed, Part, Progress
from yizhan.platforms.adapter import Adapter as BaseAdapter
from yizhan.platforms.kit.media_rules import MediaRule
from yizhan.platforms.webwechat import convert
from yizhan.platforms.webwechat.client.calls import WebWx
from yizhan.platforms.webwechat.client.contacts import Contacts
from yizhan.platforms.webwechat.client.downloads import download_call
from yizhan.platforms.webwechat.client.login import QrLogin
from yizhan.platforms.webwechat.client.receive import Receiver
from yizhan.platforms.webwechat.client.session import dump_session, load_session
from yizhan.platforms.webwechat.client.uploads import UploadedMedia, Uploads
from yizhan.platforms.webwechat.convert import Draft, client_message_id
from yizhan.platforms.webwechat.wire.base import SYSTEM_ERROR
from yizhan.platforms.webwechat.wire.sending import Outgoing
from yizhan.platforms.webwechat.wire.session import NotifyCode
from yizhan.wire import Endpoint

Req = TypeVar("Req", bound=Struct)
Res = TypeVar("Res")

NO_LOGIN = "login:none"
FILE_HELPER = "filehelper"
"""A receiver that every account has."""


class Adapter(BaseAdapter):
    """One web WeChat account. Its session is stored over restarts."""

    def __init__(self, context: AccountContext) -> None:
        super().__init__(context)
        self.webwx = WebWx(context.name, context.settings, context.clock)
        self._contacts = Contacts(self.webwx)
        self._uploads = Uploads(self.webwx, context.rules)
        self._receiver = Receiver(self.webwx, context.state_store, self._contacts)
        session = load_session(context.state_store.get("session"))
        if session is not None and session.home == context.settings.api_base:
            self.webwx.use(session)

    async def call(self, endpoint: Endpoint[Req, Res], request: Req) -> Res:
        """Send any call of the wire under the account's session; see `Connection.call`."""
        return await self.webwx.call(endpoint, request)

    # --- sending ---

    def compose(self, message: Message, target: Target) -> Sequence[Part]:
        if target.kind in ("user", "group"):
            # Raises for an ambiguous name, as far as the address book is known.
            self._contacts.book.find(target.kind, target.id)
        return convert.compose(message, target, self.context.rules, self._scope)

    def media_rule(self, segment: Segment, target: Target) -> MediaRule | None:
        return convert.media_rule(segment, self.context.rules)

    def session(self) -> str:
        """Return a digest of the login: a repeat under the same SendKey is recognized only within the same one."""
        return self.webwx.session.identity if self.webwx.session is not None else NO_LOGIN

    async def upload(
        self, need: MediaNeed, content: Content, target: Target, progress: Progress | None = None
    ) -> Handle:
        placed = await self._uploads.upload(need, content, await self._upload_receiver(target), progress)
        return self.handle(msgspec.json.encode(placed).decode(), need)

    async def _upload_receiver(self, target: Target) -> str:
        """Return the first receiver's UserName; others share the upload, so an unknown name must not fail it."""
        try:
            return await self._contacts.user_name(target)
        except (TargetGone, UnknownTarget):
            return FILE_HELPER

    async def send(
        self, part: Part, handles: Mapping[MediaNeed, Handle], target: Target, key: SendKey, message: Message
    ) -> PlatformId:
        session = self.webwx.ready
        draft: Draft = part.body
        to = await self._contacts.user_name(target)
        mentions = await self._mentions(draft, to)
        if self.webwx.session is not session:
            # The UserNames above belong to the login that has just ended.
            raise Unavailable(f"{self.context.name}: a new login began before the message was sent; it is tried again.")
        placed = UploadedMedia("")
        if part.needs:
            placed = msgspec.json.decode(handles[part.needs[0]].token, type=UploadedMedia)
        client_id = client_message_id(key)
        msg = draft.outgoing(session.me, to, client_id, placed.media_id, placed.signature)
        if mentions:
            msg.MsgSource = mentions
        sent = await self._send(draft, msg, with_media=bool(part.needs))
        return self.sent(sent, draft.call, to=to, local_id=client_id, login=session.scope)

    async def _mentions(self, draft: Draft, room: str) -> str:
        if not draft.mentions:
            return ""
        await self._contacts.read_members(room)
        return convert.mentions_of(draft, self._contacts.book, room)

    async def _send(self, draft: Draft, msg: Outgoing, *, with_media: bool) -> str:
        try:
            sent = await self.webwx.send(draft.call, msg, draft.scene)
        except PlatformError as error:
            if with_media and _is_system_error(error):
                # The service has one code for everything; with a MediaId it mostly means that this one has ended.
                raise HandleExpired(
                    str(error), fault=error.fault, account=error.account, endpoint=error.endpoint
                ) from error
            raise
        return sent.MsgID

    async def recall(self, sent: PlatformId, target: Target, receipt: Receipt) -> None:
        """Withdraw a message.

        Raises:
            NotAllowed: it is older than two minutes, or was sent in an earlier login.
        """
        extra = sent.extra
        if extra.get("login") != self.webwx.ready.scope:
            raise NotAllowed(
                f"{self.context.name}: {target}: it was sent in an earlier login; only the phone can withdraw it now.",
                account=self.context.name,
            )
        try:
            await self.webwx.webwxrevokemsg(sent.id, str(extra.get("to", "")), str(extra.get("local_id", "")))
        except PlatformError as error:
            if not _is_system_error(error):
                raise
            seconds = self.context.rules.number("recall.seconds")
            raise NotAllowed(
                f"{self.context.name}: {target}: not withdrawn: {error.fault}. "
                f"Web WeChat withdraws own messages within {seconds} seconds.",
                fault=error.fault,
                account=self.context.name,
                endpoint=error.endpoint,
            ) from error

    async def mark_read(self, target: Target) -> None:
        await self.webwx.webwxstatusnotify(NotifyCode.READ, await self._contacts.user_name(target))

    # --- receiving ---

    def events(self) -> AsyncIterator[Event]:
        return self._receiver.events()

    async def open_reference(self, reference: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Yield the bytes of received media, by the `reference` of its `Forward` segment.

        Raises:
            Unsupported: the reference has no bytes, or is from an earlier login.
            Rejected: the service no longer has the bytes.
        """
        session = self.webwx.ready
        if reference.get("scope") != session.scope:
            raise Unsupported(
                f"{self.context.name}: it was received in an earlier login and cannot be fetched any more."
            )
        found = download_call(reference, session)
        if found is None:
            raise Unsupported(
                f"{self.context.name}: a message of type {reference.get('msg_type')} has no bytes to fetch."
            )
        async for chunk in self.webwx.download(*found):
            yield chunk

    # --- the account ---

    async def login(self, show: Callable[[LoginStep], None]) -> str:
        """Resume the stored session, or get a new one by the phone."""
        if self.webwx.session is not None:
            try:
                await self._resume()
                return self._identity
            except LoginNeeded:
                # Its cookies still identify the browser, so that the phone may confirm without a QR code.
                pass
        session = await QrLogin(self.webwx, show).run()
        self._contacts.forget()
        # A position in the old login's stream has no meaning in the new one.
        await self.context.state_store.put("sync", None)
        self.webwx.use(session)
        inited = await self.webwx.webwxinit()
        self._contacts.book.add(inited.ContactList)
        await self.context.state_store.put("session", dump_session(session))
        await self.webwx.webwxstatusnotify(NotifyCode.INITED, session.me)
        await self._receiver.start_at(inited.SyncKey)
        show(LoginStep("confirmed", self._identity))
        return self._identity

    async def logout(self) -> None:
        """End the session here and at the service."""
        if self.webwx.session is not None:
            await self.webwx.webwxlogout()
        self.webwx.use(None)
        self._contacts.forget()
        await self.context.state_store.put("session", None)
        await self.context.state_store.put("sync", None)

    async def check(self) -> Sequence[Finding]:
        remedy = f"yizhan login {self.context.name}"
        if self.webwx.session is None:
            return [Finding("login", False, "never logged in", remedy)]
        try:
            await self._resume()
        except LoginNeeded as error:
            return [Finding("login", False, str(error.fault or error), remedy)]
        except PlatformError as error:
            return [Finding("service", False, str(error), "Look at the network and at base_url.")]
        return [Finding("login", True, self._identity)]

    async def close(self) -> None:
        await self.webwx.caller.close()

    @property
    def _scope(self) -> str:
        return self.webwx.session.scope if self.webwx.session is not None else NO_LOGIN

    @property
    def _identity(self) -> str:
        session = self.webwx.ready
        return f"{session.nick or session.me} (uin {session.uin})"

    async def _resume(self) -> None:
        """Check that the stored session is still valid, and store its changes."""
        session = self.webwx.ready
        inited = await self.webwx.webwxinit()
        self._contacts.book.add(inited.ContactList)
        await self.context.state_store.put("session", dump_session(session))
        if self._receiver.position() is None:
            await self._receiver.start_at(inited.SyncKey)
        self._receiver.login_changed()


def _is_system_error(error: PlatformError) -> bool:
    return error.fault is not None and error.fault.row.code == SYSTEM_ERROR.code
