"""Frames of Modbus TCP and RTU as a server sees them, and the answers to the requests in them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
import struct
from typing import Final, Protocol

MOST_REGISTERS: Final = 125
"""That one answer can hold."""

_READS: Final = (3, 4)
_WRITE_REGISTER: Final = 6
_EXCEPTION: Final = 0x80
_MBAP: Final = struct.Struct(">HHHB")
_MOST_PDU: Final = 253
_MOST_RTU: Final = 256
# Requests of one length, with unit and checksum; those that write several values tell theirs.
_SHORTEST: Final = 8
_LENGTHS: Final = dict.fromkeys(range(1, 7), _SHORTEST)
_WRITE_REGISTERS: Final = 16
_COUNTED: Final = (15, _WRITE_REGISTERS)
_COUNT: Final = struct.Struct(">BHHB")


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


class NoAnswerError(Exception):
    """A request is not answered, as by a meter that is gone: some masters take only that for it."""


class FramingError(Exception):
    """What came is no Modbus, and where the next request begins cannot be told."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to a unit; `transaction` is what Modbus TCP numbers it by."""

    unit: int
    pdu: bytes
    transaction: int = 0


class Meter(Protocol):
    """The registers of a unit."""

    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        """Return holding (3) or input (4) registers.

        Raises `RequestRefusedError`, or `NoAnswerError`.
        """

    def write(self, address: int, words: Sequence[int]) -> None:
        """Write holding registers, all of them or none; raises `RequestRefusedError`."""


def answer(pdu: bytes, meter: Meter) -> bytes:
    """Return the answer to a request.

    Raises `RequestRefusedError`, or `NoAnswerError`.
    """
    function = pdu[0]
    if function in _READS:
        if len(pdu) != 5:
            raise RequestRefusedError(ExceptionCode.ILLEGAL_VALUE)
        address, count = struct.unpack(">HH", pdu[1:])
        if not 1 <= count <= MOST_REGISTERS:
            raise RequestRefusedError(ExceptionCode.ILLEGAL_VALUE)
        words = meter.read(function, address, count)
        return struct.pack(f">BB{count}H", function, 2 * count, *words)
    if function not in (_WRITE_REGISTER, _WRITE_REGISTERS):
        raise RequestRefusedError(ExceptionCode.ILLEGAL_FUNCTION)
    address, words = _written(pdu)
    meter.write(address, words)
    return pdu[:5]


def _written(pdu: bytes) -> tuple[int, Sequence[int]]:
    """Return address and words of a request that writes; raises `RequestRefusedError`."""
    if pdu[0] == _WRITE_REGISTER and len(pdu) == 5:
        address, word = struct.unpack(">HH", pdu[1:])
        return address, (word,)
    if pdu[0] == _WRITE_REGISTERS and len(pdu) > _COUNT.size:
        _, address, count, size = _COUNT.unpack_from(pdu)
        words = pdu[_COUNT.size :]
        if size == 2 * count == len(words):
            return address, struct.unpack(f">{count}H", words)
    raise RequestRefusedError(ExceptionCode.ILLEGAL_VALUE)


def refusal(pdu: bytes, code: ExceptionCode) -> bytes:
    """Return the answer that refuses a request."""
    return bytes((pdu[0] | _EXCEPTION, code))


class Framer(Protocol):
    """Finds requests in what comes, and frames the answers."""

    numbered: bool
    """Whether an answer tells which request it is for, so that a client may send several."""

    def feed(self, data: bytes) -> Iterator[Request]:
        """Yield the requests that are complete now; raises `FramingError`."""

    def forget(self) -> None:
        """Forget what has come of a request, after a silence."""

    def frame(self, request: Request, pdu: bytes) -> bytes:
        """Return an answer as it is sent."""


class TcpFramer:
    """Finds the requests in the bytes of a Modbus TCP connection."""

    numbered = True

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

    def forget(self) -> None:
        """Forget nothing: a length tells how a request goes on, however late that comes."""

    def frame(self, request: Request, pdu: bytes) -> bytes:
        """Return an answer as it is sent."""
        return _MBAP.pack(request.transaction, 0, len(pdu) + 1, request.unit) + pdu


class RtuFramer:
    """Finds the requests to our units among all that goes over a serial line.

    A request has no mark at its start, and answers of other units are on the line too, so one may
    begin at every byte; its checksum tells it from what only looks like one. Each byte is looked
    at once as the start of a request, and each possible request is checked once, when its last
    byte has come.
    """

    numbered = False

    def __init__(self, units: Collection[int]) -> None:
        """Take the units that are served; nobody else's requests are for us to answer."""
        self._units = units
        self._buffer = bytearray()
        # The starts of what may be requests, by their ends: both are places in the buffer.
        self._possible: dict[int, list[int]] = {}

    def feed(self, data: bytes) -> Iterator[Request]:
        """Yield the requests that are complete now."""
        buffer = self._buffer
        for byte in data:
            buffer.append(byte)
            end = len(buffer)
            if end >= _SHORTEST and buffer[end - _SHORTEST] in self._units:
                self._look_at(end - _SHORTEST)
            for start in self._possible.pop(end, ()):
                if crc(buffer[start:end]) == 0:
                    request = Request(buffer[start], bytes(buffer[start + 1 : end - 2]))
                    self.forget()
                    yield request
                    break
            if len(buffer) >= 2 * _MOST_RTU:
                self._drop(_MOST_RTU)

    def forget(self) -> None:
        """Forget what has come: after a silence, what comes next is no part of it."""
        self._buffer.clear()
        self._possible.clear()

    def _look_at(self, start: int) -> None:
        """Remember that a request may begin here, if so, with where it would end."""
        function = self._buffer[start + 1]
        length = _LENGTHS.get(function)
        if function in _COUNTED:
            length = _counted_length(*_COUNT.unpack_from(self._buffer, start + 1))
        if length is not None:
            self._possible.setdefault(start + length, []).append(start)

    def _drop(self, count: int) -> None:
        """Drop the oldest bytes; what began in them is longer than any request."""
        del self._buffer[:count]
        self._possible = {
            end - count: [start - count for start in starts if start >= count]
            for end, starts in self._possible.items()
        }

    def frame(self, request: Request, pdu: bytes) -> bytes:
        """Return an answer as it is sent."""
        frame = bytes((request.unit,)) + pdu
        return frame + crc(frame).to_bytes(2, "little")


def _counted_length(function: int, _address: int, count: int, size: int) -> int | None:
    """Return the length of a request that writes so many values, None where it cannot be one."""
    fits = size == (2 * count if function == _WRITE_REGISTERS else (count + 7) // 8)
    return 9 + size if fits and 0 < size <= _MOST_RTU - 9 else None


def crc(data: bytes | bytearray) -> int:
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
