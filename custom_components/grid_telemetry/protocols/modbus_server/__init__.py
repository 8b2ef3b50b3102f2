"""The server's side of Modbus: frames, and servers on TCP and serial lines.

Nothing of Home Assistant in it. pymodbus, which is there for clients, is not used to serve: of
requests sent at once it answers the first only, a truncated one writes a traceback into the log,
its serial server wants a library that Home Assistant no longer has, and it lets everybody in.
"""
