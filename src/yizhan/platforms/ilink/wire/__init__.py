"""Every call of iLink as values: structs, envelopes, faults. The vendor's words, spelled the vendor's way.

Sources: package @tencent-weixin/openclaw-weixin 2.4.9 (`src/api/api.ts`, `src/api/types.ts`, `src/auth/login-qr.ts`,
`src/cdn/*.ts`), and where that is silent the threads and write-ups named beside the fact. Along its chapters: `login`,
`messages`, `media`; `base` has what all calls share, `items` what messages are made of, `envelope` how it says no.
"""

from yizhan.platforms.ilink.wire.base import *  # noqa: F403
from yizhan.platforms.ilink.wire.envelope import *  # noqa: F403
from yizhan.platforms.ilink.wire.items import *  # noqa: F403
from yizhan.platforms.ilink.wire.login import *  # noqa: F403
from yizhan.platforms.ilink.wire.media import *  # noqa: F403
from yizhan.platforms.ilink.wire.messages import *  # noqa: F403
