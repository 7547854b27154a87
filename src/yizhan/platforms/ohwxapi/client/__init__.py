"""The client end of one account behind a gateway: `Adapter`, for the engine; its `run` gives any command.

line (the WebSocket: pushes, and commands where a gateway takes them there only) · download (bytes inside of an answer)
"""

from yizhan.platforms.ohwxapi.client.adapter import Adapter

__all__ = ["Adapter"]
