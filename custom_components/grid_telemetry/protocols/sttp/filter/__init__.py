"""Filter expressions of STTP: which rows of a table a subscriber asks for.

Statements are joined by semicolons, each one of: a GUID, a measurement key such as PPA:12, a point
tag; FILTER [TOP n] table WHERE condition [ORDER BY column [ASC|DESC], …]; or a bare condition on
the primary table. Keywords, names and text are case-insensitive as in the reference; AND goes
before OR.

A subscriber may be anybody, so what it asks for is bounded in length, terms, depth and time, and
regular expressions, which can be made to run for hours, are refused.
"""

from .selection import MAX_LENGTH, Names, select
from .tokens import FilterError

__all__ = ["MAX_LENGTH", "FilterError", "Names", "select"]
