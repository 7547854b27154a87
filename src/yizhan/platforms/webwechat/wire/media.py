"""Files up and down.

Sources: iKuiki/wwdk doc/protocol/send.md ("上传文件"), receive.md; the browser bundle of 2022-03-01;
the upload capture that the same repository keeps; leeskyler-top/MMFileTrans for the File Transfer page.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Struct, UnsetType

from yizhan.platforms.webwechat.wire.base import (
    JSON_ANSWER,
    PREFIX,
    RAW_ANSWER,
    UPLOAD_ANSWER,
    WEB_JSON,
    Base,
    Loose,
    MaybeText,
)
from yizhan.platforms.webwechat.wire.sending import SEND_DOC
from yizhan.wire import MULTIPART, NO_BODY, Endpoint, Header, Query, RawAnswer

RECEIVE_DOC = "iKuiki/wwdk: doc/protocol/receive.md"
PICTURE, MOVIE, DOCUMENT = "pic", "video", "doc"
"""The form field `mediatype`. A gif is a `doc` on purpose: as `pic` the wrong picture arrives."""
ATTACHMENT = 4
"""MediaType of every upload, whatever it is."""
UPLOAD_TYPE = 2
CHECK_FILE_TYPE = 7

TYPES = {
    "gif": ("image/gif", DOCUMENT),
    "png": ("image/png", PICTURE),
    "jpg": ("image/jpeg", PICTURE),
    "jpeg": ("image/jpeg", PICTURE),
    "bmp": ("image/bmp", PICTURE),
    "mp3": ("audio/mp3", DOCUMENT),
    "aac": ("audio/vnd.dlna.adts", DOCUMENT),
    "mp4": ("video/mp4", MOVIE),
    "zip": ("application/zip", DOCUMENT),
}
"""Form fields `type` and `mediatype` by extension; anything else is its own type, or octet-stream, and a `doc`."""


class CheckUpload(Struct, kw_only=True):
    """Ask before a big file: the service may have it already. Without FileType 7 the call fails."""

    BaseRequest: Base | None = None
    FileMd5: str = ""
    FileName: str = ""
    FileSize: int = 0
    FileType: Loose = 0
    FromUserName: str = ""
    ToUserName: str = ""


class CheckedUpload(Struct):
    """`MediaId` not empty: nothing to upload. Otherwise AESKey and Signature go into the upload, Signature into Msg."""

    MediaId: str = ""
    AESKey: str = ""
    Signature: str = ""
    EncryFileName: str = ""


class UploadMediaRequest(Struct, kw_only=True):
    """The JSON in the form. Every chunk of a file repeats it unchanged: StartPos 0, DataLen the whole size."""

    UploadType: Loose = UPLOAD_TYPE
    BaseRequest: Base | None = None
    ClientMediaId: Loose = ""
    TotalLen: int
    StartPos: Loose = 0
    DataLen: Loose = 0
    MediaType: Loose = ATTACHMENT
    FromUserName: str = ""
    ToUserName: str = ""
    FileMd5: MaybeText = UNSET
    AESKey: MaybeText = UNSET
    Signature: MaybeText = UNSET


class UploadMedia(Struct, kw_only=True):
    """The form, fields in the order of the browser. `chunks` and `chunk` only when there are several."""

    id: Any = UNSET
    name: Any = ""
    type: Any = ""
    lastModifiedDate: Any = ""
    size: Any = 0
    chunks: int | UnsetType = UNSET
    chunk: int | UnsetType = UNSET
    mediatype: Any = DOCUMENT
    uploadmediarequest: UploadMediaRequest
    webwx_data_ticket: Any = ""
    pass_ticket: Any = ""
    filename: Any
    f: Annotated[str, Query()] = "json"


class UploadedMedia(Struct):
    """Only the answer to the last chunk has a MediaId. It is good for any receiver, inside this login."""

    MediaId: str = ""
    StartPos: int = 0
    CDNThumbImgHeight: int = 0
    CDNThumbImgWidth: int = 0
    EncryFileName: str = ""


class ParallelRequest(Struct, kw_only=True):
    BaseRequest: Base | None = None
    Signature: MaybeText = UNSET
    AESKey: MaybeText = UNSET
    FileMD5: MaybeText = UNSET
    TotalLen: int
    Chunks: int = 1
    Chunk: int = 0
    Name: Any = ""
    UploadID: MaybeText = UNSET


class UploadParallel(Struct, kw_only=True):
    """The File Transfer page's own upload, above 25 MB. The first answer gives the UploadID for the rest."""

    UploadMediaParallelRequest: ParallelRequest
    webwx_data_ticket: Any = ""
    pass_ticket: Any = ""
    filename: Any
    f: Annotated[str, Query()] = "json"
    random: Annotated[str, Query()] = ""
    mmweb_appid: Annotated[str | UnsetType, Header("mmweb_appid")] = UNSET


class UploadedParallel(Struct):
    UploadID: str = ""
    MediaId: str = ""


class GetImage(Struct, kw_only=True):
    """`type`: `slave` for the thumbnail (of videos too), `big` for emoticons, absent for the picture itself."""

    MsgID: Annotated[str | int, Query()] = ""
    skey: Annotated[str, Query()] = ""
    type: Annotated[str | UnsetType, Query()] = UNSET


class GetVideo(Struct, kw_only=True):
    """Without `Range: bytes=0-` the answer is empty."""

    msgid: Annotated[str | int, Query()] = ""
    skey: Annotated[str, Query()] = ""
    range: Annotated[str | UnsetType, Header("Range")] = UNSET


class GetVoice(Struct, kw_only=True):
    msgid: Annotated[str | int, Query()] = ""
    skey: Annotated[str, Query()] = ""
    range: Annotated[str | UnsetType, Header("Range")] = UNSET


class GetMedia(Struct, kw_only=True):
    """A received file. `fromuser` is the own Uin; several clients name the file `filename` instead."""

    sender: Annotated[str, Query()] = ""
    mediaid: Annotated[str, Query()] = ""
    encryfilename: Annotated[str | UnsetType, Query()] = UNSET
    filename: Annotated[str | UnsetType, Query()] = UNSET
    fromuser: Annotated[str | int, Query()] = ""
    pass_ticket: Annotated[str, Query()] = ""
    webwx_data_ticket: Annotated[str, Query()] = ""
    range: Annotated[str | UnsetType, Header("Range")] = UNSET


class GetHead(Struct, kw_only=True):
    userName: Annotated[str, Query()] = ""
    skey: Annotated[str, Query()] = ""
    type: Annotated[str | UnsetType, Query()] = UNSET
    chatroomid: Annotated[str | UnsetType, Query()] = UNSET
    seq: Annotated[str | int | UnsetType, Query()] = UNSET


class GetMap(Struct, kw_only=True):
    url: Annotated[str, Query()] = ""
    msgid: Annotated[str | int, Query()] = ""
    pictype: Annotated[str, Query()] = "location"


class Preview(Struct, kw_only=True):
    fun: Annotated[str, Query()] = "preview"
    mediaid: Annotated[str, Query()] = ""


CHECK_UPLOAD = Endpoint(
    "webwxcheckupload",
    "POST",
    f"{PREFIX}/webwxcheckupload",
    CheckUpload,
    CheckedUpload,
    JSON_ANSWER,
    "eatmoreapple/openwechat: client.go",
    codec=WEB_JSON,
)
UPLOAD_MEDIA = Endpoint(
    "webwxuploadmedia",
    "POST",
    f"{PREFIX}/webwxuploadmedia",
    UploadMedia,
    UploadedMedia,
    UPLOAD_ANSWER,
    SEND_DOC,
    codec=MULTIPART,
    also=("OPTIONS",),
    role="file",
    timeout=120,
)
UPLOAD_PARALLEL = Endpoint(
    "webwxuploadmediaparallel",
    "POST",
    f"{PREFIX}/webwxuploadmediaparallel",
    UploadParallel,
    UploadedParallel,
    UPLOAD_ANSWER,
    "leeskyler-top/MMFileTrans",
    codec=MULTIPART,
    also=("OPTIONS",),
    role="file",
    timeout=120,
)


def _download(name: str, request: type[Any], role: str = "api", source: str = RECEIVE_DOC) -> Endpoint[Any, RawAnswer]:
    return Endpoint(name, "GET", f"{PREFIX}/{name}", request, RawAnswer, RAW_ANSWER, source, codec=NO_BODY, role=role)


GET_IMAGE = _download("webwxgetmsgimg", GetImage)
GET_VIDEO = _download("webwxgetvideo", GetVideo)
GET_VOICE = _download("webwxgetvoice", GetVoice)
GET_MEDIA = _download("webwxgetmedia", GetMedia, role="file")
GET_ICON = _download("webwxgeticon", GetHead)
GET_HEAD_IMAGE = _download("webwxgetheadimg", GetHead)
GET_MAP = _download("webwxgetpubliclinkimg", GetMap)
PREVIEW = _download("webwxpreview", Preview, role="file", source="wechaty/webwx-app-tracker: formatted/webwxApp.js")
