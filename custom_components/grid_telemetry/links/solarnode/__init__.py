"""A SolarNode: its readings as sensors, setup commands as an action."""
