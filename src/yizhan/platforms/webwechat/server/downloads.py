"""Downloads by message id or MediaId."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from yizhan.http.router import Call
from yizhan.model import Slice
from yizhan.platforms.kit.server import Calls
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server import pictures
from yizhan.platforms.webwechat.server.session import Placed
from yizhan.platforms.webwechat.server.state import ServerState
from yizhan.platforms.webwechat.wire.base import SYSTEM_ERROR, TICKET_ERROR
from yizhan.wire import Fault, HttpRequest, HttpResponse
from yizhan.world import Blob

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


class DownloadCalls(ServerState):
    """Pictures, videos, voice messages, files."""

    calls: ClassVar[Calls] = {
        "get_image": wire.GET_IMAGE,
        "get_video": wire.GET_VIDEO,
        "get_voice": wire.GET_VOICE,
        "get_media": wire.GET_MEDIA,
        "preview": wire.PREVIEW,
    }

    async def get_image(self, call: Call[wire.GetImage]) -> HttpResponse:
        blob = self._file_of_message(call.http)
        if _query(call.http).get("type") == "slave":
            return HttpResponse(200, [("Content-Type", "image/jpeg")], await pictures.thumbnail(blob))
        return HttpResponse(200, [("Content-Type", "image/jpeg")], [blob])

    async def get_video(self, call: Call[wire.GetVideo]) -> HttpResponse:
        blob = self._file_of_message(call.http)
        if not call.http.header("range"):
            return HttpResponse(200, [("Content-Type", "video/mp4")])
        return _ranged(call.http, blob, "video/mp4")

    async def get_voice(self, call: Call[wire.GetVoice]) -> HttpResponse:
        return _ranged(call.http, self._file_of_message(call.http), "audio/mp3")

    async def get_media(self, call: Call[wire.GetMedia]) -> HttpResponse:
        placed = self._file_of_media_id(call.http, call.request.mediaid)
        if call.request.webwx_data_ticket != self.session_of(call.http).data_ticket:
            raise Fault(TICKET_ERROR)
        name = placed.name.replace("\\", "_").replace('"', "_")
        disposition = ("Content-Disposition", f'attachment; filename="{name}"')
        return _ranged(call.http, placed.blob, "application/octet-stream", disposition)

    async def preview(self, call: Call[wire.Preview]) -> HttpResponse:
        placed = self._file_of_media_id(call.http, call.request.mediaid)
        return HttpResponse(200, [("Content-Type", "image/jpeg")], [placed.blob])

    def _file_of_media_id(self, http: HttpRequest, media_id: str) -> Placed:
        placed = self.session_of(http).media.get(media_id)
        if placed is None:
            raise Fault(SYSTEM_ERROR)
        return placed

    def _file_of_message(self, http: HttpRequest) -> Blob:
        """Return the file of the message in the query: MsgID, msgid or MsgId, with either of its two ids."""
        self.session_of(http)
        message = self.messages.get(_query(http).get("msgid", ""))
        if message is None or message.blob is None:
            raise Fault(SYSTEM_ERROR)
        return message.blob


def _query(http: HttpRequest) -> Mapping[str, str]:
    return {name.lower(): value for name, value in http.query}


def _ranged(http: HttpRequest, blob: Blob, content_type: str, *more: tuple[str, str]) -> HttpResponse:
    """Return the requested range (206), or the whole file (200)."""
    headers = [("Content-Type", content_type), ("Accept-Ranges", "bytes"), *more]
    match = _RANGE.fullmatch(http.header("range").strip())
    if match is None or match[1] == match[2] == "":
        return HttpResponse(200, headers, [blob])
    start, end = _bounds(match[1], match[2], blob.size)
    if start >= end:
        return HttpResponse(416, [*headers, ("Content-Range", f"bytes */{blob.size}")])
    headers.append(("Content-Range", f"bytes {start}-{end - 1}/{blob.size}"))
    return HttpResponse(206, headers, [Slice(blob, start, end)])


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size
