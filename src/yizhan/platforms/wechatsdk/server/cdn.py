"""The CDN as the sandbox keeps it: bytes by fileid, with the key and the values that a forward must repeat."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from yizhan.http.router import Call
from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.wechat_xml.cdn_id import make_cdn_id
from yizhan.platforms.wechatsdk import wire
from yizhan.platforms.wechatsdk.server.calls import Calls, refused
from yizhan.platforms.wechatsdk.server.paths import Folders
from yizhan.wire import Fault
from yizhan.world import Blob, World

_KEY = re.compile(r"[0-9a-fA-F]{32}")
_BLOCK = 1 << 20
_THUMBNAIL_BYTES = 3120
"""Size that is told for a thumbnail; the sandbox makes none."""
_LONGEST_VOICE = 3600 * 50
"""Packets that are counted: an hour. Files that claim more are not read further."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One object of the CDN."""

    blob: Blob
    answer: wire.Uploaded
    file_type: int
    at: float


class Cdn:
    """Objects by fileid. The same bytes under the same key and type are one object."""

    def __init__(self, world: World, folders: Folders, server: SandboxServer) -> None:
        self._world = world
        self._folders = folders
        self._server = server
        self._objects: dict[str, Stored] = {}
        self._ids: dict[tuple[str, str, int], str] = {}

    @property
    def calls(self) -> Calls:
        return [
            (wire.CDN_UPLOAD, self.upload),
            (wire.CDN_DOWNLOAD, self.download),
            (wire.CDN_DOWNLOAD_OLD, self.download),
            (wire.DOWNLOAD_FAVOURITE, self.download_favourite),
        ]

    def clear(self) -> None:
        self._objects.clear()
        self._ids.clear()

    async def put(self, blob: Blob, key: str, file_type: int, file_id: str = "") -> Stored:
        """Store a blob (again) and return the object, with a new lease of life. `file_id`: name it so."""
        file_id = file_id or self._ids.get((blob.sha256, key, file_type), "")
        file_id = file_id or make_cdn_id(self._world.random, file_type, self._world.now())
        self._ids[blob.sha256, key, file_type] = file_id
        known = self._objects.get(file_id)
        if known is None:
            crc, cipher_md5, cipher_size = await asyncio.to_thread(_measure, blob.path, bytes.fromhex(key))
            answer = self._answer(blob, file_id, key, file_type, (crc, cipher_md5, cipher_size))
        else:
            answer = known.answer
        stored = self._objects[file_id] = Stored(blob, answer, file_type, self._world.now())
        return stored

    def find(self, file_id: str) -> Stored:
        """Return the object.

        Raises:
            Fault: there is none, or its time is over.
        """
        rules = self._server.rules
        stored = self._objects.get(file_id)
        ttl = rules["handle.seconds"] if rules.limited else 0
        if stored is None or (ttl and self._world.now() >= stored.at + ttl):
            raise Fault(wire.FILE_ID_UNKNOWN)
        return stored

    def forwarded(
        self,
        fileid: str,
        aeskey: str,
        size: wire.Digits,
        md5: str | None = None,
        raw_file_key: wire.Digits | None = None,
        file_types: frozenset[int] = wire.CDN_TYPES,
    ) -> Stored:
        """Return the object that a forward names; every value given must be that of the upload.

        `filecrc` may differ, since sources disagree about its algorithm; so may the measures of thumbnails, which a
        client may know better than the CDN.

        Raises:
            Fault: there is no such object, it is of another kind, or a value is wrong.
        """
        stored = self.find(fileid)
        answer = stored.answer
        wanted = {"aeskey": answer.aeskey, "rawtotalsize": answer.rawtotalsize, "rawfilemd5": answer.rawfilemd5}
        given = {"aeskey": aeskey.lower(), "rawtotalsize": str(size), "rawfilemd5": md5 and md5.lower()}
        wrong = [name for name, value in given.items() if value is not None and value != str(wanted[name])]
        if raw_file_key is not None and str(raw_file_key) != answer.rawfilekey:
            wrong.append("rawfilekey (this is the filekey)" if raw_file_key == answer.filekey else "rawfilekey")
        if stored.file_type not in file_types:
            wrong.append("fileType of the upload")
        if wrong:
            raise refused(wire.FILE_MISMATCH, ", ".join(wrong))
        return stored

    async def read(self, path_text: str, kind: str = "file") -> Blob:
        """Take in a file of the simulated machine.

        Raises:
            Fault: not allowed, not there, or too large.
        """
        path = self._folders.source(path_text)
        rules = self._server.rules
        size, limit = path.stat().st_size, rules.number(f"{kind}.max_bytes")
        if rules.limited and size > limit:
            raise refused(wire.TOO_LARGE, f"{size} bytes, the limit is {limit}")
        try:
            return await self._world.blobs.keep(_pieces(path))
        except OSError as error:
            raise refused(wire.FAILED, str(error.strerror)) from error

    async def upload(self, call: Call[wire.Upload]) -> wire.UploadedAnswer:
        request = call.request
        if request.fileType not in wire.CDN_TYPES:
            raise refused(wire.FAILED, f"fileType {request.fileType}")
        if not _KEY.fullmatch(request.aeskey):
            raise refused(wire.FAILED, "aeskey is 32 hex digits")
        blob = await self.read(request.filePath, _KINDS.get(request.fileType, "file"))
        if request.fileType == wire.CDN_VOICE:
            voice_milliseconds(blob)
        self._check_large(request.fileType, blob.size)
        stored = await self.put(blob, request.aeskey.lower(), request.fileType)
        return wire.UploadedAnswer(stored.answer)

    def _check_large(self, file_type: int, size: int) -> None:
        """Refuse a large file of type 5. The page and clients differ about the border itself: both types pass there."""
        rules = self._server.rules
        border = rules.number("file.large_from")
        if rules.limited and file_type == wire.CDN_FILE and size > border:
            raise refused(wire.FILE_REFUSED, f"{size} bytes as fileType 5, the limit is {border}; larger files are 7")

    async def download(self, call: Call[wire.Download]) -> wire.Done:
        # The vendor's own sample fetches thumbnails as HD pictures, so the type decides nothing.
        if call.request.fileType not in wire.CDN_TYPES:
            raise refused(wire.FAILED, f"fileType {call.request.fileType}")
        return await self._save(call.request)

    async def download_favourite(self, call: Call[wire.DownloadFavourite]) -> wire.Done:
        if call.request.fileType not in wire.FAVOURITE_TYPES:
            raise refused(wire.FAILED, f"fileType {call.request.fileType}")
        return await self._save(call.request)

    async def _save(self, request: wire.Download | wire.DownloadFavourite) -> wire.Done:
        stored = self.find(request.fileid)
        if request.aeskey.lower() != stored.answer.aeskey:
            raise refused(wire.FILE_MISMATCH, "aeskey")
        path = self._folders.destination(request.savePath)
        try:
            await asyncio.to_thread(shutil.copyfile, stored.blob.path, path)
        except OSError as error:
            raise refused(wire.FAILED, str(error.strerror)) from error
        return wire.Done()

    def _answer(
        self, blob: Blob, file_id: str, key: str, file_type: int, measured: tuple[int, str, int]
    ) -> wire.Uploaded:
        crc, cipher_md5, cipher_size = measured
        thumb = str(blob.size if file_type == wire.CDN_COVER else min(_THUMBNAIL_BYTES, blob.size))
        return wire.Uploaded(
            fileid=file_id,
            aeskey=key,
            filekey=self._world.hex(32),
            rawfilekey=self._world.hex(32),
            rawfilemd5=blob.md5,
            rawtotalsize=str(blob.size),
            encryptfilemd5=cipher_md5,
            filecrc=str(crc),
            retcode="0",
            isretry="0",
            retrysec="0",
            isoverload="0",
            isgetcdn="0",
            recvlen=str(cipher_size),
            seq="1",
            ver="0",
            client_ip="127.0.0.1",
            rawthumbsize=thumb
            if file_type in (wire.CDN_ORIGINAL, wire.CDN_IMAGE, wire.CDN_COVER, wire.CDN_VIDEO)
            else "",
            videoseconds="0" if file_type == wire.CDN_VIDEO else "",
            thumbheight="0" if file_type == wire.CDN_VIDEO else "",
            thumbwidth="0" if file_type == wire.CDN_VIDEO else "",
            voiceduration=str(voice_milliseconds(blob)) if file_type == wire.CDN_VOICE else "",
        )


_KINDS = {
    wire.CDN_ORIGINAL: "image",
    wire.CDN_IMAGE: "image",
    wire.CDN_COVER: "image",
    wire.CDN_VIDEO: "video",
    wire.CDN_FILE: "file",
    wire.CDN_LARGE_FILE: "file",
    wire.CDN_VOICE: "file",
}


def voice_milliseconds(blob: Blob) -> int:
    """Return how long a SILK recording plays: every packet holds 20 ms.

    Raises:
        Fault: it is not SILK.
    """
    head = blob.head(10)
    start = 10 if head.startswith(b"\x02#!SILK_V3") else 9 if head.startswith(b"#!SILK_V3") else 0
    if not start:
        raise refused(wire.FILE_REFUSED, "a voice message is SILK")
    packets = 0
    with blob.path.open("rb") as file:
        file.seek(start)
        while len(length := file.read(2)) == 2 and length != b"\xff\xff" and packets < _LONGEST_VOICE:
            file.seek(int.from_bytes(length, "little"), 1)
            packets += 1
    return packets * 20


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while data := await asyncio.to_thread(file.read, _BLOCK):
            yield data


def _measure(path: Path, key: bytes) -> tuple[int, str, int]:
    """CRC-32 of the plain bytes; MD5 and size of the AES-128-ECB ciphertext, padded as PKCS#7 says."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - the CDN's own scheme
    crc, md5, size = 0, hashlib.md5(usedforsecurity=False), 0
    with path.open("rb") as file:
        while data := file.read(_BLOCK):
            crc = zlib.crc32(data, crc)
            md5.update(encryptor.update(data))
            size += len(data)
    padding = 16 - size % 16
    md5.update(encryptor.update(bytes([padding]) * padding) + encryptor.finalize())
    return crc, md5.hexdigest(), size + padding
