"""Circutor Scout: metrics, attributes, events and waveforms, delivered durably."""
