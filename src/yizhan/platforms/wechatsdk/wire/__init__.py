"""Every call of the local "type" API, by the vendor's chapters: one path, the number in `type` names the call."""

from yizhan.platforms.wechatsdk.wire.account import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.cdn import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.envelope import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.foreign import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.handlers import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.messages import *  # noqa: F403
