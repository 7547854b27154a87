"""Uploads: whole, in chunks, or known already."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from msgspec import UNSET

from yizhan.http.router import Call
from yizhan.platforms.kit.server import Calls
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server import pictures
from yizhan.platforms.webwechat.server.session import ChunkedUpload, Placed, Session
from yizhan.platforms.webwechat.server.state import ServerState
from yizhan.platforms.webwechat.wire.base import BAD_PARAMETER, TICKET_ERROR
from yizhan.platforms.webwechat.wire.content import MD5, decode_file_name, encry_file_name
from yizhan.wire import Fault, FormPart
from yizhan.wire.filename import safe_name
from yizhan.world import Blob

T = TypeVar("T")

MAX_CHUNKED_UPLOADS = 200
MAX_CHUNKS = 10_000
MEDIA_TYPES = frozenset({wire.PICTURE, wire.MOVIE, wire.DOCUMENT})


class UploadCalls(ServerState):
    """webwxcheckupload, webwxuploadmedia, webwxuploadmediaparallel."""

    calls: ClassVar[Calls] = {
        "check_upload": wire.CHECK_UPLOAD,
        "upload_media": wire.UPLOAD_MEDIA,
        "upload_parallel": wire.UPLOAD_PARALLEL,
    }

    async def check_upload(self, call: Call[wire.CheckUpload]) -> wire.CheckUploadResponse:
        request = call.request
        session = self.session_of(call.http, request.BaseRequest)
        md5 = request.FileMd5.lower()
        if str(request.FileType) != str(wire.CHECK_FILE_TYPE) or not MD5.fullmatch(md5) or request.FileSize <= 0:
            raise Fault(BAD_PARAMETER)
        known, signature = self.whole_uploads.get(md5), _signature(session, md5)
        media_id = ""
        if known is not None and known.size == request.FileSize:
            media_id = self._place(session, known, request.FileName, wire.DOCUMENT, signature)
        name = encry_file_name(safe_name(request.FileName))
        return wire.CheckUploadResponse(media_id, _aes_key(md5), signature, name)

    async def upload_media(self, call: Call[wire.UploadMedia]) -> wire.UploadMediaResponse:
        form, request = call.request, call.request.uploadmediarequest
        session = self.session_of(call.http, request.BaseRequest)
        _check_ticket(session, form.webwx_data_ticket)
        part = _file_part(form.filename)
        if part.size > self.rules["upload.chunk_bytes"]:
            raise Fault(BAD_PARAMETER, f"one part may have {self.rules['upload.chunk_bytes']} bytes")
        # Without a mediatype the file is a document.
        media_type = _text(form.mediatype) or wire.DOCUMENT
        if media_type not in MEDIA_TYPES:
            raise Fault(BAD_PARAMETER, f"mediatype is one of {', '.join(sorted(MEDIA_TYPES))}")
        chunks, chunk = _count(form.chunks, 1), _count(form.chunk, 0)
        blob = await self._join(session, str(request.ClientMediaId), chunks, chunk, part)
        if blob is None:
            return wire.UploadMediaResponse()
        name = decode_file_name(_text(form.name) or _given_name(form.filename))
        signature = _text(request.Signature)
        self._check_file(session, blob, request.TotalLen, request.FileMd5, media_type, signature)
        width, height = await self._thumb_size(blob, media_type)
        media_id = self._place(session, blob, name, media_type, signature)
        return wire.UploadMediaResponse(media_id, blob.size, height, width, encry_file_name(safe_name(name)))

    async def upload_parallel(self, call: Call[wire.UploadParallel]) -> wire.UploadParallelResponse:
        form, request = call.request, call.request.UploadMediaParallelRequest
        session = self.session_of(call.http, request.BaseRequest)
        _check_ticket(session, form.webwx_data_ticket)
        part = _file_part(form.filename)
        upload_id = _text(request.UploadID) or f"u{self.world.hex(24)}"
        blob = await self._join(session, f"parallel/{upload_id}", request.Chunks, request.Chunk, part)
        if blob is None:
            return wire.UploadParallelResponse(upload_id)
        signature = _text(request.Signature)
        self._check_file(session, blob, request.TotalLen, request.FileMD5, wire.DOCUMENT, signature)
        name = decode_file_name(_text(request.Name) or _given_name(form.filename))
        return wire.UploadParallelResponse(upload_id, self._place(session, blob, name, wire.DOCUMENT, signature))

    async def _join(self, session: Session, key: str, chunks: int, chunk: int, part: Blob) -> Blob | None:
        """Return the whole file once all its chunks are there. Any chunk may be repeated, the last one, too."""
        if not 1 <= chunks <= MAX_CHUNKS or not 0 <= chunk < chunks:
            raise Fault(BAD_PARAMETER)
        if chunks == 1:
            return part
        upload = session.chunked.get(key)
        if upload is None and key in session.completed and session.completed[key][:2] == (chunk, part.sha256):
            return session.completed[key][2]
        if upload is None or upload.chunks != chunks:
            upload = _keep_newest(session.chunked, key, ChunkedUpload(chunks))
        upload.parts[chunk] = part
        if len(upload.parts) < chunks:
            return None
        session.chunked.pop(key, None)
        whole = await self.world.blobs.join([upload.parts[n] for n in range(chunks)])
        _keep_newest(session.completed, key, (chunk, part.sha256, whole))
        return whole

    def _check_file(
        self, session: Session, blob: Blob, total: int, md5: object, media_type: str, signature: str
    ) -> None:
        if blob.size == 0 or blob.size != total:
            raise Fault(BAD_PARAMETER, f"the file has {blob.size} bytes, TotalLen says {total}")
        if isinstance(md5, str) and md5 and md5.lower() != blob.md5:
            raise Fault(BAD_PARAMETER, "FileMd5 is not the MD5 of the file")
        rule = {wire.PICTURE: "image.max_bytes", wire.MOVIE: "video.max_bytes"}.get(media_type, "file.max_bytes")
        if self.rules.limited and blob.size > self.rules[rule]:
            raise Fault(BAD_PARAMETER, f"the file has {blob.size} bytes, the limit is {self.rules[rule]}")
        big = blob.size > self.rules["checkupload.required_above_bytes"]
        if big and signature != _signature(session, blob.md5):
            raise Fault(BAD_PARAMETER, "webwxcheckupload comes first for a file of that size")

    async def _thumb_size(self, blob: Blob, media_type: str) -> tuple[int, int]:
        if media_type == wire.DOCUMENT:
            return (0, 0)
        if blob.sha256 not in self.thumb_sizes:
            self.thumb_sizes[blob.sha256] = await pictures.thumb_size(blob)
        return self.thumb_sizes[blob.sha256]

    def _place(self, session: Session, blob: Blob, name: str, media_type: str, signature: str) -> str:
        """Return a new MediaId of `blob`."""
        self.whole_uploads[blob.md5] = blob
        media_id = session.media_id(f"upload/{self.world.hex(16)}", 160 if media_type == wire.DOCUMENT else 420)
        session.media[media_id] = Placed(blob, safe_name(name), self.now(), media_type, signature)
        return media_id


def _check_ticket(session: Session, ticket: object) -> None:
    if ticket != session.data_ticket:
        raise Fault(TICKET_ERROR)


def _keep_newest(kept: dict[str, T], key: str, value: T) -> T:
    """Put `value`, and drop the oldest entry if there are too many."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > MAX_CHUNKED_UPLOADS:
        kept.pop(next(iter(kept)))
    return value


def _signature(session: Session, md5: str) -> str:
    return session.media_id(f"signature/{md5}", 64)[7:]


def _aes_key(md5: str) -> str:
    return md5[::-1]


def _file_part(value: Any) -> Blob:
    if isinstance(value, FormPart) and isinstance(value.value, Blob):
        # The service refuses the RFC 2231 form of a name; a plain one may be any UTF-8.
        if "filename*" in value.disposition.lower():
            raise Fault(BAD_PARAMETER, "the file part is named in the form filename*=")
        return value.value
    raise Fault(BAD_PARAMETER, "the part 'filename' is not a file")


def _given_name(value: Any) -> str:
    return (value.filename or "") if isinstance(value, FormPart) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any, default: int) -> int:
    return default if value is UNSET else int(value)
