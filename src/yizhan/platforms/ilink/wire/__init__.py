"""Every call of iLink as values: structs, envelopes, faults. The vendor's words, spelled the vendor's way.

Sources: package @tencent-weixin/openclaw-weixin 2.4.9 (`src/api/api.ts`, `src/api/types.ts`, `src/auth/login-qr.ts`,
`src/cdn/*.ts`), and for other facts the threads and articles named beside them. The calls are in `login`, `messages`
and `media`; `base` has their headers, `items` the message model, `envelope` the faults. Our client makes every call,
so there is no `foreign`.
"""

from yizhan.platforms.ilink.wire.base import *  # noqa: F403
from yizhan.platforms.ilink.wire.envelope import *  # noqa: F403
from yizhan.platforms.ilink.wire.items import *  # noqa: F403
from yizhan.platforms.ilink.wire.login import *  # noqa: F403
from yizhan.platforms.ilink.wire.media import *  # noqa: F403
from yizhan.platforms.ilink.wire.messages import *  # noqa: F403
