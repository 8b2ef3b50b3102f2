"""Modbus meters as sensors."""
