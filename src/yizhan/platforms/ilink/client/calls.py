"""The raw calls of one bot, named as the vendor's own client names them, with headers and `base_info` filled in."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from yizhan.errors import LoginNeeded, Rejected, Unavailable, WireMismatch
from yizhan.http.client import Caller
from yizhan.model import Content
from yizhan.platforms.ilink import Settings, wire
from yizhan.platforms.ilink.wire.crypt import BadCiphertext, deciphered
from yizhan.wire import Endpoint, HttpResponse

Res = TypeVar("Res")

UPLOAD_TRIES = 3


class Session(msgspec.Struct, frozen=True):
    """The result of a confirmed login."""

    bot_token: str
    bot_id: str
    user_id: str
    api: str
    """The address that serves this bot, as the login said."""
    begun_at: str
    """The address at which the login began. A session is good for it only, so that no token goes to a sandbox that the
    account was pointed to meanwhile, nor a sandbox's token to the vendor."""

    @property
    def identity(self) -> str:
        """A digest of address, bot and token: the service recognizes a repeated `client_id` only within them."""
        parts = (self.begun_at, self.api, self.bot_id, self.bot_token)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


class Calls:
    """`session` is None before the first login; calls that need a token raise LoginNeeded then."""

    def __init__(self, account: str, settings: Settings) -> None:
        self.account = account
        self.settings = settings
        self.session: Session | None = None
        self.caller = Caller(account, {"api": settings.api_base, "cdn": settings.cdn_base}, proxy=settings.proxy)
        self._base_info = wire.BaseInfo(wire.CHANNEL_VERSION, settings.bot_agent[:256] or None)

    def use(self, session: Session | None) -> None:
        """Make the following calls as the bot of `session`."""
        self.session = session
        self.caller.bases["api"] = session.api if session else self.settings.api_base

    # --- login ---

    async def get_bot_qrcode(self, tokens: Sequence[str] = ()) -> wire.QrCode:
        """Begin a login. `tokens`: those of this installation, so that the platform can answer "already bound"."""
        self.caller.bases["login"] = self.settings.api_base
        headers = wire.post_headers(_uint32(), route_tag=self.settings.route_tag)
        request = wire.QrStart(wire.BOT_TYPE, list(tokens[:10]))
        return await self.caller.call(wire.GET_BOT_QRCODE, request, headers=headers)

    async def get_qrcode_status(self, qrcode: str, verify_code: str | None = None) -> wire.QrStatus:
        """Wait for a change; the platform holds the request for up to 35 seconds."""
        headers = wire.app_headers(self.settings.route_tag)
        return await self.caller.call(wire.GET_QRCODE_STATUS, wire.QrPoll(qrcode, verify_code), headers=headers)

    def follow(self, host: str) -> None:
        """Continue the login at `host`: the account is in another data center."""
        scheme = self.settings.api_base.partition("://")[0]
        self.caller.bases["login"] = f"{scheme}://{host}"

    # --- messages ---

    async def get_updates(self, cursor: str, timeout: float) -> wire.Updates:
        """Wait for messages, `timeout` seconds at most."""
        endpoint = wire.GET_UPDATES
        if endpoint.timeout != timeout:
            endpoint = replace(endpoint, timeout=timeout)
        return await self._post(endpoint, wire.GetUpdates(cursor, self._base_info))

    async def send_message(self, message: wire.WeixinMessage) -> wire.Sent:
        return await self._post(wire.SEND_MESSAGE, wire.SendMessage(message, self._base_info))

    async def get_config(self, user: str, context_token: str | None = None) -> wire.Config:
        return await self._post(wire.GET_CONFIG, wire.GetConfig(user, context_token, self._base_info))

    async def send_typing(self, user: str, ticket: str, status: int = wire.TYPING) -> wire.Done:
        return await self._post(wire.SEND_TYPING, wire.SendTyping(user, ticket, status, self._base_info))

    async def notify_start(self) -> wire.Done:
        return await self._post(wire.NOTIFY_START, wire.Notify(self._base_info))

    async def notify_stop(self) -> wire.Done:
        return await self._post(wire.NOTIFY_STOP, wire.Notify(self._base_info))

    # --- media ---

    async def get_upload_url(self, request: wire.GetUploadUrl) -> wire.UploadUrl:
        return await self._post(wire.GET_UPLOAD_URL, msgspec.structs.replace(request, base_info=self._base_info))

    async def cdn_upload(
        self, place: wire.UploadUrl, filekey: str, body: Content, progress: Callable[[int], None] | None = None
    ) -> str:
        """Upload a ciphertext and return the CDN's name for it.

        A refusal (4xx) is final; anything else is tried three times in all, at the same address.
        """
        request = wire.CdnUpload(place.upload_param or "", filekey, body)
        for tries_left in reversed(range(UPLOAD_TRIES)):
            try:
                answer = await self.caller.exchange(
                    wire.CDN_UPLOAD, request, progress=progress, url=_address(place.upload_full_url)
                )
                self.caller.read(wire.CDN_UPLOAD, answer)
                if param := answer.header("x-encrypted-param"):
                    return param
            except Unavailable:
                if not tries_left:
                    raise
        raise Unavailable(
            f"{self.account}: the CDN accepted the upload but named no reference (x-encrypted-param is missing), "
            f"{UPLOAD_TRIES} times. Nothing was sent; a later try may succeed.",
            account=self.account,
            endpoint=wire.CDN_UPLOAD.name,
        )

    async def cdn_download(self, reference: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Yield the plain bytes of received media, by their `Forward.reference`.

        Raises:
            Rejected: the CDN no longer has them, or the key does not open them.
        """
        request = wire.CdnDownload(str(reference.get("param") or ""))
        url = _address(reference.get("url"))
        async with self.caller.stream(wire.CDN_DOWNLOAD, request, url=url) as (head, pieces):
            self.caller.read(wire.CDN_DOWNLOAD, HttpResponse(head.status, head.headers))
            async for piece in self._deciphered(pieces, reference):
                yield piece

    async def _deciphered(self, pieces: AsyncIterator[bytes], reference: Mapping[str, Any]) -> AsyncIterator[bytes]:
        key = reference.get("key")
        if not key and reference.get("type") != "image":
            raise Rejected(f"{self.account}: the message came without the key that opens its {reference.get('type')}.")
        try:
            # A picture without any key is plain on the CDN.
            async for piece in deciphered(pieces, bytes.fromhex(str(key))) if key else pieces:
                yield piece
        except (BadCiphertext, ValueError) as error:
            raise Rejected(
                f"{self.account}: the CDN's bytes cannot be deciphered: {error}. The platform is known to send wrong "
                "keys with files that it already had; ask for the file again, under another name or zipped."
            ) from error

    # --- all of them ---

    async def call(self, endpoint: Endpoint[Any, Res], request: Any) -> Res:
        """Make any call of the wire as the bot that is logged in, with `base_info` filled in."""
        if endpoint.role != "api":
            return await self.caller.call(endpoint, request)
        if "base_info" in request.__struct_fields__ and request.base_info is None:
            request = msgspec.structs.replace(request, base_info=self._base_info)
        return await self._post(endpoint, request)

    async def _post(self, endpoint: Endpoint[Any, Res], request: Any) -> Res:
        if self.session is None:
            raise LoginNeeded(f"{self.account} is not logged in. Log in by scanning a code.", account=self.account)
        headers = wire.post_headers(_uint32(), self.session.bot_token, self.settings.route_tag)
        return await self.caller.call(endpoint, request, headers=headers)

    async def close(self) -> None:
        await self.caller.close()


def _uint32() -> int:
    return secrets.randbits(32)


def _address(url: Any) -> str | None:
    """Return a complete address of the platform's; None where one has to be built."""
    if not url:
        return None
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise WireMismatch(f"the platform named {str(url)[:80]!r}, which is not an address")
    return url
