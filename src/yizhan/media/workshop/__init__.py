"""Where media are converted: processes of their own, with bounded memory and time, that may fail without harm.

Decoders read whatever strangers send. One that hangs, eats memory or crashes takes its own process with it, and the
error names the step that it was at.
"""

from yizhan.media.workshop.workers import Caps, Made, Workshop

__all__ = ["Caps", "Made", "Workshop"]
