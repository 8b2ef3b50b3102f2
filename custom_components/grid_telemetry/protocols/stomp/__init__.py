"""STOMP: frames without I/O, and a client over WebSocket. Nothing of Home Assistant in it."""
