"""Uploads in chunks: slots are handed out, parts arrive and are confirmed, and become one file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yizhan.http.router import Call
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.server.files import PlacedFile
from yizhan.platforms.qqbot.wire import faults
from yizhan.platforms.qqbot.wire.envelope import trace
from yizhan.platforms.qqbot.wire.files import (
    FILE,
    PUT_PART,
    Finished,
    FinishPart,
    PartSlot,
    Prepare,
    Prepared,
    PutPart,
    Upload,
    UploadConfig,
)
from yizhan.platforms.qqbot.wire.scenes import Scene
from yizhan.wire import Fault, HttpResponse
from yizhan.world import Blob

if TYPE_CHECKING:
    from yizhan.platforms.qqbot.server import Server

MAX_PARTS = 10_000


@dataclass(slots=True)
class UploadPart:
    index: int
    size: int
    sign: str
    blob: Blob | None = None
    finished: bool = False
    asked: int = 0
    """How often it was told to come again."""


@dataclass(slots=True)
class ChunkedUpload:
    id: str
    scene: str
    file_type: int
    name: str
    size: int
    md5: str
    slots: dict[int, UploadPart] = field(default_factory=dict)
    """By index."""


class Chunks:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.uploads: dict[str, ChunkedUpload] = {}
        for scene in wire.SCENES.values():
            self._serve(scene)
        server.router.add(PUT_PART, self.put)

    def reset(self) -> None:
        self.uploads.clear()

    def _serve(self, scene: Scene) -> None:
        async def prepare(call: Call[Prepare]) -> Prepared:
            return self.prepare(call, scene.name)

        async def finish(call: Call[FinishPart]) -> Finished:
            return self.finish(call, scene.name)

        self.server.serve(scene.prepare, prepare)
        self.server.serve(scene.finish_part, finish)

    def prepare(self, call: Call[Prepare], scene: str) -> Prepared:
        request, rules = call.request, self.server.rules
        self.server.address_book.find(scene, request.openid)
        if request.sha1 == "":
            # An empty digest upset something inside; a missing one did not.
            raise Fault(faults.PROXY_CALL_FAILED)
        self.server.files.check_type(request.file_type)
        size = _number(request.file_size)
        self.server.files.check_size(request.file_type, size)
        block = rules.number("chunks.block_bytes")
        if block <= 0 or size > block * MAX_PARTS:
            raise Fault(faults.FILE_TOO_LARGE)
        world = self.server.world
        upload = ChunkedUpload(
            f"upload_{world.hex(24)}", scene, request.file_type, request.file_name, size, (request.md5 or "").lower()
        )
        for number, start in enumerate(range(0, size, block), rules.number("chunks.first_index")):
            upload.slots[number] = UploadPart(number, min(block, size - start), world.hex(16))
        self.uploads[upload.id] = upload
        return Prepared(
            upload.id,
            str(block),
            [PartSlot(s.index, _address(call.base_url, upload.id, s), str(s.size)) for s in upload.slots.values()],
            UploadConfig(
                rules.number("chunks.concurrency"),
                rules.number("chunks.retry_timeout"),
                rules.number("chunks.retry_delay"),
            ),
        )

    async def put(self, call: Call[PutPart]) -> HttpResponse:
        """Bytes are bytes, whatever the Content-Type says; the signature in the address is all that is asked for."""
        upload = self.uploads.get(call.request.upload_id)
        number = call.request.partNumber
        slot = upload.slots.get(int(number)) if upload and number.isdecimal() and len(number) < 9 else None
        if slot is None or slot.sign != call.request.sign:
            return storage_says(403, b"AccessDenied")
        blob = call.request.body
        if not isinstance(blob, Blob) or blob.size != slot.size:
            return storage_says(400, b"EntitySizeMismatch")
        slot.blob = blob
        return HttpResponse(200, [("ETag", f'"{blob.md5}"'), trace()])

    def finish(self, call: Call[FinishPart], scene: str) -> Finished:
        request = call.request
        slot = self._find(request.upload_id, scene).slots.get(request.part_index)
        if slot is None or slot.blob is None:
            raise Fault(faults.BAD_FORM_BODY, "part_index无效或分片未上传")
        if slot.asked < self.server.rules.number("chunks.finish_retries"):
            slot.asked += 1
            raise Fault(faults.FINISH_AGAIN)
        if _number(request.block_size) != slot.size or request.md5.lower() != slot.blob.md5:
            raise Fault(faults.BAD_FORM_BODY, "分片大小或md5不符")
        slot.finished = True
        return Finished()

    async def merge(self, call: Call[Upload], scene: str) -> tuple[PlacedFile, str | None]:
        """Make one file of the parts. Type and name are those of the beginning, whatever the merge says."""
        upload = self._find(call.request.upload_id or "", scene)
        blobs = [slot.blob for slot in upload.slots.values() if slot.blob is not None and slot.finished]
        if len(blobs) != len(upload.slots):
            raise Fault(faults.BAD_FORM_BODY, "分片未全部完成")
        blob = await self.server.world.blobs.join(blobs)
        if upload.md5 and upload.md5 != blob.md5:
            raise Fault(faults.BAD_FORM_BODY, "文件md5不符")
        placed = self.server.files.place(scene, upload.file_type, blob, upload.name)
        raw_url = None
        if upload.file_type != FILE:
            raw_url = f"{call.base_url}/qqmedia/{self.server.files.offer(blob, placed.expires_at)}"
        return placed, raw_url

    def _find(self, upload_id: str, scene: str) -> ChunkedUpload:
        upload = self.uploads.get(upload_id)
        if upload is None or upload.scene != scene:
            raise Fault(faults.BAD_FORM_BODY, "upload_id无效")
        return upload


def _address(base_url: str, upload_id: str, slot: UploadPart) -> str:
    return f"{base_url}/cos/{upload_id}?partNumber={slot.index}&sign={slot.sign}"


def _number(value: str | int) -> int:
    """Sizes come as numbers and as text."""
    text = str(value)
    if not text.isdecimal() or len(text) > 15:
        raise Fault(faults.BAD_FORM_BODY, "大小须为正整数")
    return int(text)


def storage_says(status: int, code: bytes) -> HttpResponse:
    """The storage host answers in XML."""
    body = b"<?xml version='1.0' encoding='utf-8' ?>\n<Error><Code>" + code + b"</Code></Error>"
    return HttpResponse(status, [("Content-Type", "application/xml"), trace()], body)
