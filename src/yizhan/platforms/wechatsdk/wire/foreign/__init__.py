"""Calls that only other programs' clients make; the sandbox serves them, and `Adapter.call` sends them."""

from yizhan.platforms.wechatsdk.wire.foreign.account import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.foreign.cdn import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.foreign.contacts import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.foreign.groups import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.foreign.labels import *  # noqa: F403
from yizhan.platforms.wechatsdk.wire.foreign.messages import *  # noqa: F403
