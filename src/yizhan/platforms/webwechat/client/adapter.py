"""The client end: one personal account, by way of the browser edition's calls."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from yizhan.errors import (
    HandleExpired,
    LoginNeeded,
    NotAllowed,
    OutcomeUnknown,
    PlatformError,
    Unavailable,
    Unsupported,
    WireMismatch,
)
from yizhan.model import (
    Content,
    Event,
    Handle,
    Message,
    PlatformId,
    Receipt,
    Segment,
    SendKey,
    Slice,
    Target,
)
from yizhan.platforms.adapter import AccountContext, Finding, Limit, LoginStep, MediaNeed, Part, Progress
from yizhan.platforms.kit.media_rules import MediaRule
from yizhan.platforms.webwechat import convert, wire
from yizhan.platforms.webwechat.client.calls import WebWx
from yizhan.platforms.webwechat.client.login import QrLogin
from yizhan.platforms.webwechat.client.receive import Receiver
from yizhan.platforms.webwechat.client.saved import Saved, dump_saved, load_saved
from yizhan.platforms.webwechat.convert import Draft
from yizhan.platforms.webwechat.convert.book import Book
from yizhan.platforms.webwechat.wire.base import SYSTEM_ERROR
from yizhan.platforms.webwechat.wire.content import encry_name
from yizhan.platforms.webwechat.wire.sending import Outgoing
from yizhan.platforms.webwechat.wire.session import INITED, READ
from yizhan.runtime.single_flight import SingleFlight
from yizhan.wire import FormPart
from yizhan.wire.filename import safe_name

UPLOAD_TO = "filehelper"
"""A MediaId is not bound to a receiver; naming one who always exists keeps it independent of any target."""
CHUNK_TRIES = 3
IN_VAIN = 3
CONTACTS_AGAIN = 30.0
"""Seconds before the address book is read again for an unknown name, once that was in vain three times in a row."""


class Adapter:
    """One web WeChat account. The login is kept over restarts; `raw` has every call under the vendor's name."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self.raw = WebWx(context.name, context.settings, context.clock)
        self._book = Book()
        self._read_at = float("-inf")
        self._in_vain = 0
        self._single: SingleFlight[None] = SingleFlight()
        self._files = 0
        self._receiver = Receiver(self.raw, context.state_store, lambda: self._book, self._fill_book)
        saved = load_saved(context.state_store.get("session"))
        if saved is not None and saved.home == context.settings.api_base:
            self.raw.use(saved)

    # --- sending ---

    def compose(self, message: Message, target: Target) -> Sequence[Part]:
        if target.kind in ("user", "group"):
            # Refuses a name that several have, as far as the address book is known by now.
            self._book.find(target.kind, target.id)
        return convert.compose(message, target, self._context.rules, self._scope)

    def media_rule(self, segment: Segment, target: Target) -> MediaRule | None:
        return convert.media_rule(segment, self._context.rules)

    def limits(self, message: Message, target: Target) -> Sequence[Limit]:
        return convert.limits(message, self._context.rules)

    async def upload(
        self, need: MediaNeed, content: Content, target: Target, progress: Progress | None = None
    ) -> Handle:
        """Place the bytes: 512 KiB at a time, one after the other; big files are asked for first."""
        media, rules = need.media, self._context.rules
        name, type_ = convert.upload_form(media, need.use)
        request = self.raw.upload_request(content.size, media.md5, UPLOAD_TO)
        placed = wire.CheckedUpload()
        if content.size > rules.number("checkupload.ask_above_bytes"):
            placed = await self.raw.webwxcheckupload(name, content.size, media.md5, UPLOAD_TO)
            request.AESKey, request.Signature = placed.AESKey, placed.Signature
        media_id = placed.MediaId or await self._upload(content, need, name, type_, request, progress)
        token = msgspec.json.encode({"media_id": media_id, "signature": placed.Signature}).decode()
        seconds = rules.number("media.seconds")
        return Handle(token, need.scope, self._context.clock.now() + seconds if seconds else None)

    async def send(
        self, part: Part, handles: Mapping[MediaNeed, Handle], target: Target, key: SendKey, message: Message
    ) -> PlatformId:
        saved = self.raw.ready
        draft: Draft = part.body
        to = await self._user_name(target)
        handle = handles[part.needs[0]] if part.needs else None
        placed = msgspec.json.decode(handle.token) if handle is not None else {}
        msg = draft.outgoing(saved.me, to, str(key.token), **placed)
        if draft.mentions:
            if self._book.lacks(to):
                self._book.add(await self.raw.webwxbatchgetcontact([to]))
            msg.MsgSource = convert.mentions_of(draft, self._book, to) or UNSET
        sent = await self._send(draft, msg, with_media=handle is not None)
        return PlatformId(sent, self._context.clock.now(), {"to": to, "local_id": str(key.token), "login": saved.scope})

    async def recall(self, sent: PlatformId, target: Target, receipt: Receipt) -> None:
        """Withdraw a message, within two minutes. NotAllowed when that is over, or the login another."""
        extra = sent.extra
        if extra.get("login") != self.raw.ready.scope:
            raise NotAllowed(
                f"{self._context.name}: {target}: it was sent in an earlier login; only the phone can withdraw it now.",
                account=self._context.name,
            )
        try:
            await self.raw.webwxrevokemsg(sent.id, str(extra.get("to", "")), str(extra.get("local_id", "")))
        except PlatformError as error:
            if error.fault is None or error.fault.row.code != SYSTEM_ERROR.code:
                raise
            seconds = self._context.rules.number("recall.seconds")
            raise NotAllowed(
                f"{self._context.name}: {target}: not withdrawn: {error.fault}. "
                f"Web WeChat withdraws own messages within {seconds} seconds.",
                fault=error.fault,
                account=self._context.name,
                endpoint=error.endpoint,
            ) from error

    async def mark_read(self, target: Target) -> None:
        await self.raw.webwxstatusnotify(READ, await self._user_name(target))

    # --- receiving ---

    def events(self) -> AsyncIterator[Event]:
        return self._receiver.events()

    async def open_reference(self, reference: dict[str, Any]) -> AsyncIterator[bytes]:
        """Yield the bytes of something received, by the `reference` of its `Forward` segment.

        Raises:
            Unsupported: it has no bytes, or was received in an earlier login.
            Rejected: the service no longer has them.
        """
        saved = self.raw.ready
        if reference.get("scope") != saved.scope:
            raise Unsupported(
                f"{self._context.name}: it was received in an earlier login, and cannot be fetched any more."
            )
        msg_id = str(reference.get("msg_id", ""))
        found = _download(reference, msg_id, saved)
        if found is None:
            raise Unsupported(
                f"{self._context.name}: a message of type {reference.get('msg_type')} has no bytes to fetch."
            )
        async for chunk in self.raw.download(*found):
            yield chunk

    # --- the account ---

    async def login(self, show: Callable[[LoginStep], None]) -> str:
        """Take up the stored session, or get a new one by the phone."""
        if self.raw.saved is not None:
            try:
                await self._take_up()
                return self._identity
            except LoginNeeded:
                # It has ended. Its cookies still name the browser, so that the phone may be asked without a code.
                pass
        saved = await QrLogin(self.raw, show).run()
        self._forget_names()
        # Where the old login stood in its stream means nothing in the new one.
        await self._context.state_store.put("sync", None)
        self.raw.use(saved)
        inited = await self.raw.webwxinit()
        self._book.add(inited.ContactList)
        await self._context.state_store.put("session", dump_saved(saved))
        await self.raw.webwxstatusnotify(INITED, saved.me)
        await self._receiver.start_at(inited.SyncKey)
        show(LoginStep("confirmed", self._identity))
        return self._identity

    async def logout(self) -> None:
        """End the login here and at the service."""
        if self.raw.saved is not None:
            await self.raw.webwxlogout()
        self.raw.use(None)
        self._forget_names()
        await self._context.state_store.put("session", None)
        await self._context.state_store.put("sync", None)

    async def check(self) -> Sequence[Finding]:
        remedy = f"yizhan login {self._context.name}"
        if self.raw.saved is None:
            return [Finding("login", False, "never logged in", remedy)]
        try:
            await self._take_up()
        except LoginNeeded as error:
            return [Finding("login", False, str(error.fault or error), remedy)]
        except PlatformError as error:
            return [Finding("service", False, str(error), "Look at the network and at base_url.")]
        return [Finding("login", True, self._identity)]

    async def close(self) -> None:
        await self.raw.caller.close()

    # --- inside ---

    @property
    def _scope(self) -> str:
        return self.raw.saved.scope if self.raw.saved is not None else "login:none"

    @property
    def _identity(self) -> str:
        saved = self.raw.ready
        return f"{saved.nick or saved.me} (uin {saved.uin})"

    async def _take_up(self) -> None:
        """See whether the stored session is still good, and learn what is newer."""
        saved = self.raw.ready
        inited = await self.raw.webwxinit()
        self._book.add(inited.ContactList)
        await self._context.state_store.put("session", dump_saved(saved))
        if self._receiver.position() is None:
            await self._receiver.start_at(inited.SyncKey)
        self._receiver.logged_in.set()

    def _forget_names(self) -> None:
        self._book = Book()
        self._read_at = float("-inf")

    async def _send(self, draft: Draft, msg: Outgoing, *, with_media: bool) -> str:
        try:
            sent = await self.raw.send(draft.call, msg, draft.scene)
        except PlatformError as error:
            code = error.fault.row.code if error.fault is not None else None
            if with_media and code == SYSTEM_ERROR.code:
                # The service has one code for everything; with a MediaId it most often means that this one died.
                raise HandleExpired(
                    str(error), fault=error.fault, account=error.account, endpoint=error.endpoint
                ) from error
            raise
        if sent.MsgID in ("", "0"):
            raise OutcomeUnknown(
                f"{self._context.name}: {draft.call} answered Ret 0 without a MsgID.",
                account=self._context.name,
                endpoint=draft.call,
            )
        return sent.MsgID

    async def _upload(
        self,
        content: Content,
        need: MediaNeed,
        name: str,
        type_: str,
        request: wire.UploadMediaRequest,
        progress: Progress | None,
    ) -> str:
        size, step = content.size, self._context.rules.number("upload.chunk_bytes")
        chunks = max(1, -(-size // step))
        self._files += 1
        answer = wire.UploadedMedia()
        # One after the other: the page's own uploader has a single thread, and the answer to the last has the MediaId.
        for chunk in range(chunks):
            piece = content if chunks == 1 else Slice(content, chunk * step, (chunk + 1) * step)
            form = wire.UploadMedia(
                id=f"WU_FILE_{self._files - 1}",
                name=name,
                type=type_,
                lastModifiedDate=_date(self._context.clock.now()),
                size=size,
                chunks=chunks if chunks > 1 else UNSET,
                chunk=chunk if chunks > 1 else UNSET,
                mediatype=need.use,
                uploadmediarequest=request,
                filename=FormPart("filename", piece, safe_name(name), type_),
            )
            answer = await self._upload_one(form, progress)
        if not answer.MediaId:
            raise WireMismatch(
                f"{self._context.name}: the upload of {name} ({chunks} parts) ended without a MediaId.",
                account=self._context.name,
                endpoint=wire.UPLOAD_MEDIA.name,
            )
        return answer.MediaId

    async def _upload_one(self, form: wire.UploadMedia, progress: Progress | None) -> wire.UploadedMedia:
        """A part may be repeated: the service joins by ClientMediaId and number."""
        for attempt in range(1, CHUNK_TRIES + 1):
            try:
                return await self.raw.webwxuploadmedia(form, progress)
            except Unavailable:
                if attempt == CHUNK_TRIES:
                    raise
                await self._context.clock.sleep(0.3 * attempt)
        raise AssertionError("unreachable")

    async def _user_name(self, target: Target) -> str:
        """Return the session's UserName for a target.

        Raises:
            UnknownTarget: several are called that.
            TargetGone: nobody is.
        """
        found = self._book.find(target.kind, target.id)
        if found is None and self._may_read_again():
            await self._fill_book()
            found = self._book.find(target.kind, target.id)
            self._in_vain = 0 if found is not None else self._in_vain + 1
        if found is None:
            raise self._book.nobody(self._context.name, target.kind, target.id)
        return found

    def _may_read_again(self) -> bool:
        """A name may be new, so the address book is read again; but not for every one of many that do not exist."""
        return self._in_vain < IN_VAIN or self._context.clock.now() - self._read_at > CONTACTS_AGAIN

    async def _fill_book(self) -> None:
        await self._single.do(self.raw.ready.sid, self._read_contacts)

    async def _read_contacts(self) -> None:
        book = self._book
        if not book.complete:
            # Rooms that are not saved to the address book are known from here only.
            book.add((await self.raw.webwxinit()).ContactList)
        book.add(await self.raw.webwxgetcontact())
        book.complete = True
        self._read_at = self._context.clock.now()


def _download(reference: Mapping[str, Any], msg_id: str, saved: Saved) -> tuple[Any, Any] | None:
    match reference.get("msg_type"):
        case 3:
            return wire.GET_IMAGE, wire.GetImage(MsgID=msg_id, skey=saved.skey)
        case 47:
            return wire.GET_IMAGE, wire.GetImage(MsgID=msg_id, skey=saved.skey, type="big")
        case 34:
            return wire.GET_VOICE, wire.GetVoice(msgid=msg_id, skey=saved.skey, range="bytes=0-")
        case 43 | 62:
            return wire.GET_VIDEO, wire.GetVideo(msgid=msg_id, skey=saved.skey, range="bytes=0-")
        case 49 if reference.get("media_id"):
            return wire.GET_MEDIA, wire.GetMedia(
                sender=str(reference.get("sender", "")),
                mediaid=str(reference["media_id"]),
                encryfilename=encry_name(str(reference.get("file_name", ""))),
                fromuser=saved.uin,
                pass_ticket=saved.pass_ticket,
                webwx_data_ticket=saved.cookies.get("webwx_data_ticket", ""),
            )
    return None


def _date(now: float) -> str:
    return time.strftime("%a %b %d %Y %H:%M:%S GMT+0800 (CST)", time.gmtime(now + 8 * 3600))
