"""Tests of the Modbus link."""
