"""The answer of an upload becomes the token of a handle, and is copied from there into each call that sends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct

from yizhan.model import MiniProgram
from yizhan.platforms.adapter import MediaNeed, library_media
from yizhan.platforms.rules import Rules
from yizhan.platforms.wechat_xml import Cover, compose_mini_program
from yizhan.platforms.wechatsdk import wire
from yizhan.wire import Endpoint

_USES = {"image": wire.CDN_IMAGE, "video": wire.CDN_VIDEO, "voice": wire.CDN_VOICE, "cover": wire.CDN_COVER}


class Placed(wire.Uploaded, kw_only=True, omit_defaults=True):
    """The token of an upload: its answer, and its file type."""

    fileType: int = wire.CDN_FILE  # noqa: N815 - the vendor's word


@dataclass(frozen=True, slots=True)
class Draft:
    """A call that may still lack the values of an upload."""

    endpoint: Endpoint[Any, Any]
    request: Any
    program: MiniProgram | None = None
    """A card whose cover is the upload."""


def file_type_of(need: MediaNeed, rules: Rules) -> int:
    """Return the CDN file type under which `need` is uploaded; 25 MB and above is a type of its own."""
    large = need.media.size >= rules.number("file.large_from")
    return _USES.get(need.use, wire.CDN_LARGE_FILE if large else wire.CDN_FILE)


def complete(draft: Draft, token: str) -> Struct:
    """Return the request with the values of its upload, copied verbatim."""
    request: Struct = draft.request
    if not token:
        return request
    if isinstance(request, wire.SendSticker):
        return msgspec.structs.replace(request, emojiPath=path_of(token))
    placed = msgspec.json.decode(token, type=Placed)
    if draft.program is not None:
        return msgspec.structs.replace(request, content=_covered(draft.program, placed))
    copied = {}
    for name in set(request.__struct_fields__) & set(Placed.__struct_fields__):
        value = getattr(placed, name)
        # Measures that the upload left empty or 0 stay as the media have them.
        if str(value) not in ("", "0") or getattr(request, name) == "":
            copied[name] = value
    return msgspec.structs.replace(request, **copied)


def kept_of(uploaded: wire.Uploaded, file_type: int) -> str:
    """Return the token of a handle: the upload's answer."""
    return msgspec.json.encode(Placed(**msgspec.structs.asdict(uploaded), fileType=file_type)).decode()


def path_of(token: str) -> str:
    """Return the path inside the token of something that is sent by its path."""
    return str(msgspec.json.decode(token)["path"])


def _covered(program: MiniProgram, placed: Placed) -> str:
    picture = library_media(program.media)
    length = int(placed.rawtotalsize or picture.size)
    cover = Cover(placed.fileid, placed.aeskey, placed.rawfilemd5, length, picture.width, picture.height)
    return compose_mini_program(program, cover=cover)
