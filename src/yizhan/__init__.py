"""yizhan: hand a message or a file over once; it reaches everyone it is for, and you can prove what happened.

async with yizhan.open("data") as yz:
    await yz.add_account("qqbot.main", app_id="…", secret="…")
    receipt = await yz.send("qqbot.main/group/GROUP_OPENID", Image("a.png"), "good morning")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from yizhan.blocking import Blocking
    from yizhan.engine import Engine
    from yizhan.errors import (
        ConfigError,
        DeliveryFailed,
        LoginNeeded,
        MediaFormat,
        MediaTooLarge,
        PlatformError,
        Refused,
        StorageError,
        UnknownAccount,
        UnknownTarget,
        Unsupported,
        YizhanError,
    )
    from yizhan.model import (
        Button,
        Buttons,
        Card,
        ChannelVideo,
        ContactCard,
        Event,
        EventKind,
        File,
        Forward,
        Image,
        Link,
        Markdown,
        Media,
        Mention,
        Message,
        MiniProgram,
        Native,
        Quote,
        Receipt,
        Reply,
        State,
        Sticker,
        Target,
        Text,
        Video,
        Voice,
    )
    from yizhan.opening import open, open_blocking
    from yizhan.sending.broadcast import Broadcast
    from yizhan.sending.plan import Plan

__version__ = "0.1.0"

_HOMES = {
    "yizhan.blocking": ("Blocking",),
    "yizhan.sending.broadcast": ("Broadcast",),
    "yizhan.sending.plan": ("Plan",),
    "yizhan.engine": ("Engine",),
    "yizhan.errors": (
        "ConfigError",
        "DeliveryFailed",
        "LoginNeeded",
        "Markdown",
        "MediaFormat",
        "MediaTooLarge",
        "PlatformError",
        "Refused",
        "StorageError",
        "UnknownAccount",
        "UnknownTarget",
        "Unsupported",
        "YizhanError",
    ),
    "yizhan.opening": ("open", "open_blocking"),
    "yizhan.model": (
        "Button",
        "Buttons",
        "Card",
        "ChannelVideo",
        "ContactCard",
        "Event",
        "EventKind",
        "File",
        "Forward",
        "Image",
        "Link",
        "Markdown",
        "Media",
        "Mention",
        "Message",
        "MiniProgram",
        "Native",
        "Quote",
        "Receipt",
        "Reply",
        "State",
        "Sticker",
        "Target",
        "Text",
        "Video",
        "Voice",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Blocking",
    "Broadcast",
    "Button",
    "Buttons",
    "Card",
    "ChannelVideo",
    "ConfigError",
    "ContactCard",
    "DeliveryFailed",
    "Engine",
    "Event",
    "EventKind",
    "File",
    "Forward",
    "Image",
    "Link",
    "LoginNeeded",
    "Markdown",
    "Media",
    "MediaFormat",
    "MediaTooLarge",
    "Mention",
    "Message",
    "MiniProgram",
    "Native",
    "Plan",
    "PlatformError",
    "Quote",
    "Receipt",
    "Refused",
    "Reply",
    "State",
    "Sticker",
    "StorageError",
    "Target",
    "Text",
    "UnknownAccount",
    "UnknownTarget",
    "Unsupported",
    "Video",
    "Voice",
    "YizhanError",
    "open",
    "open_blocking",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that `import yizhan` stays light."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'yizhan' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
