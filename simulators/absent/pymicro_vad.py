"""Voice detection: there to be imported."""


class MicroVad:
    """Never made here."""
