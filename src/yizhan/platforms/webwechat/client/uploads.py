"""Uploads: in chunks, one after the other; big files are announced first."""

from __future__ import annotations

import time

import msgspec
from msgspec import UNSET, Struct

from yizhan.errors import Unavailable
from yizhan.model import Content, Slice
from yizhan.platforms.adapter import MediaNeed, Progress
from yizhan.platforms.rules import Rules
from yizhan.platforms.webwechat import convert, wire
from yizhan.platforms.webwechat.client.calls import WebWx
from yizhan.wire import FormPart
from yizhan.wire.filename import safe_name

MAX_CHUNK_TRIES = 3
RETRY_PAUSE = 0.3


class UploadedMedia(Struct, frozen=True):
    """The token of a handle."""

    media_id: str
    signature: str = ""
    """Required in `Msg` for files that were announced by webwxcheckupload."""


class Uploads:
    """Uploads the media of one account."""

    def __init__(self, webwx: WebWx, rules: Rules) -> None:
        self._webwx = webwx
        self._rules = rules
        self._count = 0

    async def upload(
        self, need: MediaNeed, content: Content, to: str, progress: Progress | None = None
    ) -> UploadedMedia:
        """Upload `content`; `to` is the UserName of the first receiver.

        Raises:
            WireMismatch: the service gave no MediaId.
            PlatformError: it refused the upload, or could not be reached.
        """
        name, type_ = convert.upload_form(need.media, need.use)
        checked = wire.CheckUploadResponse()
        if content.size > self._rules.number("checkupload.ask_above_bytes"):
            checked = await self._webwx.webwxcheckupload(name, content.size, need.media.md5, to)
        if checked.MediaId:
            return UploadedMedia(checked.MediaId, checked.Signature)
        request = self._webwx.upload_request(content.size, need.media.md5, to)
        if checked.Signature:
            request = msgspec.structs.replace(request, AESKey=checked.AESKey, Signature=checked.Signature)
        form = wire.UploadMedia(
            id=f"WU_FILE_{self._count}",
            name=name,
            type=type_,
            lastModifiedDate=_page_date(self._webwx.clock.now()),
            size=content.size,
            mediatype=need.use,
            uploadmediarequest=request,
            filename=None,
        )
        self._count += 1
        return UploadedMedia(await self._send_chunks(form, content, progress), checked.Signature)

    async def _send_chunks(self, form: wire.UploadMedia, content: Content, progress: Progress | None) -> str:
        size, step = content.size, self._rules.number("upload.chunk_bytes")
        chunks = max(1, -(-size // step))
        response = wire.UploadMediaResponse()
        # The page's uploader has one thread, and only the response to the last chunk has the MediaId.
        for chunk in range(chunks):
            piece = content if chunks == 1 else Slice(content, chunk * step, (chunk + 1) * step)
            part = msgspec.structs.replace(
                form,
                chunks=chunks if chunks > 1 else UNSET,
                chunk=chunk if chunks > 1 else UNSET,
                filename=FormPart("filename", piece, safe_name(form.name), form.type),
            )
            response = await self._send_chunk(part, progress)
        if not response.MediaId:
            why = f"the upload of {form.name} ({chunks} chunks) ended without a MediaId"
            raise self._webwx.unexpected(wire.UPLOAD_MEDIA, why)
        return response.MediaId

    async def _send_chunk(self, form: wire.UploadMedia, progress: Progress | None) -> wire.UploadMediaResponse:
        """Send one chunk, again if no answer came: the service joins chunks by ClientMediaId and number."""
        for attempt in range(1, MAX_CHUNK_TRIES):
            try:
                return await self._webwx.webwxuploadmedia(form, progress)
            except Unavailable:
                await self._webwx.clock.sleep(RETRY_PAUSE * attempt)
        return await self._webwx.webwxuploadmedia(form, progress)


def _page_date(now: float) -> str:
    """Return a time as the page's script formats it, in China's time zone."""
    return time.strftime("%a %b %d %Y %H:%M:%S GMT+0800 (CST)", time.gmtime(now + 8 * 3600))
