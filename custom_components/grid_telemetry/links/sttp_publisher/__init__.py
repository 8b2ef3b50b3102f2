"""STTP publisher (IEEE 2664)."""
