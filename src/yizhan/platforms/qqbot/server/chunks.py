"""Uploads in chunks: slots are assigned, parts are put and confirmed, and merged into one file."""

from __future__ import annotations

from dataclasses import dataclass, field

from yizhan.http.router import Call
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.server.access import Access
from yizhan.platforms.qqbot.server.address_book import AddressBook
from yizhan.platforms.qqbot.server.files import Files, PlacedFile
from yizhan.platforms.qqbot.server.state import ServerState
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

MAX_PARTS = 10_000


@dataclass(slots=True)
class UploadPart:
    index: int
    size: int
    sign: str
    blob: Blob | None = None
    finished: bool = False
    asked: int = 0
    """How often its confirmation was answered "again"."""


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
    def __init__(self, state: ServerState, access: Access, address_book: AddressBook, files: Files) -> None:
        self.state = state
        self.address_book = address_book
        self.files = files
        self.uploads: dict[str, ChunkedUpload] = {}
        for scene in wire.SCENES.values():
            self._serve(access, scene)
        state.router.add(PUT_PART, self.put)

    def reset(self) -> None:
        self.uploads.clear()

    def _serve(self, access: Access, scene: Scene) -> None:
        async def prepare(call: Call[Prepare]) -> Prepared:
            return self.prepare(call, scene.name)

        async def finish(call: Call[FinishPart]) -> Finished:
            return self.finish(call, scene.name)

        access.serve(scene.prepare, prepare)
        access.serve(scene.finish_part, finish)

    def prepare(self, call: Call[Prepare], scene: str) -> Prepared:
        request, rules = call.request, self.state.rules
        self.address_book.find(scene, request.openid)
        if request.sha1 == "":
            # The service fails on an empty digest, and takes a missing one (AstrBotDevs/AstrBot#9443).
            raise Fault(faults.PROXY_CALL_FAILED)
        self.files.check_type(request.file_type)
        size = _number(request.file_size)
        self.files.check_size(request.file_type, size)
        block = rules.number("chunks.block_bytes")
        if block <= 0 or size > block * MAX_PARTS:
            raise Fault(faults.FILE_TOO_LARGE)
        world = self.state.world
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
        """Take the bytes of a part, under any Content-Type. The signature in the address is the only credential."""
        upload = self.uploads.get(call.request.upload_id)
        number = call.request.partNumber
        slot = upload.slots.get(int(number)) if upload and number.isdecimal() and len(number) < 9 else None
        if slot is None or slot.sign != call.request.sign:
            return storage_error(403, b"AccessDenied")
        blob = call.request.body
        if not isinstance(blob, Blob) or blob.size != slot.size:
            return storage_error(400, b"EntitySizeMismatch")
        slot.blob = blob
        return HttpResponse(200, [("ETag", f'"{blob.md5}"'), trace()])

    def finish(self, call: Call[FinishPart], scene: str) -> Finished:
        request = call.request
        slot = self._find(request.upload_id, scene).slots.get(request.part_index)
        if slot is None or slot.blob is None:
            raise Fault(faults.BAD_FORM_BODY, "part_index无效或分片未上传")
        if slot.asked < self.state.rules.number("chunks.finish_retries"):
            slot.asked += 1
            raise Fault(faults.FINISH_AGAIN)
        if _number(request.block_size) != slot.size or request.md5.lower() != slot.blob.md5:
            raise Fault(faults.BAD_FORM_BODY, "分片大小或md5不符")
        slot.finished = True
        return Finished()

    async def merge(self, call: Call[Upload], scene: str) -> tuple[PlacedFile, str | None]:
        """Merge the parts into one file, under the type and name of the beginning."""
        upload = self._find(call.request.upload_id or "", scene)
        blobs = [slot.blob for slot in upload.slots.values() if slot.blob is not None and slot.finished]
        if len(blobs) != len(upload.slots):
            raise Fault(faults.BAD_FORM_BODY, "分片未全部完成")
        blob = await self.state.world.blobs.join(blobs)
        if upload.md5 and upload.md5 != blob.md5:
            raise Fault(faults.BAD_FORM_BODY, "文件md5不符")
        placed = self.files.place(scene, upload.file_type, blob, upload.name)
        raw_url = None
        if upload.file_type != FILE:
            raw_url = f"{call.base_url}/qqmedia/{self.files.offer(blob, placed.expires_at)}"
        return placed, raw_url

    def _find(self, upload_id: str, scene: str) -> ChunkedUpload:
        upload = self.uploads.get(upload_id)
        if upload is None or upload.scene != scene:
            raise Fault(faults.BAD_FORM_BODY, "upload_id无效")
        return upload


def _address(base_url: str, upload_id: str, slot: UploadPart) -> str:
    return f"{base_url}/cos/{upload_id}?partNumber={slot.index}&sign={slot.sign}"


def _number(value: str | int) -> int:
    """Return a size that comes as a number or as text."""
    text = str(value)
    if not text.isdecimal() or len(text) > 15:
        raise Fault(faults.BAD_FORM_BODY, "大小须为正整数")
    return int(text)


def storage_error(status: int, code: bytes) -> HttpResponse:
    """Return an error of the storage host, which answers in XML."""
    body = b"<?xml version='1.0' encoding='utf-8' ?>\n<Error><Code>" + code + b"</Code></Error>"
    return HttpResponse(status, [("Content-Type", "application/xml"), trace()], body)
