"""The simulated CDN: places for uploads, ciphertext in and out. Bytes are kept plain, to show what arrived."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from yizhan.http.router import Call
from yizhan.model import Content
from yizhan.platforms.ilink import wire
from yizhan.platforms.ilink.server.bots import Bots
from yizhan.platforms.ilink.server.state import Slot, Stored
from yizhan.platforms.ilink.wire.crypt import BadCiphertext, Enciphered, deciphered, hex_key, padded_size
from yizhan.platforms.kit.server import SandboxServer
from yizhan.wire import Fault
from yizhan.world import Blob

_REQUIRED = ("to_user_id", "media_type", "rawsize", "rawfilemd5", "filesize", "aeskey")


class Cdn:
    """Uploads and their slots, by the parameter that messages name."""

    def __init__(self, server: SandboxServer, bots: Bots) -> None:
        self._server = server
        self._bots = bots
        self.slots: dict[str, Slot] = {}
        self.stored: dict[str, Stored] = {}

    def clear(self) -> None:
        self.slots.clear()
        self.stored.clear()

    def shelve(self, media: Blob, kind: str) -> tuple[str, bytes]:
        """Store media that a person sends; return the parameter and the key that the message will name."""
        key = self._server.world.random.randbytes(16)
        before = next((s for s in self.stored.values() if s.plain is media and not s.user), None)
        wrong = before is not None and kind == "file" and self._server.rules["cdn.wrong_key"]
        param = self._param()
        self.stored[param] = Stored(media, before.key if before and wrong else key)
        return param, key

    def _param(self) -> str:
        """Return some hundred characters with `+`, `/` and `=` in them, which addresses have to encode."""
        return base64.b64encode(self._server.world.random.randbytes(361)).decode()

    @staticmethod
    def _received(param: str) -> str:
        """Return the parameter that an address meant.

        A published client leaves `+` unencoded. Read as a form it is a blank, which no parameter contains.
        """
        return param.replace(" ", "+")

    async def get_upload_url(self, call: Call[wire.GetUploadUrl]) -> wire.UploadUrl:
        bot = self._bots.asking(call)
        request = call.request
        key = self._checked(request)
        user = self._bots.chat(bot, request.to_user_id).user
        wants_thumb = not request.no_need_thumb
        if not request.filekey or (wants_thumb and request.thumb_rawsize is None):
            # As the service does it (thread Lingtai-AI/lingtai#82): success without any address.
            return wire.UploadUrl()

        def new_slot(plain_size: int | None, md5: str | None, sealed_size: int | None) -> Slot:
            filekey = request.filekey or ""
            slot = Slot(self._param(), bot.id, user, filekey, key, plain_size, md5 or "", sealed_size)
            self.slots[slot.param] = slot
            return slot

        own = new_slot(request.rawsize, request.rawfilemd5, request.filesize)
        answer = wire.UploadUrl(self._url(call, own))
        if self._server.rules["getuploadurl.upload_param"]:
            answer.upload_param = own.param
        if wants_thumb:
            # Thumbnails come under the same key and filekey; clients re-encode them, so their size is not checked.
            thumb = new_slot(None, request.thumb_rawfilemd5, request.thumb_filesize)
            answer.thumb_upload_param, answer.thumb_upload_full_url = thumb.param, self._url(call, thumb)
        return answer

    def _checked(self, request: wire.GetUploadUrl) -> bytes:
        """Return the key of a request for an upload address.

        Raises:
            Fault: a required field is missing or wrong.
        """
        missing = [name for name in _REQUIRED if getattr(request, name) is None]
        if missing or request.media_type not in wire.MEDIA_TYPES.values():
            raise Fault(wire.INVALID_ARGUMENTS, data=f"missing: {missing or 'a media_type from 1 to 4'}")
        size = request.rawsize or 0
        if size < 0 or request.filesize != padded_size(size):
            raise Fault(wire.INVALID_ARGUMENTS, data=f"filesize for {size} bytes is {padded_size(max(0, size))}")
        try:
            return hex_key(request.aeskey or "")
        except ValueError as error:
            raise Fault(wire.INVALID_ARGUMENTS, data=f"aeskey: {error}") from error

    def _url(self, call: Call[Any], slot: Slot) -> str:
        query = f"encrypted_query_param={quote(slot.param, safe='')}&filekey={quote(slot.filekey, safe='')}"
        return f"{call.base_url}{wire.CDN_UPLOAD.path}?{query}&taskid={self._server.world.hex(16)}"

    async def upload(self, call: Call[wire.CdnUpload]) -> Any:
        """Store a ciphertext. The same address may be used again: clients repeat after an error."""
        slot = self.slots.get(self._received(call.request.encrypted_query_param))
        if slot is None or call.request.filekey not in (None, slot.filekey):
            raise Fault(wire.CDN_PARAM, data="no upload address has that parameter and filekey")
        sealed = call.request.body
        size = getattr(sealed, "size", 0)
        if not size or slot.sealed_size not in (None, size):
            raise Fault(
                wire.CDN_PARAM, "size mismatch", data=f"{size} bytes arrived, {slot.sealed_size} were announced"
            )
        plain = await self._decipher(sealed, slot)
        param = self._param()
        self.stored[param] = Stored(plain, slot.key, slot.bot, slot.user)
        self.stored[slot.param] = Stored(plain, slot.key, slot.bot, slot.user, usable=False)
        answer = wire.CDN_ENVELOPE.wrap(call.endpoint, b"")
        answer.headers = [*answer.headers, ("x-encrypted-param", param)]
        return answer

    async def _decipher(self, sealed: Content, slot: Slot) -> Blob:
        """Return the plain bytes of an upload.

        Raises:
            Fault: it cannot be deciphered, or differs from what was announced.
        """
        try:
            plain = await self._server.world.blobs.keep(deciphered(sealed.chunks(), slot.key))
        except BadCiphertext as error:
            raise Fault(wire.CDN_PARAM, "decrypt failed", data=str(error)) from error
        if slot.plain_size not in (None, plain.size):
            raise Fault(wire.CDN_PARAM, "size mismatch", data=f"{plain.size} plain bytes, not {slot.plain_size}")
        if slot.plain_md5 and slot.plain_md5.lower() != plain.md5:
            raise Fault(wire.CDN_PARAM, "md5 mismatch", data=f"the plain bytes have the md5 {plain.md5}")
        return plain

    async def download(self, call: Call[wire.CdnDownload]) -> Any:
        stored = self.stored.get(self._received(call.request.encrypted_query_param))
        if stored is None:
            raise Fault(wire.CDN_PARAM, data="nothing is stored under that parameter")
        return Enciphered(stored.plain, stored.key)
