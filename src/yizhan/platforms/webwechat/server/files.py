"""Files up: whole, in chunks, or known already. And down again, by message or by MediaId."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import UNSET

from yizhan.http.router import Call
from yizhan.model import Slice
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.server import pictures
from yizhan.platforms.webwechat.server.desk import Desk, Spoken
from yizhan.platforms.webwechat.server.session import Joining, Placed, Session
from yizhan.platforms.webwechat.wire.base import BAD_PARAMETER, SYSTEM_ERROR
from yizhan.platforms.webwechat.wire.content import MD5, decoded_name, encry_name
from yizhan.wire import Fault, FormPart, HttpRequest, HttpResponse
from yizhan.wire.filename import safe_name
from yizhan.world import Blob

T = TypeVar("T")

MOST_JOINING = 200
_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


# --- up ---------------------------------------------------------------------------------------------------------------


def serve_uploads(desk: Desk) -> None:
    """Register the calls of this chapter."""
    on = desk.router.on

    @on(wire.CHECK_UPLOAD)
    async def check_upload(call: Call[wire.CheckUpload]) -> wire.CheckedUpload:
        request = call.request
        session = desk.session(call.http, request.BaseRequest)
        md5 = request.FileMd5.lower()
        if str(request.FileType) != str(wire.CHECK_FILE_TYPE) or not MD5.fullmatch(md5) or request.FileSize <= 0:
            raise Fault(BAD_PARAMETER)
        known = desk.uploads.get(md5)
        answer = wire.CheckedUpload(AESKey=_key(md5), Signature=_signature(session, md5))
        answer.EncryFileName = encry_name(safe_name(request.FileName))
        if known is not None and known.size == request.FileSize:
            answer.MediaId = _place(desk, session, known, request.FileName, wire.DOCUMENT, answer.Signature)
        return answer

    @on(wire.UPLOAD_MEDIA)
    async def upload(call: Call[wire.UploadMedia]) -> wire.UploadedMedia:
        request = call.request
        inside = request.uploadmediarequest
        session = desk.session(call.http, inside.BaseRequest)
        part = _file_part(request.filename)
        if part.size > desk.rules["upload.chunk_bytes"]:
            raise Fault(BAD_PARAMETER, f"one part may have {desk.rules['upload.chunk_bytes']} bytes")
        chunks, chunk = _count(request.chunks, 1), _count(request.chunk, 0)
        whole = await _joined(desk, session, f"{inside.ClientMediaId}", chunks, chunk, part)
        if whole is None:
            return wire.UploadedMedia()
        name = decoded_name(_text(request.name) or _given_name(request.filename))
        kind = _text(request.mediatype)
        signature = inside.Signature if isinstance(inside.Signature, str) else ""
        _check(desk, session, whole, inside.TotalLen, inside.FileMd5, kind, signature)
        return await _uploaded(desk, session, whole, name, kind, signature)

    @on(wire.UPLOAD_PARALLEL)
    async def upload_parallel(call: Call[wire.UploadParallel]) -> wire.UploadedParallel:
        inside = call.request.UploadMediaParallelRequest
        session = desk.session(call.http, inside.BaseRequest)
        part = _file_part(call.request.filename)
        upload_id = _text(inside.UploadID) or f"u{desk.world.hex(24)}"
        whole = await _joined(desk, session, f"parallel/{upload_id}", inside.Chunks, inside.Chunk, part)
        if whole is None:
            return wire.UploadedParallel(upload_id)
        signature = _text(inside.Signature)
        _check(desk, session, whole, inside.TotalLen, inside.FileMD5, wire.DOCUMENT, signature)
        name = decoded_name(_text(inside.Name) or _given_name(call.request.filename))
        return wire.UploadedParallel(upload_id, _place(desk, session, whole, name, wire.DOCUMENT, signature))


async def _joined(desk: Desk, session: Session, key: str, chunks: int, chunk: int, part: Blob) -> Blob | None:
    """Return the whole file once all its parts are there; a part may come more than once, the last one too."""
    if not 1 <= chunks <= 10_000 or not 0 <= chunk < chunks:
        raise Fault(BAD_PARAMETER)
    if chunks == 1:
        return part
    joining = session.joining.get(key)
    if joining is None and key in session.joined and session.joined[key][:2] == (chunk, part.sha256):
        return session.joined[key][2]
    if joining is None or joining.chunks != chunks:
        joining = _newest(session.joining, key, Joining(chunks))
    joining.parts[chunk] = part
    if len(joining.parts) < chunks:
        return None
    session.joining.pop(key, None)
    whole = await desk.world.blobs.join([joining.parts[n] for n in range(chunks)])
    _newest(session.joined, key, (chunk, part.sha256, whole))
    return whole


def _newest(kept: dict[str, T], key: str, value: T) -> T:
    """Keep `value`, and let go of the oldest when there are too many."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > MOST_JOINING:
        kept.pop(next(iter(kept)))
    return value


def _check(desk: Desk, session: Session, blob: Blob, total: int, md5: Any, kind: str, signature: str) -> None:
    if blob.size == 0 or blob.size != total:
        raise Fault(BAD_PARAMETER, f"{blob.size} bytes came, TotalLen says {total}")
    if isinstance(md5, str) and md5 and md5.lower() != blob.md5:
        raise Fault(BAD_PARAMETER, "FileMd5 is not that of the bytes")
    limit = desk.rules[{"pic": "image.max_bytes", "video": "video.max_bytes"}.get(kind, "file.max_bytes")]
    if blob.size > limit:
        raise Fault(BAD_PARAMETER, f"{blob.size} bytes are over the limit of {limit}")
    big = blob.size > desk.rules["checkupload.required_above_bytes"]
    if big and signature != _signature(session, blob.md5):
        raise Fault(BAD_PARAMETER, "webwxcheckupload comes first for a file of that size")


async def _uploaded(
    desk: Desk, session: Session, blob: Blob, name: str, kind: str, signature: str
) -> wire.UploadedMedia:
    size = (0, 0)
    if kind in (wire.PICTURE, wire.MOVIE):
        size = desk.sizes[blob.sha256] = desk.sizes.get(blob.sha256) or await pictures.thumb_size(blob)
    media_id = _place(desk, session, blob, name, kind, signature)
    return wire.UploadedMedia(media_id, blob.size, size[1], size[0], encry_name(safe_name(name)))


def _place(desk: Desk, session: Session, blob: Blob, name: str, kind: str, signature: str) -> str:
    desk.uploads[blob.md5] = blob
    media_id = session.media_id(f"upload/{desk.world.hex(16)}", 160 if kind == wire.DOCUMENT else 420)
    session.media[media_id] = Placed(blob, safe_name(name), desk.now(), kind, signature)
    return media_id


def _signature(session: Session, md5: str) -> str:
    return session.media_id(f"signature/{md5}", 64)[7:]


def _key(md5: str) -> str:
    return md5[::-1]


def _file_part(value: Any) -> Blob:
    if isinstance(value, FormPart) and isinstance(value.value, Blob):
        # The service refuses names in the form of RFC 2231; plain ones may hold any UTF-8.
        if "filename*" in value.disposition.lower():
            raise Fault(BAD_PARAMETER, "the file part is named in the form filename*=")
        return value.value
    raise Fault(BAD_PARAMETER, "the part 'filename' is not a file")


def _given_name(value: Any) -> str:
    return (value.filename or "") if isinstance(value, FormPart) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any, default: int) -> int:
    return default if value is UNSET else int(value)


# --- down -------------------------------------------------------------------------------------------------------------


def serve_downloads(desk: Desk) -> None:
    """Register the calls of this chapter."""
    on = desk.router.on

    @on(wire.GET_IMAGE)
    async def get_image(call: Call[wire.GetImage]) -> HttpResponse:
        spoken = _message(desk, call.http)
        assert spoken.blob is not None
        if _query(call.http).get("type") == "slave":
            return _bytes("image/jpeg", await pictures.thumbnail(spoken.blob))
        return HttpResponse(200, [("Content-Type", "image/jpeg")], [spoken.blob])

    @on(wire.GET_VIDEO)
    async def get_video(call: Call[wire.GetVideo]) -> HttpResponse:
        spoken = _message(desk, call.http)
        assert spoken.blob is not None
        if not call.http.header("range"):
            return HttpResponse(200, [("Content-Type", "video/mp4")])
        return _ranged(call.http, spoken.blob, "video/mp4")

    @on(wire.GET_VOICE)
    async def get_voice(call: Call[wire.GetVoice]) -> HttpResponse:
        spoken = _message(desk, call.http)
        assert spoken.blob is not None
        return _ranged(call.http, spoken.blob, "audio/mp3")

    @on(wire.GET_MEDIA)
    async def get_media(call: Call[wire.GetMedia]) -> HttpResponse:
        placed = desk.session(call.http).media.get(call.request.mediaid)
        if placed is None:
            raise Fault(SYSTEM_ERROR)
        shown = placed.name.replace("\\", "_").replace('"', "_")
        named = ("Content-Disposition", f'attachment; filename="{shown}"')
        return _ranged(call.http, placed.blob, "application/octet-stream", named)

    @on(wire.PREVIEW)
    async def preview(call: Call[wire.Preview]) -> HttpResponse:
        placed = desk.session(call.http).media.get(call.request.mediaid)
        if placed is None:
            raise Fault(SYSTEM_ERROR)
        return HttpResponse(200, [("Content-Type", "image/jpeg")], [placed.blob])

    async def head(call: Call[Any]) -> HttpResponse:
        desk.session(call.http)
        return _bytes("image/jpeg", pictures.avatar())

    for endpoint in (wire.GET_ICON, wire.GET_HEAD_IMAGE, wire.GET_MAP):
        desk.router.add(endpoint, head)


def _query(http: HttpRequest) -> Mapping[str, str]:
    return {name.lower(): value for name, value in http.query}


def _message(desk: Desk, http: HttpRequest) -> Spoken:
    """Return the message that the query names: MsgID, msgid or MsgId, with either of its two ids."""
    desk.session(http)
    spoken = desk.messages.get(_query(http).get("msgid", ""))
    if spoken is None or spoken.blob is None:
        raise Fault(SYSTEM_ERROR)
    return spoken


def _bytes(content_type: str, data: bytes) -> HttpResponse:
    return HttpResponse(200, [("Content-Type", content_type)], data)


def _ranged(http: HttpRequest, blob: Blob, content_type: str, *more: tuple[str, str]) -> HttpResponse:
    """Answer with the range that was asked for (206), or everything (200)."""
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
