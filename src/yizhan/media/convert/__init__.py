"""Where media are converted: processes of their own, with bounded memory and time, that may fail without harm.

Decoders read whatever strangers send. One that hangs, eats memory or crashes takes its own process with it, and the
error names the step that it was at.
"""

from yizhan.media.convert.pool import Conversion, ConversionLimits, ConversionPool

__all__ = ["Conversion", "ConversionLimits", "ConversionPool"]
