"""Chapters CDN and 收藏夹: the older download, and attachments of favorites."""

from __future__ import annotations

from typing import Annotated

from yizhan.model.secret import Secret
from yizhan.platforms.wechatsdk.wire.cdn import Download
from yizhan.platforms.wechatsdk.wire.envelope import AsyncRequest, Done, interface

FAVOURITE_TYPES = frozenset({10001, 10002, 10007})


class DownloadFavourite(AsyncRequest, kw_only=True):
    fileid: str
    aeskey: Annotated[str, Secret()]
    fileType: int
    """10001 normal, 10002 video, 10007 larger than 20 MB."""
    savePath: str


CDN_DOWNLOAD_OLD = interface(66, "cdn_download_old", Download, Done, "CDN/CDN下载", timeout=900.0)

DOWNLOAD_FAVOURITE = interface(102, "download_favourite", DownloadFavourite, Done, "收藏夹/CDN下载附件", timeout=900.0)
