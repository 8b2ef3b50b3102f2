"""Frames against examples worked out by hand, and against another stack's codec."""

from collections.abc import Sequence
import struct
from typing import override

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU
import pytest

from custom_components.grid_telemetry.protocols.modbus_server import frames
from custom_components.grid_telemetry.protocols.modbus_server.frames import (
    ExceptionCode,
    FramingError,
    Meter,
    Request,
    RequestRefusedError,
    RtuFramer,
    TcpFramer,
    answer,
    crc,
    refusal,
)

READ = bytes.fromhex("04 0034 0002")
TCP = bytes.fromhex("0001 0000 0006 01") + READ
RTU = bytes.fromhex("01 04 0034 0002 3005")


class Memory(Meter):
    """Has in each register its address, and takes what is written to the first hundred."""

    def __init__(self) -> None:
        self.written: dict[int, int] = {}

    @override
    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        return [self.written.get(at, at) for at in range(address, address + count)]

    @override
    def write(self, address: int, words: Sequence[int]) -> None:
        if address + len(words) > 100:
            raise RequestRefusedError(ExceptionCode.ILLEGAL_ADDRESS)
        self.written |= dict(enumerate(words, address))


def test_a_read_is_answered() -> None:
    assert answer(READ, Memory()) == bytes.fromhex("04 04 0034 0035")


@pytest.mark.parametrize(
    ("pdu", "code"),
    [
        ("06 0064 0001", ExceptionCode.ILLEGAL_ADDRESS),
        ("06 0034", ExceptionCode.ILLEGAL_VALUE),
        ("10 0034 0002 04 0001", ExceptionCode.ILLEGAL_VALUE),
        ("10 0034 0001 04 0001 0002", ExceptionCode.ILLEGAL_VALUE),
        ("10 0034", ExceptionCode.ILLEGAL_VALUE),
        ("05 0034 ff00", ExceptionCode.ILLEGAL_FUNCTION),
        ("2b 0e01 00", ExceptionCode.ILLEGAL_FUNCTION),
        ("63", ExceptionCode.ILLEGAL_FUNCTION),
        ("04 0034", ExceptionCode.ILLEGAL_VALUE),
        ("04 0034 0002 00", ExceptionCode.ILLEGAL_VALUE),
        ("04 0034 0000", ExceptionCode.ILLEGAL_VALUE),
        ("04 0034 007e", ExceptionCode.ILLEGAL_VALUE),
    ],
)
def test_what_cannot_be_answered_is_refused(pdu: str, code: ExceptionCode) -> None:
    asked = bytes.fromhex(pdu)
    with pytest.raises(RequestRefusedError) as refused:
        answer(asked, Memory())
    assert refused.value.code is code
    assert refusal(asked, code) == bytes((asked[0] | 0x80, code))


@pytest.mark.parametrize(
    ("pdu", "answered", "written"),
    [
        ("06 0034 0007", "06 0034 0007", {52: 7}),
        ("10 0034 0002 04 0007 0008", "10 0034 0002", {52: 7, 53: 8}),
    ],
)
def test_what_is_written_is_taken(pdu: str, answered: str, written: dict[int, int]) -> None:
    meter = Memory()
    assert answer(bytes.fromhex(pdu), meter) == bytes.fromhex(answered)
    assert meter.written == written


def test_a_tcp_request_may_come_in_pieces() -> None:
    framer = TcpFramer()
    for byte in TCP[:-1]:
        assert not list(framer.feed(bytes((byte,))))
    assert list(framer.feed(TCP[-1:])) == [Request(1, READ, 1)]


def test_tcp_requests_may_come_at_once() -> None:
    framer = TcpFramer()
    second = bytes.fromhex("0002 0000 0006 07") + READ
    assert list(framer.feed(TCP + second + TCP[:5])) == [Request(1, READ, 1), Request(7, READ, 2)]
    assert list(framer.feed(TCP[5:])) == [Request(1, READ, 1)]


def test_a_tcp_answer_carries_transaction_and_unit() -> None:
    framed = TcpFramer().frame(Request(7, READ, 258), b"\x84\x02")
    assert framed == bytes.fromhex("0102 0000 0003 07 84 02")


@pytest.mark.parametrize("header", ["0001 0001 0006 01", "0001 0000 0001 01", "0001 0000 00ff 01"])
def test_what_is_no_modbus_tcp_is_told(header: str) -> None:
    with pytest.raises(FramingError):
        list(TcpFramer().feed(bytes.fromhex(header) + READ))


def test_the_checksum_is_that_of_the_standard() -> None:
    assert crc(RTU[:-2]).to_bytes(2, "little") == RTU[-2:]
    assert crc(RTU) == 0


def test_an_rtu_request_may_come_in_pieces() -> None:
    framer = RtuFramer({1})
    for byte in RTU[:-1]:
        assert not list(framer.feed(bytes((byte,))))
    assert list(framer.feed(RTU[-1:])) == [Request(1, READ)]


def test_rtu_requests_are_found_among_the_traffic_of_others() -> None:
    framer = RtuFramer({1, 5})
    fifth = b"\x05" + READ
    fifth += crc(fifth).to_bytes(2, "little")
    # The request to another unit, its answer with bytes that look like the begin of ours, a
    # garbled request to us, half of one, and what was meant.
    other = b"\x09" + READ
    other += crc(other).to_bytes(2, "little")
    reply = struct.pack(">BBB4H", 9, 4, 8, 0x0104, 0x0034, 0x0110, 0xFFFF)
    reply += crc(reply).to_bytes(2, "little")
    garbled = RTU[:-1] + b"\x00"
    assert not list(framer.feed(other + reply + garbled + RTU[:6]))
    assert list(framer.feed(RTU + fifth)) == [Request(1, READ), Request(5, READ)]
    assert not list(framer.feed(other))


def test_a_write_to_us_is_found_on_the_line_to_be_refused() -> None:
    framer = RtuFramer({1})
    several = bytes.fromhex("01 10 0034 0002 04 00010002")
    several += crc(several).to_bytes(2, "little")
    assert [request.pdu[0] for request in framer.feed(several + RTU)] == [16, 4]


def test_an_unknown_function_leaves_the_next_request_to_be_found() -> None:
    framer = RtuFramer({1})
    unknown = bytes.fromhex("01 63 0102")
    unknown += crc(unknown).to_bytes(2, "little")
    assert not list(framer.feed(unknown))
    assert list(framer.feed(RTU)) == [Request(1, READ)]


def test_noise_does_not_pile_up() -> None:
    framer = RtuFramer({1})
    for _ in range(50):
        assert not list(framer.feed(b"\x01\x10\x00\x00\x00\xff\xff" * 300))
    assert list(framer.feed(RTU)) == [Request(1, READ)]
    assert len(framer._buffer) <= 512


def test_noise_is_looked_at_once_however_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checksum, which costs most, is worked out at most once for each byte."""
    checked: list[int] = []

    def counting(data: bytes | bytearray) -> int:
        checked.append(len(data))
        return crc(data)

    monkeypatch.setattr(frames, "crc", counting)
    framer = RtuFramer({1})
    noise = b"\x01\x04" * 1000
    for byte in noise:
        assert not list(framer.feed(bytes((byte,))))
    assert len(checked) <= len(noise)
    assert set(checked) == {8}


def test_what_would_write_more_than_it_says_is_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "crc", lambda _: pytest.fail("looked at"))
    framer = RtuFramer({1})
    assert not list(framer.feed(bytes.fromhex("01 10 0000 0001 fe") + bytes(300)))
    assert not list(framer.feed(bytes.fromhex("01 0f 0000 0001 fe") + bytes(300)))


def test_a_request_is_found_wherever_it_begins() -> None:
    framer = RtuFramer({1})
    for before in range(600):
        assert list(framer.feed(b"\x09" * before + RTU)) == [Request(1, READ)]


def test_what_was_begun_is_forgotten() -> None:
    framer = RtuFramer({1})
    assert not list(framer.feed(RTU[:5]))
    framer.forget()
    assert not list(framer.feed(RTU[5:]))
    assert list(framer.feed(RTU)) == [Request(1, READ)]


def test_another_stack_reads_the_rtu_answer() -> None:
    framed = RtuFramer({1}).frame(Request(1, READ), answer(READ, Memory()))
    length, pdu = FramerRTU(DecodePDU(False)).handleFrame(framed, 1, 0)
    assert length == len(framed)
    assert pdu is not None
    assert pdu.registers == [0x34, 0x35]
