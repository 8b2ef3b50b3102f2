import asyncio
import gzip

import pytest

from custom_components.grid_telemetry.protocols.sttp import frames
from custom_components.grid_telemetry.protocols.sttp.constants import ServerCommand, ServerResponse
from custom_components.grid_telemetry.protocols.sttp.frames import OperationalModes, SttpError


def reader_of(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return reader


def test_a_command_is_length_code_and_data() -> None:
    assert frames.command(ServerCommand.SUBSCRIBE, b"abc") == b"\0\0\0\x04\x02abc"


def test_a_response_tells_the_command_and_its_own_length() -> None:
    frame = frames.response(ServerResponse.SUCCEEDED, ServerCommand.SUBSCRIBE, b"abc")
    assert frame == b"\0\0\0\x09\x80\x02\0\0\0\x03abc"


async def test_a_frame_is_read_whatever_pieces_it_comes_in() -> None:
    reader = asyncio.StreamReader()
    reading = asyncio.create_task(frames.read_frame(reader, 100))
    for byte in frames.command(0x06, b"1234"):
        reader.feed_data(bytes((byte,)))
        await asyncio.sleep(0)
    assert await reading == b"\x061234"


@pytest.mark.parametrize("length", [b"\0\0\0\0", b"\0\0\0\x65", b"\xff\xff\xff\xff"])
async def test_a_length_out_of_bounds_is_refused_before_anything_is_read(length: bytes) -> None:
    with pytest.raises(SttpError, match="100 is the limit"):
        await frames.read_frame(reader_of(length), 100)


async def test_a_frame_has_to_follow_its_length() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"\0\0\0\x05ab")
    with pytest.raises(TimeoutError):
        await frames.read_frame(reader, 100, within_s=0.01)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("on", [True, False])
def test_operational_modes_survive(version: int, encoding: str, on: bool) -> None:
    modes = OperationalModes(
        version=version, encoding=encoding, tssc=on, compress_cache=on, compress_metadata=on
    )
    assert OperationalModes.decode(modes.encode()) == modes


def test_operational_modes_have_the_bits_of_the_reference() -> None:
    assert OperationalModes().encode() == bytes.fromhex("e6000262")
    assert OperationalModes(encoding="utf-16-le", tssc=False).encode() == bytes.fromhex("c6000022")


@pytest.mark.parametrize("data", [b"", b"\0\0\x02", b"\0\0\x03\x02"])
def test_broken_operational_modes_are_refused(data: bytes) -> None:
    with pytest.raises(SttpError):
        OperationalModes.decode(data)


def test_inflate_undoes_deflate() -> None:
    assert frames.inflate(frames.deflate(b"metadata" * 100), 1_000) == b"metadata" * 100


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not gzip",
        gzip.compress(b"x" * 100)[:-9],
        gzip.compress(bytes(50_000_000)),
    ],
    ids=["nothing", "garbage", "cut", "bomb"],
)
def test_broken_gzip_and_bombs_are_refused(data: bytes) -> None:
    with pytest.raises(SttpError):
        frames.inflate(data, 1_000)


def test_settings_nest_in_braces() -> None:
    text = (
        "throttled=False; includeTime=True;"
        "assemblyInfo={source=STTP; version=1.0};"
        "filterExpression={FILTER ActiveMeasurements WHERE ID='PPA:1'; PPA:2};"
    )
    assert frames.settings(text) == {
        "throttled": "False",
        "includetime": "True",
        "assemblyinfo": "source=STTP; version=1.0",
        "filterexpression": "FILTER ActiveMeasurements WHERE ID='PPA:1'; PPA:2",
    }


def test_guids_keep_their_own_braces() -> None:
    assert frames.settings("filterExpression={{a};{b}}") == {"filterexpression": "{a};{b}"}


@pytest.mark.parametrize("text", ["a={b", "a}=b", "a={" + ";" * frames.MAX_PARTS + ";}"])
def test_broken_settings_are_refused(text: str) -> None:
    with pytest.raises(SttpError):
        frames.settings(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_subscription_survives(encoding: str) -> None:
    asked = {"filterExpression": "ID='Ä:1';ID='B:2'", "throttled": "True"}
    data = frames.subscribe_data(asked, encoding)
    assert frames.subscribe_settings(data, encoding) == {
        "filterexpression": "ID='Ä:1';ID='B:2'",
        "throttled": "True",
    }


@pytest.mark.parametrize(
    "data",
    [b"", b"\x02\0\0\0", b"\x02\0\0\0\0", b"\x02\0\0\0\x05a=b", b"\x02\xff\xff\xff\xffa=b"],
    ids=["empty", "cut", "no string", "short string", "overflow"],
)
def test_a_subscription_without_its_string_is_refused(data: bytes) -> None:
    with pytest.raises(SttpError):
        frames.subscribe_settings(data, "utf-8")


def test_text_in_the_wrong_encoding_is_refused() -> None:
    with pytest.raises(SttpError, match="utf-8"):
        frames.subscribe_settings(b"\x02\0\0\0\x03a=\xff", "utf-8")
