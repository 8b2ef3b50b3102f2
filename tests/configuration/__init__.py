"""Configuration as data."""
