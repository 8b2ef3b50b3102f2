"""Tests of the SolarNode link."""
