"""The client end of one account: `Adapter` is what the engine drives, `WebWx` the raw calls.

connection (what they go out over, under one login) · login (by the phone) · saved (how a login is kept) · receive (the
sync loop)
"""

from yizhan.platforms.webwechat.client.adapter import Adapter
from yizhan.platforms.webwechat.client.calls import WebWx

__all__ = ["Adapter", "WebWx"]
