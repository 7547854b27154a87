"""The client end of one account behind a local API: `Adapter`, for the engine; its `call` makes any call.

folder (files that both machines see) · listen, tcp (listeners for pushes)
"""

from yizhan.platforms.wechatsdk.client.adapter import Adapter

__all__ = ["Adapter"]
