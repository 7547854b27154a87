"""Uploads and downloads.

Sources: iKuiki/wwdk doc/protocol/send.md ("上传文件"), receive.md; the browser bundle of 2022-03-01;
the upload capture in the same repository.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Struct, UnsetType

from yizhan.model.secret import Secret
from yizhan.platforms.webwechat.wire.base import Credentials, NumberOrText, OptionalText
from yizhan.platforms.webwechat.wire.endpoints import download, post, upload
from yizhan.platforms.webwechat.wire.sending import SEND_DOC
from yizhan.wire import Header, Query

RECEIVE_DOC = "iKuiki/wwdk: doc/protocol/receive.md"
PICTURE, MOVIE, DOCUMENT = "pic", "video", "doc"
"""The form field `mediatype`. A gif must be a `doc`: uploaded as `pic`, another picture arrives."""
ATTACHMENT = 4
"""MediaType of uploads of every kind."""
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
"""Form fields `type` and `mediatype` by extension; other files keep their MIME type and are a `doc`."""


class CheckUpload(Struct, kw_only=True):
    """Announce a big file; the service may have it already. Without FileType 7 the call fails."""

    BaseRequest: Credentials | None = None
    FileMd5: str = ""
    FileName: str = ""
    FileSize: int = 0
    FileType: NumberOrText = 0
    FromUserName: str = ""
    ToUserName: str = ""


class CheckUploadResponse(Struct):
    """With a `MediaId` there is nothing to upload. Else AESKey and Signature go into the upload, Signature into Msg."""

    MediaId: str = ""
    AESKey: str = ""
    Signature: str = ""
    EncryFileName: str = ""


class UploadMediaRequest(Struct, kw_only=True):
    """The JSON in the form. Every chunk of a file repeats it: StartPos 0, DataLen the size of the whole file."""

    UploadType: NumberOrText = UPLOAD_TYPE
    BaseRequest: Credentials | None = None
    ClientMediaId: NumberOrText = ""
    TotalLen: int
    StartPos: NumberOrText = 0
    DataLen: NumberOrText = 0
    MediaType: NumberOrText = ATTACHMENT
    FromUserName: str = ""
    ToUserName: str = ""
    FileMd5: OptionalText = UNSET
    AESKey: OptionalText = UNSET
    Signature: OptionalText = UNSET


class UploadMedia(Struct, kw_only=True):
    """The form, its fields in the browser's order. `chunks` and `chunk` appear only if there are several."""

    id: Any = UNSET
    name: Any = ""
    type: Any = ""
    lastModifiedDate: Any = ""
    size: Any = 0
    chunks: int | UnsetType = UNSET
    chunk: int | UnsetType = UNSET
    mediatype: Any = DOCUMENT
    uploadmediarequest: UploadMediaRequest
    webwx_data_ticket: Annotated[Any, Secret()] = ""
    pass_ticket: Annotated[Any, Secret()] = ""
    filename: Any
    f: Annotated[str, Query()] = "json"


class UploadMediaResponse(Struct):
    """Only the response to the last chunk has a MediaId. It is valid for any receiver within this login."""

    MediaId: str = ""
    StartPos: int = 0
    CDNThumbImgHeight: int = 0
    CDNThumbImgWidth: int = 0
    EncryFileName: str = ""


class GetImage(Struct, kw_only=True):
    """`type`: `slave` for a thumbnail (of videos, too), `big` for an emoticon, absent for the picture itself."""

    MsgID: Annotated[str | int, Query()] = ""
    skey: Annotated[str, Query(secret=True)] = ""
    type: Annotated[str | UnsetType, Query()] = UNSET


class GetVideo(Struct, kw_only=True):
    """Without `Range: bytes=0-` the response is empty."""

    msgid: Annotated[str | int, Query()] = ""
    skey: Annotated[str, Query(secret=True)] = ""
    range: Annotated[str | UnsetType, Header("Range")] = UNSET


class GetVoice(Struct, kw_only=True):
    msgid: Annotated[str | int, Query()] = ""
    skey: Annotated[str, Query(secret=True)] = ""
    range: Annotated[str | UnsetType, Header("Range")] = UNSET


class GetMedia(Struct, kw_only=True):
    """A received file. `fromuser`: the own Uin. Some clients send `filename` in place of `encryfilename`."""

    sender: Annotated[str, Query()] = ""
    mediaid: Annotated[str, Query()] = ""
    encryfilename: Annotated[str | UnsetType, Query()] = UNSET
    filename: Annotated[str | UnsetType, Query()] = UNSET
    fromuser: Annotated[str | int, Query()] = ""
    pass_ticket: Annotated[str, Query(secret=True)] = ""
    webwx_data_ticket: Annotated[str, Query(secret=True)] = ""
    range: Annotated[str | UnsetType, Header("Range")] = UNSET


CHECK_UPLOAD = post("webwxcheckupload", CheckUpload, CheckUploadResponse, "eatmoreapple/openwechat: client.go")
UPLOAD_MEDIA = upload("webwxuploadmedia", UploadMedia, UploadMediaResponse, SEND_DOC)
GET_IMAGE = download("webwxgetmsgimg", GetImage, RECEIVE_DOC)
GET_VIDEO = download("webwxgetvideo", GetVideo, RECEIVE_DOC)
GET_VOICE = download("webwxgetvoice", GetVoice, RECEIVE_DOC)
GET_MEDIA = download("webwxgetmedia", GetMedia, RECEIVE_DOC, role="file")
