"""Every call of the local "type" API, split by the vendor's chapters. One path; the number in `type` says which."""

from yizhan.platforms.wechatsdk.wire.account import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.cdn import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.contacts import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.envelope import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.groups import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.handlers import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.labels import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.messages import *  # noqa: F403
