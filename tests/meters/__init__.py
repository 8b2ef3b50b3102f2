"""Tests of the register maps."""
