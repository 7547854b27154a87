"""Stored images for Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from yizhan.net.router import Call
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.server.chunks import storage_says
from yizhan.platforms.qqbot.server.formats import format_of
from yizhan.platforms.qqbot.wire import faults, images
from yizhan.platforms.qqbot.wire.envelope import trace
from yizhan.wire import Fault, HttpResponse
from yizhan.world import Blob

if TYPE_CHECKING:
    from yizhan.platforms.qqbot.server import Server

PAGE = 20


@dataclass(slots=True)
class Begun:
    """A picture that has been announced."""

    content_type: str
    size: int
    sign: str
    blob: Blob | None = None


class Images:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.begun: dict[str, Begun] = {}
        self.stored: dict[str, images.StoredImage] = {}
        server.serve(wire.PREPARE_IMAGE, self.prepare)
        server.router.add(wire.PUT_IMAGE, self.put)
        server.serve(wire.COMPLETE_IMAGE, self.complete)
        server.serve(wire.LIST_IMAGES, self.list)
        server.serve(wire.DELETE_IMAGE, self.delete)

    def reset(self) -> None:
        self.begun.clear()
        self.stored.clear()

    async def prepare(self, call: Call[images.PrepareImage]) -> images.PreparedImage:
        request, rules = call.request, self.server.rules
        if len(self.stored) >= rules.number("images.count"):
            raise Fault(faults.IMAGES_FULL)
        if not 0 < request.file_size <= rules.number("images.max_bytes"):
            raise Fault(faults.FILE_TOO_LARGE)
        if request.content_type.removeprefix("image/") not in rules.words("images.formats"):
            raise Fault(faults.FORMAT_WRONG)
        upload_id, sign = f"image_{self.server.world.hex(24)}", self.server.world.hex(16)
        self.begun[upload_id] = Begun(request.content_type, request.file_size, sign)
        return images.PreparedImage(upload_id, f"{call.base_url}/cos-images/{upload_id}?sign={sign}", 600)

    async def put(self, call: Call[images.PutImage]) -> HttpResponse:
        """The address was signed for one Content-Type; another is refused."""
        begun = self.begun.get(call.request.upload_id)
        if begun is None or call.request.sign != begun.sign or call.request.content_type != begun.content_type:
            return storage_says(403, b"AccessDenied")
        blob = call.request.body
        if not isinstance(blob, Blob) or blob.size != begun.size:
            return storage_says(400, b"EntitySizeMismatch")
        begun.blob = blob
        return HttpResponse(200, [("ETag", f'"{blob.md5}"'), trace()])

    async def complete(self, call: Call[images.CompleteImage]) -> images.StoredImage:
        begun = self.begun.get(call.request.upload_id)
        if begun is None or begun.blob is None:
            raise Fault(faults.BAD_FORM_BODY, "upload_id无效")
        if call.request.md5 and call.request.md5.lower() != begun.blob.md5:
            raise Fault(faults.BAD_FORM_BODY, "md5不符")
        if format_of(begun.blob.head()) not in self.server.rules.words("images.formats"):
            raise Fault(faults.FORMAT_WRONG)
        del self.begun[call.request.upload_id]
        image_id = self.server.world.hex(32)
        preview = f"{call.base_url}/qqmedia/{self.server.files.offer(begun.blob)}"
        ttl = self.server.rules.number("images.ttl_seconds")
        stored = images.StoredImage(image_id, f"qqbot-media://image/v1/{self.server.world.hex(40)}", ttl, preview)
        self.stored[image_id] = stored
        return stored

    async def list(self, call: Call[images.ListImages]) -> images.StoredImages:
        cursor = call.request.cursor
        start = int(cursor) if cursor.isdecimal() and len(cursor) < 9 else 0
        found = list(self.stored.values())
        following = str(start + PAGE) if start + PAGE < len(found) else ""
        return images.StoredImages(found[start : start + PAGE], following, len(found))

    async def delete(self, call: Call[images.DeleteImage]) -> images.Deleted:
        if self.stored.pop(call.request.image_id, None) is None:
            raise Fault(faults.IMAGE_UNKNOWN)
        return images.Deleted()
