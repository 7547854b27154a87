"""The CDN: upload once, send the answer to many; download the media of a message. Both are called with `CgiCmd` 0.

Sources: page "upload CDN file" (its head), WeChatAgents_go: struct/assembleMessage.go, AssistantX: common/wechat.py.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any

from msgspec import Struct

from yizhan.model.secret import Secret
from yizhan.platforms.ohwxapi.wire.envelope import CLIENT_A, CLIENT_G, NATIVE, PAGE_CDN, UPLOADS, command


class FileType(IntEnum):
    CHANNEL_VIDEO = 0
    ORIGINAL_IMAGE = 1
    IMAGE = 2
    THUMB = 3
    VIDEO = 4
    FILE = 5
    VOICE = 128


class CdnUpload(Struct, kw_only=True, omit_defaults=True):
    """Place a file for a chat; the answer works for other chats too. At most 30 M.

    One source: local path, network address or Base64. The names of the path and Base64 parameters are proposals.
    """

    ToUserName: str = ""
    FileType: int
    FileName: str = ""
    """Shown name; files only."""
    FileUrl: str = ""
    FilePath: str = ""
    FileBase64: Any = ""
    VideoPath: str = ""
    """With `FileType` 0: a channel video, and its cover in `ImagePath`."""
    ImagePath: str = ""


class CdnDownload(Struct, kw_only=True, omit_defaults=True):
    """Download the media of a received message: by `FileId` and `AesKey`, or a voice by its whole XML.

    With `FileName` the file is written on the gateway's machine; without it the bytes come back too.
    """

    AesKey: Annotated[str, Secret()] = ""
    FileId: str = ""
    FileType: int = 0
    """1 original picture, 2 picture, 3 thumbnail, 4 video, 5 file, 128 voice."""
    FileName: str = ""
    VoiceXml: str = ""
    MsgId: int | str = 0


class Downloaded(Struct, omit_defaults=True):
    """Undocumented; a proposal."""

    FilePath: str = ""
    FileSize: int = 0
    Md5: str = ""
    FileBase64: Any = ""


CDN_UPLOAD = command(
    "CdnUpload", 0, CdnUpload, str, f"{PAGE_CDN}; {CLIENT_G}", path="/v2/cdnupload", timeout=180, max_bytes=UPLOADS
)
CDN_DOWNLOAD = command(
    "CdnDownload", 0, CdnDownload, Downloaded, f"{CLIENT_A}; {CLIENT_G}", path="/v2/cdndownload", target="", timeout=180
)
DOWNLOAD_IMAGE = command("DownloadImage", 109, CdnDownload, Downloaded, NATIVE, target="", timeout=180)
DOWNLOAD_VIDEO = command("DownloadVideo", 150, CdnDownload, Downloaded, NATIVE, target="", timeout=180)
