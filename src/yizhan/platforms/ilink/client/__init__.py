"""The client end of one bot: `Adapter` is what the engine drives, `Calls` the raw calls.

login (a code is scanned) · poll (what comes in)
"""

from yizhan.platforms.ilink.client.adapter import Adapter
from yizhan.platforms.ilink.client.calls import Calls

__all__ = ["Adapter", "Calls"]
