"""Every call of web WeChat with its structs, envelopes and Ret codes, in the vendor's words and spelling.

`login`, `contacts`, `session` (start and sync), `sending` and `media` hold the calls of our client, `foreign` those
that only other clients make. `base`, `envelopes` and `endpoints` hold the parts that calls share, `content` the text
and XML inside of messages, `hosts` the host of each role.
"""

from yizhan.platforms.webwechat.wire.base import *  # noqa: F403
from yizhan.platforms.webwechat.wire.contacts import *  # noqa: F403
from yizhan.platforms.webwechat.wire.content import *  # noqa: F403
from yizhan.platforms.webwechat.wire.envelopes import *  # noqa: F403
from yizhan.platforms.webwechat.wire.foreign import *  # noqa: F403
from yizhan.platforms.webwechat.wire.hosts import *  # noqa: F403
from yizhan.platforms.webwechat.wire.login import *  # noqa: F403
from yizhan.platforms.webwechat.wire.media import *  # noqa: F403
from yizhan.platforms.webwechat.wire.sending import *  # noqa: F403
from yizhan.platforms.webwechat.wire.session import *  # noqa: F403
