"""The client end: `Bot` has the raw calls and needs nothing else; `Adapter` is what the engine drives."""

from yizhan.platforms.qqbot.client.adapter import Adapter
from yizhan.platforms.qqbot.client.bot import Bot

__all__ = ["Adapter", "Bot"]
