"""Stored images, for Markdown only. Source: read in botpy-sdk 2.2.1 (2026); no page describes them."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Struct

from yizhan.platforms.qqbot.wire.envelope import ENVELOPE
from yizhan.wire import Endpoint, Header, Path, Query, RawAnswer, Whole

SOURCE = "botpy-sdk 2.2.1: media images"


class PrepareImage(Struct, omit_defaults=True):
    file_name: str
    file_size: int
    """Bytes, at most 10 MiB."""
    content_type: str
    """image/png, image/jpeg, image/gif or image/webp; the PUT must name the same."""
    md5: str = ""
    sha1: str = ""


class PreparedImage(Struct, omit_defaults=True):
    upload_id: str
    presigned_url: str
    expires_in: int | None = None


class PutImage(Struct):
    upload_id: Annotated[str, Path()]
    sign: Annotated[str, Query()]
    content_type: Annotated[str, Header("Content-Type")] = ""
    body: Annotated[Any, Whole()] = b""


class CompleteImage(Struct):
    upload_id: str
    md5: str = ""


class StoredImage(Struct, omit_defaults=True):
    image_id: str
    url: str
    """`qqbot-media://image/v1/…`, for Markdown's image syntax."""
    ttl: int | None = None
    """Seconds, counted again from every use."""
    preview_url: str | None = None


class ListImages(Struct, omit_defaults=True):
    cursor: Annotated[str, Query()] = ""


class StoredImages(Struct):
    images: list[StoredImage]
    next_cursor: str = ""
    total: int = 0


class DeleteImage(Struct):
    image_id: Annotated[str, Path()]


class Deleted(Struct):
    """`{}`"""


PREPARE_IMAGE = Endpoint(
    "prepareImage", "POST", "/v2/media-images/prepare", PrepareImage, PreparedImage, ENVELOPE, SOURCE
)
PUT_IMAGE = Endpoint(
    "putImage", "PUT", "/cos-images/{upload_id}", PutImage, RawAnswer, ENVELOPE, SOURCE, role="storage"
)
COMPLETE_IMAGE = Endpoint(
    "completeImage", "POST", "/v2/media-images/complete", CompleteImage, StoredImage, ENVELOPE, SOURCE
)
LIST_IMAGES = Endpoint("listImages", "GET", "/v2/media-images", ListImages, StoredImages, ENVELOPE, SOURCE)
DELETE_IMAGE = Endpoint(
    "deleteImage", "DELETE", "/v2/media-images/{image_id}/delete", DeleteImage, Deleted, ENVELOPE, SOURCE
)
