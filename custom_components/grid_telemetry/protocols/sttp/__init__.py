"""STTP (IEEE 2664), the Streaming Telemetry Transport Protocol: a publisher and a subscriber.

Standard library and asyncio only, nothing of Home Assistant in it.
"""
