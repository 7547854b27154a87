"""The client end of one account.

`adapter` is driven by the engine. `connection` sends calls under a `session`, `calls` names them; `login`, `contacts`,
`uploads`, `downloads` and `receive` use them.
"""

from yizhan.platforms.webwechat.client.adapter import Adapter
from yizhan.platforms.webwechat.client.calls import WebWx

__all__ = ["Adapter", "WebWx"]
