"""TSSC, the Time-Series Special Compression of STTP, in plain integers.

What a measurement shares with the one before is told in code words of one to eight bits; what is
left follows as whole bytes between them. Every signal counts the code words that follow it and
now and then gives the frequent ones the short forms, on both ends alike. A block starts with 85
and a u16 sequence number: 0 only with a new state, then 1 to 65,535, then 1 again.
"""

from .decoder import TsscDecoder
from .encoder import TsscEncoder

__all__ = ["TsscDecoder", "TsscEncoder"]
