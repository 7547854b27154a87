"""Forwarding received messages by reference, and bodies that the user wrote for a sending call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from yizhan.errors import Unsupported
from yizhan.model import Target
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.convert.draft import FROM_THE_SEND, Draft
from yizhan.platforms.webwechat.wire.content import MD5, CdnReference, compose_file_card, image_xml
from yizhan.platforms.webwechat.wire.sending import FORWARDED, Outgoing
from yizhan.platforms.webwechat.wire.session import AppMessageType, MessageType
from yizhan.wire import explain
from yizhan.wire.filename import safe_name


def forward_draft(kind: str, reference: Mapping[str, Any]) -> Draft | None:
    """Return the draft that forwards a received message; None if the wire cannot forward it."""
    content = str(reference.get("content", ""))
    match kind:
        case "text" if content:
            return Draft("webwxsendmsg", MessageType.TEXT, content, scene=FORWARDED)
        case "location" if content:
            return Draft("webwxsendmsg", MessageType.LOCATION, content, scene=FORWARDED)
        case "image" if content or (content := _image_content(reference)):
            return Draft("webwxsendmsgimg", MessageType.IMAGE, content, scene=FORWARDED)
        case "video" if content:
            return Draft("webwxsendvideomsg", MessageType.VIDEO, content, scene=FORWARDED)
        case "sticker" if MD5.fullmatch(str(reference.get("md5", ""))):
            return Draft("webwxsendemoticon", MessageType.EMOTICON, md5=str(reference["md5"]))
        case "link" if content:
            return Draft("webwxsendappmsg", AppMessageType.LINK, content, scene=FORWARDED)
        case "file" if reference.get("media_id"):
            return Draft("webwxsendappmsg", AppMessageType.FILE, _file_content(reference), scene=FORWARDED)
    return None


def _image_content(reference: Mapping[str, Any]) -> str:
    """Return the Content of a picture of which only the CDN reference is known; empty without one."""
    cdn = CdnReference(*(str(reference.get(name, "")) for name in ("aeskey", "cdnthumburl", "md5")))
    return image_xml(cdn, 0) if cdn.aeskey and cdn.url else ""


def _file_content(reference: Mapping[str, Any]) -> str:
    size = str(reference.get("file_size", ""))
    name = safe_name(str(reference.get("file_name", "")))
    return compose_file_card(name, int(size) if re.fullmatch("[0-9]{1,15}", size) else 0, str(reference["media_id"]))


def native_draft(target: Target, call: str, body: Mapping[str, Any]) -> Draft:
    """Return the draft of a body that the user wrote: the whole request, or the members of `Msg`.

    Raises:
        Unsupported: `call` does not send, or the body does not fit it.
    """
    if call not in wire.SENDING:
        raise Unsupported(f"{target}: there is no sending call '{call}'. There are: {', '.join(wire.SENDING)}.")
    members, scene = body.get("Msg", body), body.get("Scene", 0)
    if not isinstance(members, Mapping) or not isinstance(scene, int):
        raise Unsupported(f'{target}: {call}: expected {{"Msg": {{…}}, "Scene": 0 or 2}}, or the members of Msg.')
    unknown = set(members) - set(Outgoing.__struct_fields__)
    if unknown:
        raise Unsupported(f"{target}: {call}: Msg has no member {', '.join(sorted(unknown))}.")
    try:
        msgspec.convert({**members, "ToUserName": ""}, Outgoing, strict=False)
    except msgspec.ValidationError as error:
        raise Unsupported(f"{target}: {call}: Msg does not fit the call: {explain(error)}.") from error
    native = {name: value for name, value in members.items() if name not in FROM_THE_SEND}
    return Draft(call, MessageType.TEXT, native=native, scene=scene)
