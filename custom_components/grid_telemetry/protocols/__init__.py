"""Protocols and their servers, without Home Assistant and without anything of the integration."""
