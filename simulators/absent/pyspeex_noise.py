"""Noise suppression: there to be imported."""


class AudioProcessor:
    """Never made here."""
