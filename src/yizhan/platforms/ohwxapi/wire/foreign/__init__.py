"""Calls that only other programs' clients make; the sandbox serves them, and `Adapter.call` sends them."""

from yizhan.platforms.ohwxapi.wire.foreign.first_generation import *  # noqa: F403
from yizhan.platforms.ohwxapi.wire.foreign.groups import *  # noqa: F403
from yizhan.platforms.ohwxapi.wire.foreign.moments import *  # noqa: F403
from yizhan.platforms.ohwxapi.wire.foreign.people import *  # noqa: F403
