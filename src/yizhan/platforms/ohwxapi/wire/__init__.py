"""The wire of ohwxapi: one path, `/v2/api`; the operation is the integer `CgiCmd`, its parameters are `CgiRequest`.

Sources: the vendor's pages "send APP message", "upload CDN file", "send card" and table of contents, and six public
clients. Most pages could not be read: undocumented parts are marked as proposals.
"""

from yizhan.platforms.ohwxapi.wire.cdn import *  # noqa: F403
from yizhan.platforms.ohwxapi.wire.envelope import *  # noqa: F403
from yizhan.platforms.ohwxapi.wire.foreign import *  # noqa: F403
from yizhan.platforms.ohwxapi.wire.frames import *  # noqa: F403
from yizhan.platforms.ohwxapi.wire.login import *  # noqa: F403
from yizhan.platforms.ohwxapi.wire.sending import *  # noqa: F403
