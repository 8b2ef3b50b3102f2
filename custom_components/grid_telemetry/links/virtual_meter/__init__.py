"""The virtual meter: sensors as a Modbus meter."""
