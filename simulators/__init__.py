"""Stand-ins for meters and platforms, and what runs them beside a real Home Assistant."""
