"""The CDN behind the gateway: objects by id, and the XML by which messages name them."""

from __future__ import annotations

from dataclasses import dataclass

from yizhan.platforms.kit.server import SandboxServer
from yizhan.platforms.ohwxapi import wire
from yizhan.platforms.ohwxapi.server.accounts import Account
from yizhan.platforms.ohwxapi.server.sources import Sources, Taken, suffix_of
from yizhan.platforms.ohwxapi.wire import FileType
from yizhan.platforms.wechat_xml import OHWXAPI, Card, FileCard, MediaXml, compose_file, compose_media, parse_media
from yizhan.platforms.wechat_xml.cdn_id import make_cdn_id, object_of_cdn_id
from yizhan.wire import Base64, Fault
from yizhan.wire.filename import safe_name
from yizhan.world import Blob

_EXTENSIONS: dict[int, str] = {
    FileType.ORIGINAL_IMAGE: "jpg",
    FileType.IMAGE: "jpg",
    FileType.THUMB: "jpg",
    FileType.VIDEO: "mp4",
    FileType.VOICE: "silk",
}


@dataclass(frozen=True, slots=True)
class Placed:
    """One object. Its key is the md5 of its content, as in a logged answer of the real thing."""

    file_id: str
    blob: Blob
    name: str
    at: float

    @property
    def key(self) -> str:
        return self.blob.md5

    def is_named_by(self, key: str, md5: str, size: str) -> bool:
        """Return whether a message names this object with its own values; those that are empty are not compared."""
        given = ((key, self.key), (md5.lower(), self.blob.md5), (size, str(self.blob.size)))
        return all(value in ("", wanted) for value, wanted in given)


class Cdn:
    """Objects that were uploaded here. Ids of other networks are accepted in messages, but cannot be fetched."""

    def __init__(self, server: SandboxServer, sources: Sources) -> None:
        self.server = server
        self.world = server.world
        self.sources = sources
        self._objects: dict[str, Placed] = {}

    def reset(self) -> None:
        self._objects.clear()

    def place(self, blob: Blob, file_type: int, name: str = "") -> Placed:
        placed = Placed(make_cdn_id(self.world.random, file_type, self.world.now()), blob, name, self.world.now())
        self._objects[object_of_cdn_id(placed.file_id)] = placed
        return placed

    def find(self, file_id: str) -> Placed | None:
        """Return the object, None for an id of another network; a Fault when it is past its end."""
        placed = self._objects.get(object_of_cdn_id(file_id))
        seconds = float(self.server.rules["handle.seconds"])
        if placed and self.server.rules.limited and seconds and self.world.now() > placed.at + seconds:
            raise Fault(wire.NO_FILE)
        return placed

    # --- up ---

    async def upload(self, account: Account, asked: wire.CdnUpload) -> str:
        """Return the finished XML, which callers send on unread."""
        path, name = asked.FilePath, "FileUrl"
        if asked.FileType == FileType.CHANNEL_VIDEO:
            path, name = asked.VideoPath or path, "VideoPath"
        elif asked.FileType not in (
            FileType.ORIGINAL_IMAGE,
            FileType.IMAGE,
            FileType.VIDEO,
            FileType.FILE,
        ):
            raise Fault(wire.PARAMETER, "param error: FileType")
        taken = await self.sources.take(asked.FileUrl, asked.FileBase64, path, name=name)
        match asked.FileType:
            case FileType.FILE:
                return self.file_xml(account, taken, asked.FileName)
            case FileType.ORIGINAL_IMAGE | FileType.IMAGE:
                return self.image_xml(taken.blob)
        return self.video_xml(account.wxid, taken.blob, 0)

    def file_xml(self, account: Account, taken: Taken, name: str) -> str:
        shown = name or safe_name(taken.name, taken.blob.md5)
        placed = self.place(taken.blob, FileType.FILE, shown)
        card = FileCard(
            title=shown,
            totallen=taken.blob.size,
            fileext=suffix_of([taken.name, shown]),
            cdnattachurl=placed.file_id,
            aeskey=placed.key,
            md5=taken.blob.md5,
            filekey=f"{account.wxid}_{self.world.random.randrange(10**9, 10**10)}",
        )
        return compose_file(card, OHWXAPI)

    def image_xml(self, blob: Blob) -> str:
        placed = self.place(blob, FileType.IMAGE)
        values: dict[str, str | int] = {
            "aeskey": placed.key,
            "encryver": 1,
            "cdnthumbaeskey": placed.key,
            "cdnthumburl": placed.file_id,
            "cdnthumblength": min(blob.size, 3120),
            "cdnthumbheight": 120,
            "cdnthumbwidth": 90,
            "cdnmidheight": 0,
            "cdnmidwidth": 0,
            "cdnhdheight": 0,
            "cdnhdwidth": 0,
            "cdnmidimgurl": placed.file_id,
            "length": blob.size,
            "md5": placed.key,
        }
        return compose_media("img", values)

    def video_xml(self, sender: str, blob: Blob, seconds: int) -> str:
        placed = self.place(blob, FileType.VIDEO)
        values: dict[str, str | int] = {
            "aeskey": placed.key,
            "cdnvideourl": placed.file_id,
            "cdnthumbaeskey": placed.key,
            "cdnthumburl": placed.file_id,
            "length": blob.size,
            "playlength": seconds,
            "cdnthumblength": 8800,
            "cdnthumbwidth": 288,
            "cdnthumbheight": 512,
            "fromusername": sender,
            "md5": placed.key,
            "newmd5": "",
            "isplaceholder": 0,
            "rawmd5": "",
            "rawlength": 0,
            "cdnrawvideourl": "",
            "cdnrawvideoaeskey": "",
            "overwritenewmsgid": 0,
            "originsourcemd5": "",
            "isad": 0,
        }
        return compose_media("videomsg", values)

    def voice_xml(self, sender: str, blob: Blob, milliseconds: int) -> str:
        placed = self.place(blob, 15)
        values: dict[str, str | int] = {
            "endflag": 1,
            "cancelflag": 0,
            "forwardflag": 0,
            "voiceformat": 4,
            "voicelength": milliseconds,
            "length": blob.size,
            "bufid": 0,
            "aeskey": placed.key,
            "voiceurl": placed.file_id,
            "voicemd5": "",
            "clientmsgid": self.world.hex(6),
            "fromusername": sender,
        }
        return compose_media("voicemsg", values)

    def media_in(self, xml: str, tag: str, attribute: str, parameter: str) -> tuple[MediaXml, Placed | None]:
        """Return the media element of `xml` and the object it names, if that is here; a Fault for anything else."""
        try:
            media = parse_media(xml)
        except ValueError as error:
            raise Fault(wire.PARAMETER, f"param error: {parameter}") from error
        if media.tag != tag or not media.file_id(attribute):
            raise Fault(wire.PARAMETER, f"param error: {parameter}")
        placed = self.find(media.file_id(attribute))
        if placed is not None and not placed.is_named_by(media.key(), media.get("md5"), media.get("length")):
            raise Fault(wire.PARAMETER, f"param error: {parameter}")
        return media, placed

    def file_in(self, card: Card) -> Placed | None:
        """Return the object of a file card; None for an id of another network.

        When `attachid` disagrees with the fields, the fields count.

        Raises:
            Fault: a field is missing, or is not that of the uploaded object.
        """
        file = card.file()
        if not card.title.strip():
            raise Fault(wire.BAD_XML, f"{wire.BAD_XML.message}: title")
        for path in ("totallen", "fileext", "cdnattachurl", "aeskey"):
            if not card.text(f"appattach/{path}"):
                raise Fault(wire.BAD_XML, f"{wire.BAD_XML.message}: appattach/{path}")
        placed = self.find(file.cdnattachurl) if file else None
        if file and placed and not placed.is_named_by(file.aeskey, file.md5, str(file.totallen)):
            raise Fault(wire.BAD_XML, f"{wire.BAD_XML.message}: appattach is not that of the upload")
        return placed

    # --- down ---

    async def download(self, asked: wire.CdnDownload) -> wire.Downloaded:
        file_id, key = asked.FileId, asked.AesKey.lower()
        if asked.VoiceXml:
            voice, _ = self.media_in(asked.VoiceXml, "voicemsg", "voiceurl", "VoiceXml")
            file_id, key = voice.file_id("voiceurl"), voice.key()
        if not file_id:
            raise Fault(wire.PARAMETER, "param error: FileId")
        placed = self.find(file_id)
        if placed is None:
            raise Fault(wire.NO_FILE)
        if key != placed.key:
            raise Fault(wire.PARAMETER, "param error: AesKey")
        blob = placed.blob
        name = asked.FileName or f"{blob.md5}.{_EXTENSIONS.get(asked.FileType, suffix_of([placed.name]) or 'bin')}"
        path = await self.sources.write(blob, name)
        data = "" if asked.FileName else Base64(blob)
        return wire.Downloaded(FilePath=str(path), FileSize=blob.size, Md5=blob.md5, FileBase64=data)
