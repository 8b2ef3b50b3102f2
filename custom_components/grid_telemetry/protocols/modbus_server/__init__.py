"""The server's side of Modbus: frames, and servers on TCP and serial lines.

After the Modbus Application Protocol V1.1b3, Modbus over Serial Line V1.02 and the Modbus TCP
Implementation Guide V1.0b. Of other libraries' servers none answers several requests sent at
once, has limits and allowed networks, and does without a serial library of its own.
"""

from .frames import ExceptionCode, Meter, NoAnswerError, RequestRefusedError
from .server import Asked, Health, Limits, Meters, SerialServer, TcpServer

__all__ = [
    "Asked",
    "ExceptionCode",
    "Health",
    "Limits",
    "Meter",
    "Meters",
    "NoAnswerError",
    "RequestRefusedError",
    "SerialServer",
    "TcpServer",
]
