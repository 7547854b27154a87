"""Media: upload addresses on the CDN, and the ciphertext both ways. The cipher is in `crypt.py`."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Struct

from yizhan.model.secret import Secret
from yizhan.platforms.ilink.wire.base import SOURCE, BaseInfo
from yizhan.platforms.ilink.wire.envelope import CDN_ENVELOPE, ENVELOPE
from yizhan.platforms.ilink.wire.items import FILE, IMAGE, VIDEO, VOICE
from yizhan.wire import Endpoint, Query, RawAnswer, Whole

CDN_SOURCE = "@tencent-weixin/openclaw-weixin 2.4.9, src/cdn/"

MEDIA_TYPES = {IMAGE: 1, VIDEO: 2, FILE: 3, VOICE: 4}
"""Item type to the `media_type` of getuploadurl, which has other numbers."""


class GetUploadUrl(Struct, omit_defaults=True):
    """Asks for an upload address. Sizes in bytes; `filesize` is that of the ciphertext, `rawsize // 16 * 16 + 16`."""

    filekey: str | None = None
    """32 hex digits, made by the client."""
    media_type: int | None = None
    """1 image, 2 video, 3 file, 4 voice: not the numbers of item types."""
    to_user_id: str | None = None
    rawsize: int | None = None
    rawfilemd5: str | None = None
    filesize: int | None = None
    thumb_rawsize: int | None = None
    thumb_rawfilemd5: str | None = None
    thumb_filesize: int | None = None
    no_need_thumb: bool | None = None
    aeskey: Annotated[str | None, Secret()] = None
    """32 hex digits."""
    base_info: BaseInfo | None = None


class UploadUrl(Struct, omit_defaults=True):
    upload_full_url: str | None = None
    """Complete address; today the service returns this field alone."""
    upload_param: str | None = None
    thumb_upload_param: str | None = None
    thumb_upload_full_url: str | None = None


class CdnUpload(Struct, omit_defaults=True):
    """The ciphertext itself, to an address that getuploadurl gave (or that is built from its `upload_param`)."""

    encrypted_query_param: Annotated[str, Query()] = ""
    filekey: Annotated[str | None, Query()] = None
    body: Annotated[Any, Whole()] = b""


class CdnDownload(Struct, omit_defaults=True):
    encrypted_query_param: Annotated[str, Query()] = ""


GET_UPLOAD_URL: Endpoint[GetUploadUrl, UploadUrl] = Endpoint(
    "getuploadurl",
    "POST",
    "/ilink/bot/getuploadurl",
    GetUploadUrl,
    UploadUrl,
    ENVELOPE,
    SOURCE,
    target="to_user_id",
    timeout=15.0,
)
CDN_UPLOAD: Endpoint[CdnUpload, RawAnswer] = Endpoint(
    "cdn_upload",
    "POST",
    "/c2c/upload",
    CdnUpload,
    RawAnswer,
    CDN_ENVELOPE,
    CDN_SOURCE + "cdn-upload.ts",
    role="cdn",
    timeout=120.0,
)
CDN_DOWNLOAD: Endpoint[CdnDownload, RawAnswer] = Endpoint(
    "cdn_download",
    "GET",
    "/c2c/download",
    CdnDownload,
    RawAnswer,
    CDN_ENVELOPE,
    CDN_SOURCE + "pic-decrypt.ts",
    role="cdn",
    timeout=120.0,
)
