"""Every call of web WeChat, its structs, its envelopes and its Ret codes, in the vendor's words and spelling.

Along the chapters of the vendor: `login`, `contacts`, `session` (start, sync), `sending`, `media`, `other`;
`base` has what all share, `content` what stands inside of messages, `hosts` who serves what.
"""

from yizhan.platforms.webwechat.wire.base import *  # noqa: F403
from yizhan.platforms.webwechat.wire.contacts import *  # noqa: F403
from yizhan.platforms.webwechat.wire.content import *  # noqa: F403
from yizhan.platforms.webwechat.wire.hosts import *  # noqa: F403
from yizhan.platforms.webwechat.wire.login import *  # noqa: F403
from yizhan.platforms.webwechat.wire.media import *  # noqa: F403
from yizhan.platforms.webwechat.wire.other import *  # noqa: F403
from yizhan.platforms.webwechat.wire.sending import *  # noqa: F403
from yizhan.platforms.webwechat.wire.session import *  # noqa: F403
