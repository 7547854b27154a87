"""Stored images for Markdown, and the check of the pictures in a message."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from yizhan.http.loopback_fetch import NotFetched, fetch_loopback
from yizhan.http.router import Call
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.server.access import Access
from yizhan.platforms.qqbot.server.chunks import storage_error
from yizhan.platforms.qqbot.server.files import Files
from yizhan.platforms.qqbot.server.formats import format_of
from yizhan.platforms.qqbot.server.state import ServerState
from yizhan.platforms.qqbot.wire import faults, foreign
from yizhan.platforms.qqbot.wire.envelope import trace
from yizhan.wire import Fault, HttpResponse
from yizhan.world import Blob

PAGE = 20
SCHEME = "qqbot-media://image/v1/"
_SHOWN = re.compile(r"!\[[^\]]*\]\(\s*([^)\s]+)")
"""The address of a picture in Markdown."""


@dataclass(slots=True)
class PendingImage:
    """An announced picture."""

    content_type: str
    size: int
    sign: str
    blob: Blob | None = None


@dataclass(slots=True)
class SavedImage:
    image: foreign.StoredImage
    expires_at: float


class Images:
    def __init__(self, state: ServerState, access: Access, files: Files) -> None:
        self.state = state
        self.files = files
        self.pending: dict[str, PendingImage] = {}
        self.stored: dict[str, SavedImage] = {}
        access.serve(wire.PREPARE_IMAGE, self.prepare)
        state.router.add(wire.PUT_IMAGE, self.put)
        access.serve(wire.COMPLETE_IMAGE, self.complete)
        access.serve(wire.LIST_IMAGES, self.listed)
        access.serve(wire.DELETE_IMAGE, self.delete)

    def reset(self) -> None:
        self.pending.clear()
        self.stored.clear()

    async def prepare(self, call: Call[foreign.PrepareImage]) -> foreign.PreparedImage:
        request, rules = call.request, self.state.rules
        if len(self._unexpired()) >= rules.number("images.count"):
            raise Fault(faults.IMAGES_FULL)
        if not 0 < request.file_size <= rules.number("images.max_bytes"):
            raise Fault(faults.FILE_TOO_LARGE)
        if request.content_type.removeprefix("image/") not in rules.words("images.formats"):
            raise Fault(faults.FORMAT_WRONG)
        upload_id, sign = f"image_{self.state.world.hex(24)}", self.state.world.hex(16)
        self.pending[upload_id] = PendingImage(request.content_type, request.file_size, sign)
        return foreign.PreparedImage(upload_id, f"{call.base_url}/cos-images/{upload_id}?sign={sign}", 600)

    async def put(self, call: Call[foreign.PutImage]) -> HttpResponse:
        """Take the bytes of an announced picture. Its address is signed for one Content-Type; another is refused."""
        pending = self.pending.get(call.request.upload_id)
        if pending is None or call.request.sign != pending.sign or call.request.content_type != pending.content_type:
            return storage_error(403, b"AccessDenied")
        blob = call.request.body
        if not isinstance(blob, Blob) or blob.size != pending.size:
            return storage_error(400, b"EntitySizeMismatch")
        pending.blob = blob
        return HttpResponse(200, [("ETag", f'"{blob.md5}"'), trace()])

    async def complete(self, call: Call[foreign.CompleteImage]) -> foreign.StoredImage:
        pending = self.pending.get(call.request.upload_id)
        if pending is None or pending.blob is None:
            raise Fault(faults.BAD_FORM_BODY, "upload_id无效")
        if call.request.md5 and call.request.md5.lower() != pending.blob.md5:
            raise Fault(faults.BAD_FORM_BODY, "md5不符")
        if format_of(pending.blob.head()) not in self.state.rules.words("images.formats"):
            raise Fault(faults.FORMAT_WRONG)
        del self.pending[call.request.upload_id]
        image_id = self.state.world.hex(32)
        preview = f"{call.base_url}/qqmedia/{self.files.offer(pending.blob)}"
        ttl = self.state.rules.number("images.ttl_seconds")
        image = foreign.StoredImage(image_id, SCHEME + self.state.world.hex(40), ttl, preview)
        self.stored[image_id] = SavedImage(image, self.state.now() + ttl)
        return image

    async def listed(self, call: Call[foreign.ListImages]) -> foreign.StoredImages:
        cursor = call.request.cursor
        start = int(cursor) if cursor.isdecimal() and len(cursor) < 9 else 0
        found = [stored.image for stored in self._unexpired()]
        following = str(start + PAGE) if start + PAGE < len(found) else ""
        return foreign.StoredImages(found[start : start + PAGE], following, len(found))

    async def delete(self, call: Call[foreign.DeleteImage]) -> foreign.Deleted:
        if self.stored.pop(call.request.image_id, None) is None:
            raise Fault(faults.IMAGE_UNKNOWN)
        return foreign.Deleted()

    async def show(self, markdown: dict[str, Any]) -> None:
        """Check the pictures of a message, and renew the life of the stored ones among them.

        Raises:
            Fault: one cannot be fetched, and the message asks to fail then.
        """
        strict = bool(markdown.get("force_verify_image_resource"))
        for address in dict.fromkeys(_SHOWN.findall(str(markdown.get("content") or ""))):
            found = self._used(address) if address.startswith(SCHEME) else not strict or await self._fetches(address)
            if strict and not found:
                raise Fault(faults.MARKDOWN_IMAGE_LOST)

    def _used(self, address: str) -> bool:
        found = next((stored for stored in self._unexpired() if stored.image.url == address), None)
        if found is not None:
            found.expires_at = self.state.now() + self.state.rules.number("images.ttl_seconds")
        return found is not None

    async def _fetches(self, address: str) -> bool:
        try:
            async for _ in fetch_loopback(address, self.state.rules.number("images.max_bytes")):
                pass
        except NotFetched:
            return False
        return True

    def _unexpired(self) -> list[SavedImage]:
        now = self.state.now()
        self.stored = {image_id: stored for image_id, stored in self.stored.items() if stored.expires_at > now}
        return list(self.stored.values())
