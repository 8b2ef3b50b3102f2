"""Frames of Modbus TCP and RTU as a server sees them, and the answers to the requests in them."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
import struct
from typing import Final, Protocol

MOST_REGISTERS: Final = 125
"""That one answer can hold."""

_READS: Final = (3, 4)
_EXCEPTION: Final = 0x80
_MBAP: Final = struct.Struct(">HHHB")
_MOST_PDU: Final = 253
_MOST_RTU: Final = 256
# Requests of one length, with unit and checksum; those that write several values tell theirs.
_LENGTHS: Final = dict.fromkeys(range(1, 7), 8)
_COUNTED: Final = (15, 16)


class ExceptionCode(IntEnum):
    """Why a request is refused."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    GATEWAY_NO_RESPONSE = 11


class RequestRefusedError(Exception):
    """A request is answered with an exception code."""

    def __init__(self, code: ExceptionCode) -> None:
        """Remember the code."""
        super().__init__(code.name)
        self.code = code


class FramingError(Exception):
    """What came is no Modbus, and where the next request begins cannot be told."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a unit; `transaction` is what Modbus TCP numbers it by."""

    unit: int
    pdu: bytes
    transaction: int = 0


type ReadRegisters = Callable[[int, int, int], Sequence[int]]
"""Returns the registers that function, address and count ask for; raises `RequestRefusedError`."""


def answer(pdu: bytes, read: ReadRegisters) -> bytes:
    """Return the answer to a request, which only reads; raises `RequestRefusedError`."""
    function = pdu[0]
    if function not in _READS:
        raise RequestRefusedError(ExceptionCode.ILLEGAL_FUNCTION)
    if len(pdu) != 5:
        raise RequestRefusedError(ExceptionCode.ILLEGAL_VALUE)
    address, count = struct.unpack(">HH", pdu[1:])
    if not 1 <= count <= MOST_REGISTERS:
        raise RequestRefusedError(ExceptionCode.ILLEGAL_VALUE)
    return struct.pack(f">BB{count}H", function, 2 * count, *read(function, address, count))


def refusal(pdu: bytes, code: ExceptionCode) -> bytes:
    """Return the answer that refuses a request."""
    return bytes((pdu[0] | _EXCEPTION, code))


class Framer(Protocol):
    """Finds requests in what comes, and frames the answers."""

    def feed(self, data: bytes) -> Iterator[Request]:
        """Yield the requests that are complete now; raises `FramingError`."""

    def frame(self, request: Request, pdu: bytes) -> bytes:
        """Return an answer as it is sent."""


class TcpFramer:
    """Finds the requests in the bytes of a Modbus TCP connection."""

    def __init__(self) -> None:
        """Begin with an empty connection."""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Request]:
        """Yield the requests that are complete now; raises `FramingError`."""
        self._buffer += data
        while len(self._buffer) >= _MBAP.size:
            transaction, protocol, length, unit = _MBAP.unpack_from(self._buffer)
            # The length counts the unit.
            if protocol != 0 or not 2 <= length <= _MOST_PDU + 1:
                raise FramingError
            end = _MBAP.size - 1 + length
            if len(self._buffer) < end:
                return
            pdu = bytes(self._buffer[_MBAP.size : end])
            del self._buffer[:end]
            yield Request(unit, pdu, transaction)

    def frame(self, request: Request, pdu: bytes) -> bytes:
        """Return an answer as it is sent."""
        return _MBAP.pack(request.transaction, 0, len(pdu) + 1, request.unit) + pdu


class RtuFramer:
    """Finds the requests to our units among all that goes over a serial line.

    A request has no mark at its start, and answers of other units are on the line too, so one is
    looked for at every byte; its checksum tells it from what only looks like one.
    """

    def __init__(self, units: Collection[int]) -> None:
        """Take the units that are served; nobody else's requests are for us to answer."""
        self._units = units
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[Request]:
        """Yield the requests that are complete now."""
        self._buffer = (self._buffer + data)[-2 * _MOST_RTU :]
        start = 0
        while start < len(self._buffer):
            end = self._end(start)
            if end is not None and crc(self._buffer[start:end]) == 0:
                request = Request(self._buffer[start], self._buffer[start + 1 : end - 2])
                self._buffer = self._buffer[end:]
                start = 0
                yield request
            else:
                start += 1
        self._buffer = self._buffer[-_MOST_RTU:]

    def _end(self, start: int) -> int | None:
        """Return where a request that starts here would end, None if it cannot have come yet."""
        buffer = self._buffer
        if buffer[start] not in self._units or len(buffer) < start + 8:
            return None
        function = buffer[start + 1]
        length = 9 + buffer[start + 6] if function in _COUNTED else _LENGTHS.get(function)
        if length is None or len(buffer) < start + length:
            return None
        return start + length

    def frame(self, request: Request, pdu: bytes) -> bytes:
        """Return an answer as it is sent."""
        frame = bytes((request.unit,)) + pdu
        return frame + crc(frame).to_bytes(2, "little")


def crc(data: bytes) -> int:
    """Return the checksum of RTU; that of a frame with its own checksum is 0."""
    value = 0xFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value


def _crc_of(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC: Final = tuple(_crc_of(byte) for byte in range(256))
