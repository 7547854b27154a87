"""The call that fetches the media of a received message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.client.session import Session
from yizhan.platforms.webwechat.wire.content import encry_file_name
from yizhan.platforms.webwechat.wire.session import MessageType
from yizhan.wire import Endpoint, RawAnswer

ALL_BYTES = "bytes=0-"
"""The service returns a video only to a request with a Range."""


def download_call(reference: Mapping[str, Any], session: Session) -> tuple[Endpoint[Any, RawAnswer], Struct] | None:
    """Return endpoint and request that fetch the media of a `Forward` reference; None if it has no bytes."""
    message_id = str(reference.get("msg_id", ""))
    match reference.get("msg_type"):
        case MessageType.IMAGE:
            return wire.GET_IMAGE, wire.GetImage(MsgID=message_id)
        case MessageType.EMOTICON:
            return wire.GET_IMAGE, wire.GetImage(MsgID=message_id, type="big")
        case MessageType.VOICE:
            return wire.GET_VOICE, wire.GetVoice(msgid=message_id, range=ALL_BYTES)
        case MessageType.VIDEO | MessageType.SHORT_VIDEO:
            return wire.GET_VIDEO, wire.GetVideo(msgid=message_id, range=ALL_BYTES)
        case MessageType.APP if reference.get("media_id"):
            return wire.GET_MEDIA, wire.GetMedia(
                sender=str(reference.get("sender", "")),
                mediaid=str(reference["media_id"]),
                encryfilename=encry_file_name(str(reference.get("file_name", ""))),
                fromuser=session.uin,
            )
    return None
