"""Uploaded files behind their `file_info`, and files behind links."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from yizhan.http.router import Call
from yizhan.platforms.qqbot.server.formats import format_of
from yizhan.platforms.qqbot.server.state import ServerState
from yizhan.platforms.qqbot.wire import faults
from yizhan.platforms.qqbot.wire.envelope import trace
from yizhan.platforms.qqbot.wire.files import DOWNLOAD, FILE, KINDS, Download
from yizhan.wire import Fault, HttpResponse
from yizhan.wire.filename import safe_name
from yizhan.world import Blob

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class PlacedFile:
    """An uploaded file."""

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
    def __init__(self, state: ServerState) -> None:
        self.state = state
        self.placed: dict[str, PlacedFile] = {}
        self.links: dict[str, tuple[Blob, float | None]] = {}
        """Files behind links, with the end of each link; None: it has none."""
        self._volume: dict[int, int] = {}
        """Bytes uploaded, by day."""
        state.router.add(DOWNLOAD, self.download)

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
        if placed.expires_at is not None and placed.expires_at <= self.state.now():
            raise Fault(faults.FILE_INFO_INVALID)
        return placed

    def check_type(self, file_type: int | None) -> int:
        """Return `file_type`. Raises Fault if there is no such type, or it is not open yet."""
        if file_type not in KINDS:
            raise Fault(faults.UNSUPPORTED_OPERATION, "file_type无效")
        if file_type == FILE and not self.state.rules["file.allowed"]:
            raise Fault(faults.UNSUPPORTED_OPERATION, "file_type暂未开放")
        return file_type

    def check_size(self, file_type: int, size: int) -> int:
        """Return the type under which a file of that size is sent: above the soft limit, a plain file.

        Raises:
            Fault: it is over the hard limit, empty, or the day's volume is used up.
        """
        rules, kind = self.state.rules, KINDS[file_type]
        if size <= 0:
            raise Fault(faults.BAD_FORM_BODY, "文件为空")
        if size > rules.number(f"{kind}.max_bytes"):
            raise Fault(faults.FILE_TOO_LARGE)
        volume = rules.number("files.volume_bytes_per_day")
        if volume and self._volume.get(self._day, 0) + size > volume:
            raise Fault(faults.VOLUME_USED_UP)
        return FILE if size > rules.number(f"{kind}.soft_bytes") else file_type

    def place(self, scene: str, file_type: int, blob: Blob, name: str) -> PlacedFile:
        """Check an uploaded file and give it a `file_info`. Raises Fault if the platform would refuse it."""
        kind, world = KINDS[file_type], self.state.world
        sent_as = self.check_size(file_type, blob.size)
        formats = self.state.rules.words(f"{kind}.formats")
        if formats and format_of(blob.head()) not in formats:
            raise Fault(faults.FORMAT_WRONG)
        ttl = self.state.rules.number("handle.seconds")
        placed = PlacedFile(
            base64.b64encode(world.random.randbytes(96)).decode(),
            f"FU_{world.hex(32)}",
            scene,
            sent_as,
            safe_name(name, "") if name else "",
            blob,
            world.now() + ttl if ttl else None,
        )
        self._volume[self._day] = self._volume.get(self._day, 0) + blob.size
        self.placed[placed.file_info] = placed
        return placed

    def offer(self, blob: Blob, expires_at: float | None = None) -> str:
        """Make a link to a file; returns its id."""
        file_id = self.state.world.hex(40)
        self.links[file_id] = blob, expires_at
        return file_id

    async def download(self, call: Call[Download]) -> HttpResponse:
        blob, expires_at = self.links.get(call.request.file_id, (None, None))
        if blob is None or (expires_at is not None and expires_at <= self.state.now()):
            return HttpResponse(404, [("Content-Type", "text/plain"), trace()], b"no such file")
        return HttpResponse(200, [("Content-Type", "application/octet-stream"), trace()], (blob,))

    @property
    def _day(self) -> int:
        return int(self.state.now() // DAY)
