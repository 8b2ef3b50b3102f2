"""STTP subscriber (IEEE 2664)."""
