"""The adapter: one bot, which talks with the person who scanned its code."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from yizhan.errors import (
    HandleExpired,
    LoginNeeded,
    MediaFormat,
    MediaTooLarge,
    OutcomeUnknown,
    PlatformError,
    Rejected,
    Unsupported,
    WindowClosed,
)
from yizhan.model import Content, Event, Handle, Media, Message, PlatformId, Segment, SendKey, Target
from yizhan.platforms.adapter import AccountContext, Finding, Limit, LoginStep, MediaNeed, Part, Progress
from yizhan.platforms.adapter import Adapter as BaseAdapter
from yizhan.platforms.ilink import Settings, convert, wire
from yizhan.platforms.ilink.client.calls import Calls, Session
from yizhan.platforms.ilink.client.login import CodeEntry, QrLogin
from yizhan.platforms.ilink.client.poll import CURSOR, Poll
from yizhan.platforms.ilink.client.window import Windows
from yizhan.platforms.ilink.convert import Cover, Placed
from yizhan.platforms.ilink.wire.crypt import Enciphered, media_key, padded_size
from yizhan.platforms.kit.limits import length_remedy
from yizhan.platforms.kit.media_rules import MediaRule, recipe
from yizhan.wire import Endpoint

Req = TypeVar("Req", bound=Struct)
Res = TypeVar("Res")

SESSION = "session"
NO_LOGIN = "none"
"""The answer of `session()` while no bot is bound; no login has it as its digest."""
TICKET_SECONDS = 12 * 3600.0
"""How long a typing ticket is kept; the official client asks again after a random time below a day."""
NOTIFY_STOP_SECONDS = 2.0
"""How long closing waits for notifystop: a program with many bots closes them one by one."""
MAX_FRESH_UPLOADS = 10_000
"""Uploads that are remembered as new; forgetting some costs at most one more upload."""
SHORT_CHARS = 1000
"""Texts up to this length are not refused for it: the shortest limit that any published client keeps."""
_USES = {"image": 1, "video": 2, "file": 3}
"""`MediaNeed.use` to the `media_type` of getuploadurl."""


class Adapter(BaseAdapter):
    """One account. `calls` are the raw calls; `typing` and `code_entry` exist on iLink only."""

    def __init__(self, context: AccountContext) -> None:
        super().__init__(context)
        settings: Settings = context.settings
        self.rules = context.rules
        self.clock = context.clock
        self.calls = Calls(context.name, settings)
        self.code_entry = CodeEntry()
        self.calls.use(self._stored_session())
        self.poll = Poll(self.calls, context.clock, context.state_store, context.rules)
        self._fresh: dict[str, float] = {}
        self._tickets: dict[str, tuple[str, float]] = {}
        self._windows = Windows(context, self.calls)

    async def call(self, endpoint: Endpoint[Req, Res], request: Req) -> Res:
        return await self.calls.call(endpoint, request)

    # --- sending ---

    def session(self) -> str:
        """Return a digest of the login: a repeat under the same SendKey is recognized only within the same one."""
        return self.calls.session.identity if self.calls.session is not None else NO_LOGIN

    def compose(self, message: Message, target: Target) -> Sequence[Part]:
        return convert.compose(message, target, self.rules)

    def media_rule(self, segment: Segment, target: Target) -> MediaRule | None:
        return convert.media_rule(segment, self.rules)

    def limits(self, message: Message, target: Target) -> Sequence[Limit]:
        return convert.limits(self._windows.context_of(target), self.rules)

    async def upload(
        self, need: MediaNeed, content: Content, target: Target, progress: Progress | None = None
    ) -> Handle:
        session = self._session()
        self._windows.raise_if_closed(target)
        key = media_key(session.bot_token, need.media.sha256)
        sealed = Enciphered(content, key)
        filekey = secrets.token_hex(16)
        cover = await self._cover(need)
        request = wire.GetUploadUrl(
            filekey=filekey,
            media_type=_USES[need.use],
            to_user_id=target.id,
            rawsize=content.size,
            rawfilemd5=need.media.md5,
            filesize=sealed.size,
            thumb_rawsize=cover.size if cover else None,
            thumb_rawfilemd5=cover.md5 if cover else None,
            thumb_filesize=padded_size(cover.size) if cover else None,
            no_need_thumb=cover is None,
            aeskey=key.hex(),
        )
        try:
            place = await self.calls.get_upload_url(request)
        except LoginNeeded as error:
            raise self._diagnosed(error, target) from error
        if not place.upload_full_url and not place.upload_param:
            raise Rejected(f"{target}: getuploadurl named no address to upload to.", account=self.context.name)
        param = await self.calls.cdn_upload(place, filekey, sealed, progress)
        now = self.clock.now()
        if len(self._fresh) >= MAX_FRESH_UPLOADS:
            self._fresh.clear()
        self._fresh[param] = now
        placed_cover = await self._place_cover(cover, place, filekey, key) if cover else None
        token = msgspec.json.encode(Placed(param, key.hex(), placed_cover)).decode()
        return self.handle(token, need)

    async def _cover(self, need: MediaNeed) -> Media | None:
        """Return the picture of a video, if the rules ask for one and it can be made."""
        side = self.rules.number("video.cover_side")
        if need.use != "video" or not side:
            return None
        try:
            return await self.context.variant(need.media, recipe("cover", side=side))
        except (MediaFormat, MediaTooLarge):
            return None

    async def _place_cover(self, cover: Media, place: wire.UploadUrl, filekey: str, key: bytes) -> Cover | None:
        """Upload the cover to its own address; None, and so a video without a cover, where the platform gave none."""
        if not place.thumb_upload_full_url and not place.thumb_upload_param:
            return None
        sealed = Enciphered(self.context.open_media(cover.sha256), key)
        own = wire.UploadUrl(place.thumb_upload_full_url, place.thumb_upload_param)
        param = await self.calls.cdn_upload(own, filekey, sealed)
        return Cover(param, sealed.size, cover.width, cover.height)

    async def send(
        self, part: Part, handles: Mapping[MediaNeed, Handle], target: Target, key: SendKey, message: Message
    ) -> PlatformId:
        placed = [msgspec.json.decode(handles[need].token, type=Placed) for need in part.needs]
        outgoing = self._outgoing(part, placed, target, key)
        self._windows.raise_if_closed(target)
        try:
            sent = await self.calls.send_message(outgoing)
        except (LoginNeeded, WindowClosed) as error:
            upload = placed[0] if placed else None
            by_reference = upload is None and _has_media(outgoing)
            raise self._diagnosed(error, target, upload=upload, by_reference=by_reference) from error
        except Rejected as error:
            raise self._naming_the_rule(error, outgoing) from error
        if not sent.message_id:
            raise OutcomeUnknown(
                f"{target}: the platform accepted the message but named no message_id, as it does for messages that "
                "it does not deliver. Ask the person whether it arrived.",
                account=self.context.name,
                endpoint=wire.SEND_MESSAGE.name,
            )
        return self.sent(sent.message_id, wire.SEND_MESSAGE.name)

    def _outgoing(self, part: Part, placed: Sequence[Placed], target: Target, key: SendKey) -> wire.WeixinMessage:
        body: wire.WeixinMessage = part.body
        items = list(body.item_list or ())
        if placed:
            items = [convert.filled(items[0], placed[0])]
        return msgspec.structs.replace(
            body,
            from_user_id="",
            to_user_id=target.id,
            client_id=f"yizhan:{key.token}",
            message_type=wire.BOT,
            message_state=wire.FINISH,
            item_list=items,
            context_token=self._context_token(target),
        )

    def _diagnosed(
        self, error: PlatformError, target: Target, *, upload: Placed | None = None, by_reference: bool = False
    ) -> PlatformError:
        """Return the error that `error` means here: the platform has the same words for several causes.

        `upload`: the message's own upload; `by_reference`: its media are a reference from a received message.
        """
        if isinstance(error, LoginNeeded) and self.poll.healthy:
            # "session timeout" while receiving works means a lapsed window (thread NousResearch/hermes-agent#96416).
            why = "receiving works, so the window has lapsed; it opens when the person writes"
            return self._windows.record_closed(WindowClosed(f"{error} ({why})", **_known(error)), target)
        if not isinstance(error, WindowClosed):
            return error
        if self._windows.should_be_open(target):
            if upload is not None and not self._is_fresh(upload):
                why = "the window should be open, so the upload may have ended"
                return HandleExpired(f"{error} ({why})", **_known(error))
            if by_reference and self.rules.limited:
                why = "the window should be open, so the reference is refused; save the media and send them"
                return Rejected(f"{error} ({why})", **_known(error))
        return self._windows.record_closed(error, target)

    def _naming_the_rule(self, error: Rejected, outgoing: wire.WeixinMessage) -> Rejected:
        """Return a refused long text with the rule that shortens it; the platform has no own words for length."""
        texts = [item.text_item.text or "" for item in outgoing.item_list or () if item.text_item is not None]
        if error.fault is None or error.fault.row != wire.INVALID_ARGUMENTS or len("".join(texts)) <= SHORT_CHARS:
            return error
        return Rejected(f"{error} {length_remedy(self.rules)}", **_known(error))

    def _is_fresh(self, upload: Placed) -> bool:
        """Return whether an upload is younger than `handle.trusted_seconds`."""
        now, trusted = self.clock.now(), self.rules.number("handle.trusted_seconds")
        self._fresh = {param: placed_at for param, placed_at in self._fresh.items() if now - placed_at < trusted}
        return upload.param in self._fresh

    def _context_token(self, target: Target) -> str | None:
        """Return the newest token of the conversation, unless an earlier bot or another address issued it."""
        token = self._windows.context_of(target).get("context_token")
        return token if isinstance(token, str) and token else None

    async def mark_read(self, target: Target) -> None:
        raise Unsupported(f"{target}: iLink has no read marks. Show that something is coming with `typing`.")

    async def typing(self, target: Target, on: bool = True) -> None:
        """Show (or stop showing) that the bot is typing; the phone stops by itself after some seconds."""
        ticket, ends_at = self._tickets.get(target.id, ("", 0.0))
        if self.clock.now() >= ends_at:
            answer = await self.calls.get_config(target.id, self._context_token(target))
            ticket = answer.typing_ticket or ""
            if not ticket:
                raise Rejected(
                    f"{target}: getconfig gave no typing ticket. Try again later.", account=self.context.name
                )
            self._tickets[target.id] = (ticket, self.clock.now() + TICKET_SECONDS)
        try:
            await self.calls.send_typing(target.id, ticket, wire.TYPING if on else wire.TYPING_STOP)
        except Rejected:
            # The next call asks for another ticket.
            del self._tickets[target.id]
            raise

    # --- receiving ---

    def events(self) -> AsyncIterator[Event]:
        return self.poll.events()

    async def open_reference(self, reference: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Yield the bytes of received media, by their `Forward.reference`."""
        async for piece in self.calls.cdn_download(reference):
            yield piece

    # --- the account ---

    async def login(self, show: Callable[[LoginStep], None]) -> str:
        kept = self.calls.session
        if kept is not None and await self._is_alive():
            return _identity(kept)
        login = QrLogin(self.calls, self.clock, self.rules, self.code_entry, kept)
        session = await login.run(show)
        if session != kept:
            await self._store(session, kept)
        self._tickets.clear()
        self._windows.clear()
        self.poll.logged_in()
        return _identity(session)

    async def _store(self, session: Session, before: Session | None) -> None:
        # In use before it is stored, so that a late answer to the earlier bot cannot bring its cursor back.
        self.calls.use(session)
        try:
            # The old cursor holds the old token, and leaves a new login deaf (thread Good0007/nanobot-webui#51).
            await self.context.state_store.put(CURSOR, None)
            await self.context.state_store.put(SESSION, msgspec.json.encode(session))
        except BaseException:
            self.calls.use(before)
            raise

    async def check(self) -> Sequence[Finding]:
        if self.calls.session is None:
            return [Finding("login", False, "no bot is bound to this account yet", "Log in by scanning a code.")]
        try:
            alive = await self._is_alive()
        except PlatformError as error:
            return [Finding("platform", False, str(error), "Look at the address and the network.")]
        who = _identity(self.calls.session)
        if not alive:
            return [Finding("login", False, f"{who}: the token has expired", "Log in again by scanning a code.")]
        return [Finding("login", True, who)]

    async def close(self) -> None:
        if self.poll.announced and self.calls.session is not None:
            self.poll.announced = False
            # A courtesy; nothing depends on it.
            with suppress(PlatformError, TimeoutError):
                async with asyncio.timeout(NOTIFY_STOP_SECONDS):
                    await self.calls.notify_stop()
        await self.calls.close()

    async def _is_alive(self) -> bool:
        """Return whether the token is good, by a call that changes nothing."""
        try:
            await self.calls.get_config(self._session().user_id)
        except LoginNeeded:
            return False
        except Rejected:
            return True
        return True

    def _session(self) -> Session:
        if self.calls.session is None:
            raise LoginNeeded(
                f"{self.context.name} is not logged in. Log in by scanning a code.", account=self.context.name
            )
        return self.calls.session

    def _stored_session(self) -> Session | None:
        stored = self.context.state_store.get(SESSION)
        if stored is None:
            return None
        try:
            session = msgspec.json.decode(stored, type=Session)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        return session if session.begun_at == self.context.settings.api_base else None


def _known(error: PlatformError) -> dict[str, Any]:
    """Return the fields of `error` that an error in its place keeps."""
    return {"fault": error.fault, "account": error.account, "endpoint": error.endpoint}


def _has_media(message: wire.WeixinMessage) -> bool:
    """Return whether `message` carries media."""
    payloads = ("image_item", "video_item", "file_item", "voice_item")
    return any(getattr(item, name) is not None for item in message.item_list or () for name in payloads)


def _identity(session: Session) -> str:
    return f"{session.bot_id}, bound to {session.user_id or 'a person'}"
