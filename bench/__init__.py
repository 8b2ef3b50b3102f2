"""Measured comparisons; each module prints its lines, a ratio against a peer in the same run."""
