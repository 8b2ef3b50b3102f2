"""Tests of the programs for whoever works on the register maps."""
