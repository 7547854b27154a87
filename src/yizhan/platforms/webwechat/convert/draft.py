"""A `Msg` in the making: everything but the values that are known only when it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import UNSET

from yizhan.model import Quote, SendKey
from yizhan.platforms.webwechat import wire
from yizhan.platforms.webwechat.wire.content import compose_file_card
from yizhan.platforms.webwechat.wire.sending import Outgoing
from yizhan.platforms.wechat_xml import WEBWECHAT, compose_quote

FROM_THE_SEND = ("FromUserName", "ToUserName", "LocalID", "ClientMsgId")
"""Members of `Msg` that a native body cannot set."""
TICKS_PER_MILLISECOND = 10_000
SERIALS = 1_000_000_000
"""Serial numbers before they repeat, in ticks: 100 seconds."""


def client_message_id(key: SendKey) -> str:
    """Return LocalID and ClientMsgId of one send: 17 digits, a time in units of 100 ns.

    The page's script sends 17 digits, too: milliseconds and four more. The serial number of the part is added to the
    time, so that two sends of one moment have different ids; the id is up to 100 seconds ahead of the clock. It is the
    same at every attempt. A key without a time gives its token.
    """
    if not key.at:
        return str(key.token)
    return str(int(key.at * 1000) * TICKS_PER_MILLISECOND + key.serial % SERIALS)


@dataclass(frozen=True, slots=True)
class Draft:
    """The body of one part: a `Msg` without sender, receiver, ids and MediaId."""

    call: str
    type: int
    content: str = ""
    title: str = ""
    """Name of a file; its card is written when the MediaId is known."""
    size: int = 0
    md5: str = ""
    """Names an emoticon that the service knows."""
    scene: int = 0
    mentions: tuple[str, ...] = ()
    quote: Quote | None = None
    """The message that `content` answers in a quote card."""
    native: Mapping[str, Any] = field(default_factory=dict)
    """Members of `Msg` as the user gave them."""

    def outgoing(self, me: str, to: str, client_id: str, media_id: str = "", signature: str = "") -> Outgoing:
        """Return the complete `Msg`."""
        msg = Outgoing(Type=self.type, FromUserName=me, ToUserName=to, LocalID=client_id, ClientMsgId=client_id)
        match self.call:
            case "webwxsendmsg":
                msg.Content = self.content
            case "webwxsendemoticon":
                msg.EmojiFlag = wire.EMOJI_FLAG
                msg.MediaId, msg.EMoticonMd5 = (media_id, UNSET) if media_id else (UNSET, self.md5)
            case "webwxsendappmsg":
                msg.Content = self._card(to, media_id)
                if signature:
                    msg.Signature = signature
            case _:
                msg.MediaId, msg.Content = media_id, self.content
        return msgspec.structs.replace(msg, **self.native)

    def _card(self, to: str, media_id: str) -> str:
        if media_id:
            return compose_file_card(self.title, self.size, media_id)
        if self.quote is not None:
            return compose_quote(self.content, self.quote, WEBWECHAT, chat=to if to.startswith("@@") else "")
        return self.content
