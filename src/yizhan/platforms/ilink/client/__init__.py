"""The client end of one bot: `Adapter` for the engine, `Calls` for raw calls.

login (a code is scanned) · poll (receiving) · window
"""

from yizhan.platforms.ilink.client.adapter import Adapter
from yizhan.platforms.ilink.client.calls import Calls

__all__ = ["Adapter", "Calls"]
