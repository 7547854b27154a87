"""Uploads, in one request or in chunks. The result is good for a whole scene: all users, or all groups.

Sources: "富媒体消息概述", "单聊富媒体上传" (API v2, 2026-09); the rich media page of the documentation repository;
sizes and types as clients send them (nonebot-adapter-qq 1.7.3, qq-bot-sdk 1.12.5, qqbot-agent-sdk 1.2.2).
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Struct, field

from yizhan.platforms.qqbot.wire.envelope import ENVELOPE
from yizhan.wire import Path, Query, RawAnswer, Whole
from yizhan.wire.api import Api

FILES_PAGE = '"富媒体消息", API v2: 上传'
CHUNKS_PAGE = '"单聊富媒体上传", API v2: 分片上传'

IMAGE, VIDEO, VOICE, FILE = 1, 2, 3, 4
FILE_TYPES = {"image": IMAGE, "video": VIDEO, "voice": VOICE, "file": FILE}
KINDS = {number: kind for kind, number in FILE_TYPES.items()}

MD5_10M_BYTES = 10_002_432
"""Bytes that `md5_10m` covers, by the page. One client takes 10 MiB, so a server does not check it."""

MAX_BODY = 64 << 20
"""Bytes that the serving end reads into memory; the proxy in front refuses far fewer (`files.proxy_max_bytes`)."""


class Upload(Struct, omit_defaults=True):
    """One file. Its source is, in this order: `upload_id`, a non-empty `file_data`, a non-empty `url`."""

    openid: Annotated[str, Path()]
    """Any one user, or any one group: the result is good for all of them."""
    file_type: int | None = None
    """1 image, 2 video, 3 voice, 4 plain file; may be left out beside `upload_id`."""
    srv_send_msg: bool | None = None
    """True sends it at once, as an active message, and the answer has an `id`."""
    url: str | None = None
    """Begins with `http`; the platform downloads it before it answers."""
    file_data: Any = None
    """Base64 without prefix. Not on the page of 2026, sent by every client."""
    file_name: str | None = None
    """Shown to people; matters for plain files."""
    upload_id: str | None = None
    """The merge step of a chunked upload; type and name are remembered from its beginning."""


class Uploaded(Struct, omit_defaults=True):
    """Answer to an upload. Good for every group or for every user, as the upload was made; not for both."""

    file_uuid: str
    file_info: str
    ttl: int = field(default=-1)
    """Seconds until `file_info` ends; 0 means that it does not. Always on the wire."""
    id: str | None = None
    """The message, when `srv_send_msg` was true."""
    raw_url: str | None = None
    """A link to the bytes, as long as `ttl`; after merging types 1 to 3 only."""


class Prepare(Struct, omit_defaults=True):
    """Begin a chunked upload. All fields are required on the page; sizes come as text or as numbers."""

    openid: Annotated[str, Path()]
    file_type: int
    file_size: str | int
    file_name: str
    md5: str | None = None
    sha1: str | None = None
    md5_10m: str | None = None


class PartSlot(Struct):
    index: int
    """Counts from 1 on the wire, from 0 on the page. A client slices by position and echoes this."""
    presigned_url: str
    block_size: str | int | None = None
    """Bytes of this part, as text."""


class UploadConfig(Struct):
    """The pace that the server asks for. Seconds."""

    concurrency: int = 1
    retry_timeout: int = 300
    retry_delay: int = 1


class Prepared(Struct, omit_defaults=True):
    upload_id: str = ""
    block_size: str | int | None = None
    parts: list[PartSlot] = []
    upload_config: UploadConfig | None = None
    concurrency: int | None = None
    """Older answers have it here."""
    retry_timeout: int | None = None
    file_uuid: str | None = None
    """With `file_info` and without parts if the platform has the file already (AstrBotDevs/AstrBot#9218)."""
    file_info: str | None = None
    ttl: int | None = None


class PutPart(Struct):
    """One part to its presigned address: plain bytes, whatever Content-Type; never with the access token."""

    upload_id: Annotated[str, Path()]
    partNumber: Annotated[str, Query()]
    sign: Annotated[str, Query()]
    body: Annotated[Any, Whole()] = b""


class FinishPart(Struct):
    openid: Annotated[str, Path()]
    upload_id: str
    part_index: int
    block_size: str | int
    md5: str


class Finished(Struct):
    """`{}`"""


class Download(Struct):
    """A file behind a link that the platform gave out (`raw_url`, an attachment's `url`)."""

    file_id: Annotated[str, Path()]
    rkey: Annotated[str, Query()] = ""


_USERS = Api(ENVELOPE, FILES_PAGE, "/v2/users/{openid}", timeout=120, max_bytes=MAX_BODY)
_GROUPS = Api(ENVELOPE, FILES_PAGE, "/v2/groups/{openid}", timeout=120, max_bytes=MAX_BODY)
_USER_CHUNKS = Api(ENVELOPE, CHUNKS_PAGE, "/v2/users/{openid}")
_GROUP_CHUNKS = Api(ENVELOPE, CHUNKS_PAGE, "/v2/groups/{openid}")
_STORAGE = Api(ENVELOPE, CHUNKS_PAGE, role="storage", timeout=120)
_AT_ONCE = {"srv_send_msg": True}

# One path, two calls: sending at once acts, uploading alone does not.
UPLOAD_AND_SEND_TO_USER = _USERS.post(
    "uploadAndSendToUser", Upload, Uploaded, "/files", constants=_AT_ONCE, acts=True, target="openid"
)
UPLOAD_AND_SEND_TO_GROUP = _GROUPS.post(
    "uploadAndSendToGroup", Upload, Uploaded, "/files", constants=_AT_ONCE, acts=True, target="openid"
)
UPLOAD_TO_USER = _USERS.post("uploadToUser", Upload, Uploaded, "/files", target="openid")
UPLOAD_TO_GROUP = _GROUPS.post("uploadToGroup", Upload, Uploaded, "/files", target="openid")
PREPARE_FOR_USER = _USER_CHUNKS.post("prepareForUser", Prepare, Prepared, "/upload_prepare", target="openid")
PREPARE_FOR_GROUP = _GROUP_CHUNKS.post("prepareForGroup", Prepare, Prepared, "/upload_prepare", target="openid")
FINISH_PART_FOR_USER = _USER_CHUNKS.post(
    "finishPartForUser", FinishPart, Finished, "/upload_part_finish", target="openid"
)
FINISH_PART_FOR_GROUP = _GROUP_CHUNKS.post(
    "finishPartForGroup", FinishPart, Finished, "/upload_part_finish", target="openid"
)
PUT_PART = _STORAGE.call("PUT", "putPart", PutPart, RawAnswer, "/cos/{upload_id}")
DOWNLOAD = _STORAGE.get(
    "download", Download, RawAnswer, "/qqmedia/{file_id}", source='"消息事件", API v2: attachments', timeout=30
)
