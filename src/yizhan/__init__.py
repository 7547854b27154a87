"""yizhan sends messages and files over WeChat and QQ: upload once, send to many, and prove what happened.

async with yizhan.open("data") as yz:
    await yz.add_account("qqbot.main", app_id="…", secret="…")
    receipt = await yz.send("qqbot.main/group/GROUP_OPENID", Image("a.png"), "good morning")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from yizhan.version import __version__ as __version__

if TYPE_CHECKING:
    from yizhan.blocking import (
        Blocking as Blocking,
        BlockingBroadcast as BlockingBroadcast,
    )
    from yizhan.engine import Engine as Engine
    from yizhan.errors import (
        ConfigError as ConfigError,
        ContentRefused as ContentRefused,
        DeliveryFailed as DeliveryFailed,
        Duplicate as Duplicate,
        HandleExpired as HandleExpired,
        LoginNeeded as LoginNeeded,
        MediaDamaged as MediaDamaged,
        MediaFormat as MediaFormat,
        MediaTooLarge as MediaTooLarge,
        NotAllowed as NotAllowed,
        NotAsAnnounced as NotAsAnnounced,
        OutcomeUnknown as OutcomeUnknown,
        PlatformError as PlatformError,
        Refused as Refused,
        Rejected as Rejected,
        StorageError as StorageError,
        TargetGone as TargetGone,
        Throttled as Throttled,
        Unavailable as Unavailable,
        UnknownAccount as UnknownAccount,
        UnknownTarget as UnknownTarget,
        Unsupported as Unsupported,
        WindowClosed as WindowClosed,
        WireMismatch as WireMismatch,
        YizhanError as YizhanError,
    )
    from yizhan.media.references import Trust as Trust
    from yizhan.media.share import ShareSettings as ShareSettings
    from yizhan.model import (
        Button as Button,
        Buttons as Buttons,
        Card as Card,
        ChannelVideo as ChannelVideo,
        ContactCard as ContactCard,
        Event as Event,
        EventKind as EventKind,
        File as File,
        Forward as Forward,
        Image as Image,
        Link as Link,
        Markdown as Markdown,
        Media as Media,
        Mention as Mention,
        Message as Message,
        MiniProgram as MiniProgram,
        Native as Native,
        Quote as Quote,
        Receipt as Receipt,
        Reply as Reply,
        State as State,
        Sticker as Sticker,
        Target as Target,
        Text as Text,
        Video as Video,
        Voice as Voice,
    )
    from yizhan.opening import (
        open as open,
        open_blocking as open_blocking,
    )
    from yizhan.broadcasts.broadcast import Broadcast as Broadcast
    from yizhan.broadcasts.broadcasts import Broadcasts as Broadcasts
    from yizhan.broadcasts.options import (
        BroadcastOptions as BroadcastOptions,
        PauseAfter as PauseAfter,
        QuietHours as QuietHours,
    )
    from yizhan.broadcasts.plan import BroadcastPlan as BroadcastPlan
    from yizhan.broadcasts.report import BroadcastReport as BroadcastReport
    from yizhan.broadcasts.rows import (
        Recipient as Recipient,
        RecipientState as RecipientState,
    )
    from yizhan.broadcasts.states import (
        BroadcastState as BroadcastState,
        PauseReason as PauseReason,
    )
    from yizhan.sending.decide import Policy as Policy
    from yizhan.sending.plan import Plan as Plan

_HOME_OF = {
    "Blocking": "yizhan.blocking",
    "BlockingBroadcast": "yizhan.blocking",
    "Broadcast": "yizhan.broadcasts.broadcast",
    "BroadcastOptions": "yizhan.broadcasts.options",
    "BroadcastPlan": "yizhan.broadcasts.plan",
    "BroadcastReport": "yizhan.broadcasts.report",
    "BroadcastState": "yizhan.broadcasts.states",
    "Broadcasts": "yizhan.broadcasts.broadcasts",
    "Button": "yizhan.model",
    "Buttons": "yizhan.model",
    "Card": "yizhan.model",
    "ChannelVideo": "yizhan.model",
    "ConfigError": "yizhan.errors",
    "ContactCard": "yizhan.model",
    "ContentRefused": "yizhan.errors",
    "DeliveryFailed": "yizhan.errors",
    "Duplicate": "yizhan.errors",
    "Engine": "yizhan.engine",
    "Event": "yizhan.model",
    "EventKind": "yizhan.model",
    "File": "yizhan.model",
    "Forward": "yizhan.model",
    "HandleExpired": "yizhan.errors",
    "Image": "yizhan.model",
    "Link": "yizhan.model",
    "LoginNeeded": "yizhan.errors",
    "Markdown": "yizhan.model",
    "Media": "yizhan.model",
    "MediaDamaged": "yizhan.errors",
    "MediaFormat": "yizhan.errors",
    "MediaTooLarge": "yizhan.errors",
    "Mention": "yizhan.model",
    "Message": "yizhan.model",
    "MiniProgram": "yizhan.model",
    "Native": "yizhan.model",
    "NotAllowed": "yizhan.errors",
    "NotAsAnnounced": "yizhan.errors",
    "OutcomeUnknown": "yizhan.errors",
    "PauseAfter": "yizhan.broadcasts.options",
    "PauseReason": "yizhan.broadcasts.states",
    "Plan": "yizhan.sending.plan",
    "PlatformError": "yizhan.errors",
    "Policy": "yizhan.sending.decide",
    "QuietHours": "yizhan.broadcasts.options",
    "Quote": "yizhan.model",
    "Receipt": "yizhan.model",
    "Recipient": "yizhan.broadcasts.rows",
    "RecipientState": "yizhan.broadcasts.rows",
    "Refused": "yizhan.errors",
    "Rejected": "yizhan.errors",
    "Reply": "yizhan.model",
    "ShareSettings": "yizhan.media.share",
    "State": "yizhan.model",
    "Sticker": "yizhan.model",
    "StorageError": "yizhan.errors",
    "Target": "yizhan.model",
    "TargetGone": "yizhan.errors",
    "Text": "yizhan.model",
    "Throttled": "yizhan.errors",
    "Trust": "yizhan.media.references",
    "Unavailable": "yizhan.errors",
    "UnknownAccount": "yizhan.errors",
    "UnknownTarget": "yizhan.errors",
    "Unsupported": "yizhan.errors",
    "Video": "yizhan.model",
    "Voice": "yizhan.model",
    "WindowClosed": "yizhan.errors",
    "WireMismatch": "yizhan.errors",
    "YizhanError": "yizhan.errors",
    "open": "yizhan.opening",
    "open_blocking": "yizhan.opening",
}
"""The module of every public name. The imports above say the same to type checkers; a test compares the two."""

__all__ = sorted(_HOME_OF)  # noqa: PLE0605


if not TYPE_CHECKING:

    def __getattr__(name):
        """Load a public name on first use, so that `import yizhan` stays light."""
        if name not in _HOME_OF:
            raise AttributeError(f"module 'yizhan' has no attribute '{name}'")
        value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
        return value


def __dir__() -> list[str]:
    return list(__all__)
