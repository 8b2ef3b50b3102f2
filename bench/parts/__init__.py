"""Processes that a bench starts for itself."""
