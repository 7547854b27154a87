"""yizhan sends messages and files over WeChat and QQ: upload once, send to many, and prove what happened.

async with yizhan.open("data") as yz:
    await yz.add_account("qqbot.main", app_id="…", secret="…")
    receipt = await yz.send("qqbot.main/group/GROUP_OPENID", Image("a.png"), "good morning")
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from yizhan.version import __version__ as __version__

if TYPE_CHECKING:
    # The list of the public names. Type checkers read it, and so does `_modules`, for the names are loaded lazily.
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


@cache
def _modules() -> dict[str, str]:
    """Return the module of each public name, read from the imports above."""
    import ast
    import pkgutil

    tree = ast.parse(pkgutil.get_data(__name__, "__init__.py") or b"")
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    public = {alias.asname: str(node.module) for node in imports for alias in node.names if alias.asname}
    return {name: module for name, module in sorted(public.items()) if name != "__version__"}


if not TYPE_CHECKING:

    def __getattr__(name):
        """Load a public name on first use, so that `import yizhan` stays light."""
        if name == "__all__":
            return list(_modules())
        if name.startswith("_") or name not in _modules():
            raise AttributeError(f"module 'yizhan' has no attribute '{name}'")
        value = globals()[name] = getattr(import_module(_modules()[name]), name)
        return value


def __dir__() -> list[str]:
    return list(_modules())
