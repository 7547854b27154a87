"""The client end: `Bot` has the raw calls and needs nothing else; `Adapter` is what the engine drives.

tokens (the access token) · upload, unfinished (in chunks, and what is kept of them) · links (received media by their
link) · gateway, inbox (what comes in)
"""

from yizhan.platforms.qqbot.client.adapter import Adapter
from yizhan.platforms.qqbot.client.bot import Bot

__all__ = ["Adapter", "Bot"]
