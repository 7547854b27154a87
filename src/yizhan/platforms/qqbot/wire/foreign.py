"""Calls that only other programs' clients make: stored images, and the gateway with shards.

They are served like the others, and made by `Bot.call` and `adapter.call`. Source of the stored images: read in
botpy-sdk 2.2.1 (2026); no page describes them.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Struct, field

from yizhan.platforms.qqbot.wire.envelope import ENVELOPE
from yizhan.platforms.qqbot.wire.token import GUIDE_PAGE, Nothing
from yizhan.wire import Header, Path, Query, RawAnswer, Whole
from yizhan.wire.api import Api

IMAGES_SOURCE = "botpy-sdk 2.2.1: media images"


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


class SessionStartLimit(Struct):
    total: int = 1000
    remaining: int = 1000
    reset_after: int = 86_400_000
    """Milliseconds."""
    max_concurrency: int = 1


class GatewayForBot(Struct):
    url: str
    shards: int = 1
    session_start_limit: SessionStartLimit = field(default_factory=SessionStartLimit)


_IMAGES = Api(ENVELOPE, IMAGES_SOURCE)

GET_GATEWAY_BOT = Api(ENVELOPE, GUIDE_PAGE).get("getGatewayBot", Nothing, GatewayForBot, "/gateway/bot")
PREPARE_IMAGE = _IMAGES.post("prepareImage", PrepareImage, PreparedImage, "/v2/media-images/prepare")
PUT_IMAGE = _IMAGES.call("PUT", "putImage", PutImage, RawAnswer, "/cos-images/{upload_id}", role="storage")
COMPLETE_IMAGE = _IMAGES.post("completeImage", CompleteImage, StoredImage, "/v2/media-images/complete")
LIST_IMAGES = _IMAGES.get("listImages", ListImages, StoredImages, "/v2/media-images")
DELETE_IMAGE = _IMAGES.call("DELETE", "deleteImage", DeleteImage, Deleted, "/v2/media-images/{image_id}/delete")
