"""Messages both ways, the configuration of a conversation, typing, and presence."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Struct

from yizhan.model.secret import Secret
from yizhan.platforms.ilink.wire.base import SOURCE, BaseInfo
from yizhan.platforms.ilink.wire.envelope import ENVELOPE
from yizhan.platforms.ilink.wire.items import WeixinMessage
from yizhan.wire import Endpoint

# sendtyping status
TYPING, TYPING_STOP = 1, 2


class GetUpdates(Struct, omit_defaults=True):
    get_updates_buf: Annotated[str | None, Secret()] = None
    """Cursor; an empty text at first. It has the bot token in clear, and so is a secret."""
    base_info: BaseInfo | None = None


class Updates(Struct, omit_defaults=True):
    msgs: list[Any] | None = None
    """`WeixinMessage` each; they are read one by one, so that an odd message does not block the others."""
    sync_buf: str | None = None
    get_updates_buf: Annotated[str | None, Secret()] = None
    """The next cursor; it replaces the stored one unless it is empty."""
    longpolling_timeout_ms: int | None = None


class SendMessage(Struct, omit_defaults=True):
    msg: WeixinMessage | None = None
    base_info: BaseInfo | None = None


class Sent(Struct, omit_defaults=True):
    message_id: int | str | None = None
    """Missing where the message was accepted and not delivered (threads Tencent/openclaw-weixin#264, #268)."""


class GetConfig(Struct, omit_defaults=True):
    ilink_user_id: str | None = None
    context_token: Annotated[str | None, Secret()] = None
    base_info: BaseInfo | None = None


class Config(Struct, omit_defaults=True):
    ret: int | None = None
    """Present and 0, unlike elsewhere: the official client wants it so."""
    typing_ticket: Annotated[str | None, Secret()] = None


class SendTyping(Struct, omit_defaults=True):
    ilink_user_id: str | None = None
    typing_ticket: Annotated[str | None, Secret()] = None
    status: int | None = None
    base_info: BaseInfo | None = None


class Notify(Struct, omit_defaults=True):
    base_info: BaseInfo | None = None


class Done(Struct, omit_defaults=True):
    ret: int | None = None


GET_UPDATES: Endpoint[GetUpdates, Updates] = Endpoint(
    "getupdates", "POST", "/ilink/bot/getupdates", GetUpdates, Updates, ENVELOPE, SOURCE, timeout=40.0
)
SEND_MESSAGE: Endpoint[SendMessage, Sent] = Endpoint(
    "sendmessage",
    "POST",
    "/ilink/bot/sendmessage",
    SendMessage,
    Sent,
    ENVELOPE,
    SOURCE,
    acts=True,
    target="msg.to_user_id",
    timeout=15.0,
)
GET_CONFIG: Endpoint[GetConfig, Config] = Endpoint(
    "getconfig",
    "POST",
    "/ilink/bot/getconfig",
    GetConfig,
    Config,
    ENVELOPE,
    SOURCE,
    target="ilink_user_id",
    timeout=10.0,
)
SEND_TYPING: Endpoint[SendTyping, Done] = Endpoint(
    "sendtyping",
    "POST",
    "/ilink/bot/sendtyping",
    SendTyping,
    Done,
    ENVELOPE,
    SOURCE,
    target="ilink_user_id",
    timeout=10.0,
)
NOTIFY_START: Endpoint[Notify, Done] = Endpoint(
    "notifystart", "POST", "/ilink/bot/msg/notifystart", Notify, Done, ENVELOPE, SOURCE, timeout=10.0
)
NOTIFY_STOP: Endpoint[Notify, Done] = Endpoint(
    "notifystop", "POST", "/ilink/bot/msg/notifystop", Notify, Done, ENVELOPE, SOURCE, timeout=10.0
)
