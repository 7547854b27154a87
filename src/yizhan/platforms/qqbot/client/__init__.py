"""The client end of the QQ bot platform.

api (every call, with its token) · bot, calls, sdk (the calls by place, and under the vendor's SDK names) · tokens (the
access token) · adapter (driven by the engine) · sender (parts of messages) · upload, unfinished_uploads, digests (in
chunks, continued after a crash) · link_uploads (received media by their link) · gateway, session (the event socket) ·
event_queue · presses (acknowledged buttons) · sent_references (recognized quotes)
"""

from yizhan.platforms.qqbot.client.adapter import Adapter
from yizhan.platforms.qqbot.client.bot import Bot

__all__ = ["Adapter", "Bot"]
