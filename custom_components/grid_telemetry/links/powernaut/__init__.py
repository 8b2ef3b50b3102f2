"""Powernaut: power and state of charge out, activations in."""
