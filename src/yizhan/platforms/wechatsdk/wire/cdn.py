"""Chapter CDN: placing bytes once, fetching them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from yizhan.model.secret import Secret
from yizhan.platforms.wechatsdk.wire.envelope import AsyncRequest, Digits, Done, interface

CDN_ORIGINAL, CDN_IMAGE, CDN_COVER, CDN_VIDEO, CDN_FILE, CDN_LARGE_FILE, CDN_VOICE = 1, 2, 3, 4, 5, 7, 15

"""CDN file types. Source: pages "CDN/CDN上传", "CDN/CDN下载"; 7 and the uncompressed 3 since release 1.1.1."""

CDN_TYPES = frozenset({1, 2, 3, 4, 5, 7, 15})


class Upload(AsyncRequest, kw_only=True, omit_defaults=True):
    filePath: str
    """On the machine of the WeChat client."""
    aeskey: Annotated[str, Secret()]
    """Any 32 hex digits; by convention the file's md5, which lets the CDN recognize bytes that it has."""
    fileType: int
    chatType: int = 0
    """0 private, 1 group (release note 2024-06-12)."""


class Uploaded(Struct, rename={"client_ip": "x-ClientIp"}, omit_defaults=True):
    """Answer to 7. All strings, sizes and return codes too. Source: page "CDN/CDN上传"; yzqzy: wechatsdk-types.ts."""

    fileid: str
    aeskey: Annotated[str, Secret()]
    filekey: Digits = ""
    rawfilekey: Annotated[Digits, Secret()] = ""
    """Needed by 10098, which does not want `filekey`."""
    rawfilemd5: str = ""
    rawtotalsize: Digits = ""
    encryptfilemd5: str = ""
    filecrc: Digits = ""
    retcode: Digits = ""
    """Not "0": the CDN refused."""
    isretry: Digits = ""
    retrysec: Digits = ""
    isoverload: Digits = ""
    isgetcdn: Digits = ""
    recvlen: Digits = ""
    seq: Digits = ""
    ver: Digits = ""
    client_ip: str = ""
    rawthumbsize: Digits = ""
    videoseconds: Digits = ""
    thumbheight: Digits = ""
    thumbwidth: Digits = ""
    voiceduration: Digits = ""


class UploadedAnswer(Struct):
    data: Uploaded


class Download(AsyncRequest, kw_only=True, omit_defaults=True):
    fileid: str
    aeskey: Annotated[str, Secret()]
    fileType: int
    savePath: str
    """A file on the machine of the WeChat client; its folder must exist."""
    chatType: int = 0


CDN_UPLOAD = interface(7, "cdn_upload", Upload, UploadedAnswer, "CDN/CDN上传", timeout=900.0)

CDN_DOWNLOAD = interface(88, "cdn_download", Download, Done, "CDN/CDN下载(新)", timeout=900.0)
