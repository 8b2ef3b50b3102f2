"""The codec, by itself and against stomp.py's parser."""

import random
from types import MappingProxyType

import pytest
from stomp.utils import parse_frame

from custom_components.grid_telemetry.protocols.stomp.errors import StompFrameError, StompLimitError
from custom_components.grid_telemetry.protocols.stomp.frames import (
    HEARTBEAT,
    Decoder,
    Frame,
    Heartbeat,
    StompVersion,
    encode,
)


def decode(data: bytes, version: StompVersion = "1.2", **limits: int) -> list[Frame | Heartbeat]:
    decoder = Decoder(**limits)
    decoder.version = version
    return list(decoder.feed(data))


def frames(data: bytes, version: StompVersion = "1.2") -> list[Frame]:
    return [item for item in decode(data, version) if isinstance(item, Frame)]


def test_a_frame_goes_over_the_wire_as_the_specification_says() -> None:
    frame = Frame("SEND", {"destination": "/queue/a", "content-type": "text/plain"}, b"hello")
    assert encode(frame) == b"SEND\ndestination:/queue/a\ncontent-type:text/plain\n\nhello\0"


def test_a_frame_without_headers_and_body() -> None:
    assert encode(Frame("DISCONNECT")) == b"DISCONNECT\n\n\0"
    assert frames(b"DISCONNECT\n\n\0") == [Frame("DISCONNECT")]


@pytest.mark.parametrize(
    ("version", "wire"),
    [("1.1", r"a\cb\n\\c"), ("1.2", r"a\cb\n\\c")],
)
def test_header_values_are_escaped(version: StompVersion, wire: str) -> None:
    data = encode(Frame("SEND", {"x": "a:b\n\\c"}), version)
    assert data == f"SEND\nx:{wire}\n\n\0".encode()
    assert frames(data, version) == [Frame("SEND", {"x": "a:b\n\\c"})]


def test_header_names_are_escaped() -> None:
    frame = Frame("SEND", {"a:b\n": "1"})
    assert encode(frame) == b"SEND\na\\cb\\n:1\n\n\0"
    assert frames(encode(frame)) == [frame]


def test_a_carriage_return_is_escaped_in_1_2_only() -> None:
    frame = Frame("SEND", {"x": "a\rb"})
    assert encode(frame) == b"SEND\nx:a\\rb\n\n\0"
    assert frames(encode(frame)) == [frame]
    with pytest.raises(StompFrameError, match="undefined escape"):
        frames(encode(frame), "1.1")


@pytest.mark.parametrize("command", ["CONNECT", "CONNECTED"])
def test_connect_and_connected_carry_no_escapes(command: str) -> None:
    frame = Frame(command, {"passcode": r"a:b\c"})
    assert encode(frame) == rb"%b%bpasscode:a:b\c%b" % (command.encode(), b"\n", b"\n\n\0")
    assert frames(encode(frame)) == [frame]


def test_1_0_has_no_escapes() -> None:
    frame = Frame("SEND", {"x": r"a:b\n"})
    assert encode(frame, "1.0") == b"SEND\nx:a:b\\n\n\n\0"
    assert frames(encode(frame, "1.0"), "1.0") == [frame]


@pytest.mark.parametrize(
    ("frame", "version"),
    [
        (Frame("CONNECT", {"passcode": "a\nlogin:root"}), "1.2"),
        (Frame("CONNECT", {"passcode": "a\rb"}), "1.2"),
        (Frame("CONNECT", {"a:b": "c"}), "1.2"),
        (Frame("SEND", {"x": "a\nb"}), "1.0"),
        (Frame("SEND", {"x:y": "a"}), "1.0"),
        (Frame("SEND", {"x": "a\rb"}), "1.1"),
        (Frame("SEND", {"x": "a\0b"}), "1.2"),
        (Frame("SEND", {"": "a"}), "1.2"),
        (Frame("SEND\n", {}), "1.2"),
    ],
)
def test_what_a_version_cannot_carry_is_not_encoded(frame: Frame, version: StompVersion) -> None:
    with pytest.raises(ValueError, match=r"carry|colon"):
        encode(frame, version)


def test_a_body_with_a_nul_gets_a_content_length() -> None:
    frame = Frame("SEND", {}, b"a\0b")
    assert encode(frame) == b"SEND\ncontent-length:3\n\na\0b\0"
    assert frames(encode(frame))[0].body == b"a\0b"


def test_a_content_length_of_another_length_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="content-length"):
        encode(Frame("SEND", {"content-length": "2"}, b"abc"))


def test_the_first_of_two_equal_headers_counts() -> None:
    assert frames(b"MESSAGE\nfoo:first\nfoo:second\n\n\0") == [Frame("MESSAGE", {"foo": "first"})]


def test_lines_may_end_with_a_carriage_return() -> None:
    data = b"CONNECTED\r\nversion:1.2\r\nserver:x\r\n\r\nbody\r\n\0"
    assert frames(data) == [Frame("CONNECTED", {"version": "1.2", "server": "x"}, b"body\r\n")]
    assert frames(b"RECEIPT\r\n\r\n\0") == [Frame("RECEIPT")]


def test_a_colon_in_a_value_needs_no_escape_to_be_read() -> None:
    assert frames(b"SEND\ndate:Mon 02:27:39\n\n\0") == [Frame("SEND", {"date": "Mon 02:27:39"})]


def test_spaces_belong_to_headers() -> None:
    assert frames(b"SEND\n a : b \n\n\0") == [Frame("SEND", {" a ": " b "})]


def test_line_ends_between_frames_are_heart_beats() -> None:
    receipt = Frame("RECEIPT", {"receipt-id": "1"})
    assert decode(b"\n") == [HEARTBEAT]
    assert decode(b"\r\n") == [HEARTBEAT]
    assert decode(b"\n\n" + encode(receipt) + b"\n" + encode(receipt)) == [
        HEARTBEAT,
        receipt,
        HEARTBEAT,
        receipt,
    ]


def test_a_line_end_in_two_pieces_is_one_heart_beat() -> None:
    decoder = Decoder()
    assert list(decoder.feed(b"\r")) == []
    assert list(decoder.feed(b"\n")) == [HEARTBEAT]


def test_a_body_of_a_given_length_may_hold_anything() -> None:
    body = bytes(range(256)) * 4
    assert frames(encode(Frame("SEND", {"content-length": "1024"}, body)))[0].body == body


def test_an_error_that_is_longer_than_its_frames_stops_where_it_is() -> None:
    decoder = Decoder()
    items = decoder.feed(b"RECEIPT\nreceipt-id:1\n\n\0bad\n\n\0RECEIPT\n\n\0")
    assert next(items) == Frame("RECEIPT", {"receipt-id": "1"})
    with pytest.raises(StompFrameError, match="no command"):
        next(items)
    with pytest.raises(StompFrameError, match="no command"):
        list(decoder.feed(b"RECEIPT\n\n\0"))


def test_what_was_not_taken_comes_with_the_next_piece() -> None:
    decoder = Decoder()
    assert next(decoder.feed(b"CONNECTED\n\n\0RECEIPT\n\n\0")) == Frame("CONNECTED")
    assert list(decoder.feed(b"")) == [Frame("RECEIPT")]


def test_the_version_counts_from_the_next_frame_on() -> None:
    decoder = Decoder()
    items = decoder.feed(b"CONNECTED\nversion:1.0\n\n\0MESSAGE\nx:\\q\n\n\0")
    next(items)
    decoder.version = "1.0"
    assert next(items) == Frame("MESSAGE", {"x": r"\q"})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello\n\n\0", "no command"),
        (b"SEND \n\n\0", "no command"),
        (b"SEND\nfoo\n\n\0", "SEND: a header without a colon"),
        (b"SEND\n:foo\n\n\0", "SEND: a header without a name"),
        (b"SEND\nx:\\t\n\n\0", "SEND: an undefined escape"),
        (b"SEND\nx:\\\n\n\0", "SEND: an undefined escape"),
        (b"SEND\nx:a\rb\n\n\0", "carriage return within a header"),
        (b"SEND\nx:\xff\n\n\0", "not UTF-8"),
        (b"SEND\nx:1\0\n\n\0", "ended within its headers"),
        (b"SEND\0", "ended within its headers"),
        (b"\rSEND\n\n\0", "carriage return without a line feed"),
        (b"SEND\ncontent-length:-1\n\n\0", "not a number"),
        (b"SEND\ncontent-length:1e3\n\n\0", "not a number"),
        (b"SEND\ncontent-length:\xd9\xa1\n\n\0", "not a number"),
        (b"SEND\ncontent-length:1\n\nab\0", "no NUL"),
    ],
)
def test_a_malformed_frame_is_named(data: bytes, message: str) -> None:
    with pytest.raises(StompFrameError, match=message):
        decode(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"SEND\n" + b"x:" + b"a" * 100, "64 bytes of headers"),
        (b"a" * 65, "64 bytes of headers"),
        (b"SEND\n" + b"x:" + b"a" * 100 + b"\n\n\0", "64 bytes of headers"),
        (b"SEND\n" + b"x:1\n" * 5 + b"\n\0", "4 headers"),
        (b"SEND\n\n" + b"a" * 33, "32 bytes"),
        (b"SEND\n\n" + b"a" * 33 + b"\0", "32 bytes"),
        (b"SEND\ncontent-length:33\n\n", "33 bytes, more than 32"),
        (b"SEND\ncontent-length:99999999999\n\n", "99999999999 bytes, more than 32"),
    ],
)
def test_a_frame_beyond_the_limits_is_refused_as_soon_as_it_shows(
    data: bytes, message: str
) -> None:
    with pytest.raises(StompLimitError, match=message):
        decode(data, max_header_bytes=64, max_headers=4, max_body_bytes=32)


def test_a_frame_at_the_limits_passes() -> None:
    data = b"SEND\n" + b"x:1\n" * 3 + b"y:" + b"a" * 45 + b"\n\n" + b"b" * 32 + b"\0"
    [frame] = decode(data, max_header_bytes=64, max_headers=4, max_body_bytes=32)
    assert isinstance(frame, Frame)
    assert len(frame.body) == 32


def test_secrets_do_not_show() -> None:
    frame = Frame("CONNECT", MappingProxyType({"login": "me", "passcode": "hush"}), b"12")
    assert repr(frame) == "Frame(CONNECT {'login': 'me', 'passcode': '**'} 2 bytes)"


def _random_frame(source: random.Random, version: StompVersion) -> Frame:
    letters = "abc:\n\\\r é€😀" if version == "1.2" else "abc:\n\\ é€😀"
    if version == "1.0":
        letters = "abc\\ é€😀"
    headers = {
        "x" + "".join(source.choices(letters, k=source.randrange(6))): "".join(
            source.choices(letters, k=source.randrange(12))
        )
        for _ in range(source.randrange(5))
    }
    body = source.randbytes(source.randrange(40))
    if source.random() < 0.5 or b"\0" in body:
        headers["content-length"] = str(len(body))
    return Frame(source.choice(["SEND", "MESSAGE", "ERROR"]), headers, body)


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
@pytest.mark.parametrize("seed", range(30))
def test_what_is_encoded_is_decoded_however_it_is_cut(version: StompVersion, seed: int) -> None:
    source = random.Random(seed)
    sent = [_random_frame(source, version) for _ in range(20)]
    data = b"".join(encode(frame, version) + source.choice([b"", b"\n", b"\r\n"]) for frame in sent)
    for largest in (1, 3, 17, len(data)):
        decoder = Decoder()
        decoder.version = version
        received: list[Frame] = []
        position = 0
        while position < len(data):
            piece = data[position : position + source.randint(1, largest)]
            received += [item for item in decoder.feed(piece) if isinstance(item, Frame)]
            position += len(piece)
        assert received == sent


@pytest.mark.parametrize("seed", range(200))
def test_damage_ends_in_frames_or_in_an_error_and_never_in_growth(seed: int) -> None:
    source = random.Random(seed)
    data = bytearray(b"".join(encode(_random_frame(source, "1.2")) for _ in range(5)))
    for _ in range(source.randint(1, 8)):
        data[source.randrange(len(data))] = source.choice(b"\0\n\r:\\\xffA9")
    decoder = Decoder(max_header_bytes=256, max_headers=8, max_body_bytes=256)
    try:
        for byte in data:
            list(decoder.feed(bytes((byte,))))
            assert len(decoder._buffer) <= 256 + 3
    except StompFrameError, StompLimitError:
        assert not decoder._buffer


@pytest.mark.parametrize("seed", range(20))
def test_stomp_py_reads_what_is_encoded(seed: int) -> None:
    frame = _random_frame(random.Random(seed), "1.2")
    peer = parse_frame(encode(frame)[:-1])
    assert (peer.cmd, peer.headers, peer.body) == (frame.command, frame.headers, frame.body)
