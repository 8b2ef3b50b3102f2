"""Ardexa: live feeds as sensors, remote operations as actions."""
