"""Media conversion in separate processes with bounded memory and time.

Decoders read untrusted bytes. One that hangs, exhausts memory or crashes ends only its own process, and the error names
the step that failed.
"""

from yizhan.media.convert.pool import Conversion, ConversionLimits, ConversionPool

__all__ = ["Conversion", "ConversionLimits", "ConversionPool"]
