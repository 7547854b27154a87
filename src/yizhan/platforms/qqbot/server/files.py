"""Uploads in one request, what they leave behind (`file_info`), and links to files."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yizhan.http.loopback_fetch import FetchedTooLarge, NotFetched, fetch_loopback
from yizhan.http.router import Call
from yizhan.platforms.qqbot import wire
from yizhan.platforms.qqbot.server.formats import format_of
from yizhan.platforms.qqbot.wire import faults
from yizhan.platforms.qqbot.wire.envelope import trace
from yizhan.platforms.qqbot.wire.files import DOWNLOAD, FILE, KINDS, Download, Upload, Uploaded
from yizhan.platforms.qqbot.wire.scenes import Scene
from yizhan.wire import Endpoint, Fault, HttpResponse
from yizhan.wire.filename import safe_name
from yizhan.world import Blob, Group

if TYPE_CHECKING:
    from yizhan.platforms.qqbot.server import Server

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """What a `file_info` stands for."""

    file_info: str
    file_uuid: str
    scene: str
    file_type: int
    name: str
    blob: Blob
    expires_at: float | None

    @property
    def kind(self) -> str:
        return KINDS[self.file_type]


class Files:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.placed: dict[str, PlacedFile] = {}
        self.links: dict[str, tuple[Blob, float | None]] = {}
        """Files behind links, with the end of each."""
        self._volume: dict[int, int] = {}
        """Bytes taken in, by day."""
        for scene in wire.SCENES.values():
            for endpoint in (scene.upload_and_send, scene.upload):
                self._serve(endpoint, scene)
        server.router.add(DOWNLOAD, self.download)

    def reset(self) -> None:
        self.placed.clear()
        self.links.clear()
        self._volume.clear()

    def find(self, file_info: str, scene: str) -> PlacedFile:
        """Return the file that a message of `scene` refers to.

        Raises:
            Fault: unknown, of the other scene, or ended.
        """
        placed = self.placed.get(file_info)
        if placed is None or placed.scene != scene:
            raise Fault(faults.FILE_INFO_INVALID)
        if placed.expires_at is not None and placed.expires_at <= self.server.world.now():
            raise Fault(faults.FILE_INFO_INVALID)
        return placed

    def check_type(self, file_type: int | None) -> int:
        """Return `file_type`, or raise the platform's fault: it is none, or not open yet."""
        if file_type not in KINDS:
            raise Fault(faults.UNSUPPORTED_OPERATION, "file_type无效")
        if file_type == FILE and not self.server.rules["file.allowed"]:
            raise Fault(faults.UNSUPPORTED_OPERATION, "file_type暂未开放")
        return file_type

    def check_size(self, file_type: int, size: int) -> int:
        """Return the type as which a file of that size goes: above the soft limit everything is a plain file.

        Raises:
            Fault: it is over the hard limit, empty, or the day's volume is used up.
        """
        rules, kind = self.server.rules, KINDS[file_type]
        if size <= 0:
            raise Fault(faults.BAD_FORM_BODY, "文件为空")
        if size > rules.number(f"{kind}.hard_bytes"):
            raise Fault(faults.FILE_TOO_LARGE)
        volume = rules.number("files.volume_bytes_per_day")
        if volume and self._volume.get(self._day, 0) + size > volume:
            raise Fault(faults.VOLUME_USED_UP)
        return FILE if size > rules.number(f"{kind}.soft_bytes") else file_type

    def place(self, scene: str, file_type: int, blob: Blob, name: str) -> PlacedFile:
        """Judge a file that has arrived, and give it a `file_info`."""
        kind, world = KINDS[file_type], self.server.world
        goes_as = self.check_size(file_type, blob.size)
        formats = self.server.rules.words(f"{kind}.formats")
        if formats and format_of(blob.head()) not in formats:
            raise Fault(faults.FORMAT_WRONG)
        ttl = self.server.rules.number("handle.ttl_seconds")
        placed = PlacedFile(
            base64.b64encode(world.random.randbytes(96)).decode(),
            f"FU_{world.hex(32)}",
            scene,
            goes_as,
            safe_name(name, "") if name else "",
            blob,
            world.now() + ttl if ttl else None,
        )
        self._volume[self._day] = self._volume.get(self._day, 0) + blob.size
        self.placed[placed.file_info] = placed
        return placed

    def offer(self, blob: Blob, expires_at: float | None = None) -> str:
        """Make a link to a file; returns its id."""
        file_id = self.server.world.hex(40)
        self.links[file_id] = blob, expires_at
        return file_id

    async def download(self, call: Call[Download]) -> HttpResponse:
        blob, expires_at = self.links.get(call.request.file_id, (None, None))
        if blob is None or (expires_at is not None and expires_at <= self.server.world.now()):
            return HttpResponse(404, [("Content-Type", "text/plain"), trace()], b"no such file")
        return HttpResponse(200, [("Content-Type", "application/octet-stream"), trace()], (blob,))

    def _serve(self, endpoint: Endpoint[Upload, Uploaded], scene: Scene) -> None:
        async def upload(call: Call[Upload]) -> Uploaded:
            return await self.upload(call, scene)

        self.server.serve(endpoint, upload)

    async def upload(self, call: Call[Upload], scene: Scene) -> Uploaded:
        request = call.request
        place = self.server.address_book.find(scene.name, request.openid)
        if isinstance(place, Group) and place.muted:
            raise Fault(faults.MUTED)
        if request.srv_send_msg is None and not request.upload_id and self.server.rules["files.srv_send_msg_required"]:
            raise Fault(faults.BAD_FORM_BODY, "缺少srv_send_msg")
        sends = request.srv_send_msg or call.endpoint is scene.upload_and_send
        if sends:
            # Before anything is taken in: a send that is not allowed leaves no file behind.
            self.server.messages.check_active(scene.name, place)
        placed, raw_url = await self._take_in(call, scene.name)
        ttl = self.server.rules.number("handle.ttl_seconds")
        answer = Uploaded(placed.file_uuid, placed.file_info, ttl, raw_url=raw_url)
        if sends:
            answer.id = self.server.messages.post_file(call.endpoint.name, scene.name, place, placed)
        return answer

    async def _take_in(self, call: Call[Upload], scene: str) -> tuple[PlacedFile, str | None]:
        """From the first source that is there: the parts of an upload, the bytes themselves, a link."""
        request = call.request
        if request.upload_id:
            return await self.server.chunks.merge(call, scene)
        file_type = self.check_type(request.file_type)
        if request.file_data:
            blob = await self._decoded(request.file_data)
        elif request.url:
            blob = await self._fetched(request.url, file_type)
        else:
            raise Fault(faults.UNSUPPORTED_OPERATION, "缺少url或file_data")
        return self.place(scene, file_type, blob, request.file_name or ""), None

    async def _decoded(self, file_data: object) -> Blob:
        if not isinstance(file_data, str):
            raise Fault(faults.BAD_FORM_BODY, "file_data须为base64字符串")
        try:
            return await self.server.world.blobs.add(base64.b64decode(file_data, validate=True))
        except (binascii.Error, ValueError) as error:
            raise Fault(faults.BAD_FORM_BODY, f"file_data不是base64: {error}") from error

    async def _fetched(self, url: str, file_type: int) -> Blob:
        if not url.startswith(("http://", "https://")):
            raise Fault(faults.DOWNLOAD_FAILED, "请求参数url无效")
        limit = self.server.rules.number(f"{KINDS[file_type]}.hard_bytes")
        try:
            return await self.server.world.blobs.keep(fetch_loopback(url, limit))
        except FetchedTooLarge as error:
            raise Fault(faults.FILE_TOO_LARGE) from error
        except NotFetched as error:
            slow = isinstance(error.__cause__, TimeoutError)
            raise Fault(faults.DOWNLOAD_TIMEOUT if slow else faults.DOWNLOAD_FAILED) from error

    @property
    def _day(self) -> int:
        return int(self.server.world.now() // DAY)
