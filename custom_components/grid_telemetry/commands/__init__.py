"""Setup commands: what the outside may ask of Home Assistant, by whichever way it comes."""
