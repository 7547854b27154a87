"""yizhan: hand a message or a file over once; it reaches everyone it is for, and you can prove what happened."""

from __future__ import annotations

__version__ = "0.1.0"
