"""Servers on real sockets and lines: who is let in, and what a client may do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from ipaddress import ip_network
import os
import pty
import socket
import struct
import time
from typing import Any, override

import pytest

from custom_components.grid_telemetry.protocols.modbus_server import (
    ExceptionCode,
    Limits,
    Meter,
    RequestRefusedError,
    SerialServer,
    TcpServer,
)
from custom_components.grid_telemetry.protocols.modbus_server.frames import crc

type Serve = Callable[..., Awaitable[TcpServer]]

WITHIN_S = 20


class CountUp(Meter):
    """Has in each register its address."""

    @override
    def read(self, function: int, address: int, count: int) -> Sequence[int]:
        return [address + number for number in range(count)]

    @override
    def write(self, address: int, words: Sequence[int]) -> None:
        raise RequestRefusedError(ExceptionCode.ILLEGAL_FUNCTION)


COUNT_UP = CountUp()


def request(transaction: int = 1, *, unit: int = 1, count: int = 2) -> bytes:
    return struct.pack(">HHHBBHH", transaction, 0, 6, unit, 4, 52, count)


def reply(transaction: int = 1, *, unit: int = 1) -> bytes:
    return struct.pack(">HHHBBBHH", transaction, 0, 7, unit, 4, 4, 52, 53)


@pytest.fixture
def serve(stack: AsyncExitStack) -> Serve:
    """Start a server on a free port."""

    async def start(**settings: Any) -> TcpServer:
        server = TcpServer({1: COUNT_UP}, port=0, **settings)
        await server.start()
        stack.push_async_callback(server.stop)
        return server

    return start


async def connect(server: TcpServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def end(reader: asyncio.StreamReader) -> bytes:
    """Return what still came before the server ended the connection."""
    async with asyncio.timeout(WITHIN_S):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_requests_sent_at_once_are_all_answered(serve: Serve) -> None:
    server = await serve()
    reader, writer = await connect(server)
    writer.write(b"".join(request(number) for number in range(16)))
    async with asyncio.timeout(WITHIN_S):
        for number in range(16):
            assert await reader.readexactly(13) == reply(number)
    assert server.health.requests == 16
    assert server.health.last_request is not None
    writer.close()
    await until(lambda: server.clients == 0)


async def test_a_unit_that_is_not_there_is_answered_for(serve: Serve) -> None:
    server = await serve()
    reader, writer = await connect(server)
    writer.write(request(unit=9))
    async with asyncio.timeout(WITHIN_S):
        assert await reader.readexactly(9) == bytes.fromhex("0001 0000 0003 09 84 0b")
    assert server.health.refused == 1
    assert server.health.last_refusal == (
        "127.0.0.1: GATEWAY_NO_RESPONSE: 04 00 34 00 02 of unit 9"
    )
    writer.close()


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "No Modbus"),
        (b"".join(request(number) for number in range(17)), "More than 16 requests at once"),
    ],
)
async def test_what_no_client_does_ends_the_connection(
    serve: Serve, sent: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve()
    reader, writer = await connect(server)
    writer.write(sent)
    await end(reader)
    assert server.health.last_refusal == f"127.0.0.1: {why}"
    writer.close()
    await until(lambda: server.clients == 0)
    # A stranger cannot fill the log.
    assert not [record for record in caplog.records if record.name != "asyncio"]


async def test_others_than_the_allowed_networks_are_not_let_in(serve: Serve) -> None:
    server = await serve(allowed_networks=[ip_network("192.168.1.0/24")])
    reader, writer = await connect(server)
    assert await end(reader) == b""
    assert server.health.last_refusal == "127.0.0.1: Not in an allowed network"
    assert server.clients == 0
    writer.close()


async def test_one_more_than_the_most_clients_is_not_let_in(serve: Serve) -> None:
    server = await serve(limits=Limits(connections=1))
    first, writing = await connect(server)
    writing.write(request())
    await first.readexactly(13)
    reader, writer = await connect(server)
    assert await end(reader) == b""
    assert server.health.last_refusal == "127.0.0.1: More than 1 connections"
    writer.close()
    writing.close()
    await until(lambda: server.clients == 0)
    again, writer = await connect(server)
    writer.write(request())
    async with asyncio.timeout(WITHIN_S):
        await again.readexactly(13)
    writer.close()


async def test_a_client_that_asks_nothing_makes_room(serve: Serve) -> None:
    server = await serve(limits=Limits(connections=1))
    silent, idle = await connect(server)
    await until(lambda: server.clients)
    reader, writer = await connect(server)
    writer.write(request())
    async with asyncio.timeout(WITHIN_S):
        assert await reader.readexactly(13) == reply()
    assert await end(silent) == b""
    for each in (idle, writer):
        each.close()


async def test_half_open_connections_of_a_master_do_not_lock_it_out(serve: Serve) -> None:
    """It lost them with its power, and nobody has told us."""
    server = await serve()
    lost = [await connect(server) for _ in range(8)]
    await until(lambda: server.clients >= 6)
    reader, writer = await connect(server)
    writer.write(request())
    async with asyncio.timeout(WITHIN_S):
        assert await reader.readexactly(13) == reply()
    for _, each in (*lost, (reader, writer)):
        each.close()


async def test_a_client_that_has_not_asked_for_long_makes_room(serve: Serve) -> None:
    server = await serve(limits=Limits(connections=1, kept_s=0.0))
    first, second = [await connect(server) for _ in range(2)]
    for _, writer in (first, second):
        writer.write(request())
    async with asyncio.timeout(WITHIN_S):
        assert await second[0].readexactly(13) == reply()
    assert server.health.last_refusal == "127.0.0.1: Had to make room for another connection"
    for _, writer in (first, second):
        writer.close()


async def test_rtu_that_asks_nothing_of_us_is_cut_off(serve: Serve) -> None:
    server = await serve(rtu=True, limits=Limits(foreign_bytes=20))
    asked = with_crc("01 04 0034 0002")
    reader, writer = await connect(server)
    for _ in range(4):
        writer.write(asked)
        async with asyncio.timeout(WITHIN_S):
            assert await reader.readexactly(9) == with_crc("01 04 04 0034 0035")
    writer.write(b"\x09" * 21)
    assert await end(reader) == b""
    assert server.health.last_refusal == "127.0.0.1: No request in 20 bytes"
    writer.close()


async def test_a_client_that_does_not_read_is_cut_off(serve: Serve) -> None:
    server = await serve(limits=Limits(requests_per_s=1_000_000))
    with socket.socket() as client:
        # So that the kernel keeps little of what is not read.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", server.port))
        await until(lambda: server.clients)
        (peer,) = server._listener._peers
        peer._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        async with asyncio.timeout(WITHIN_S):
            while server.health.last_refusal is None:
                asked = server.health.requests + 1
                client.send(request(count=125))
                while server.health.requests < asked:
                    await asyncio.sleep(0)
                await asyncio.sleep(0)
    assert server.health.last_refusal == "127.0.0.1: Does not read the answers"
    assert server.health.requests < 1000


async def test_a_client_that_asks_without_pause_is_slowed(serve: Serve) -> None:
    server = await serve(limits=Limits(requests_per_s=5))
    reader, writer = await connect(server)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(WITHIN_S):
        for number in range(12):
            writer.write(request(number))
            assert await reader.readexactly(13) == reply(number)
    assert loop.time() - began > 1
    writer.close()


async def test_a_client_that_is_slowed_waits_for_no_answer_for_long(serve: Serve) -> None:
    """It would give up, and take the answer for that to its next request."""
    server = await serve(rtu=True, limits=Limits(requests_per_s=50, stall_s=WITHIN_S))
    reader, writer = await connect(server)
    loop = asyncio.get_running_loop()
    waited = []
    async with asyncio.timeout(WITHIN_S):
        for address in range(75):
            began = loop.time()
            writer.write(rtu_request(address))
            assert await reader.readexactly(9) == rtu_reply(address)
            waited.append(loop.time() - began)
    # One in 20 ms; with a pause for the rest of the second, one of them would wait for all.
    assert sum(wait > 0.01 for wait in waited[50:]) > 15
    writer.close()


async def test_the_port_is_free_at_once_whoever_is_connected(serve: Serve) -> None:
    server = await serve()
    port = server.port
    reader, writer = await connect(server)
    writer.write(request())
    await reader.readexactly(13)
    await server.stop()
    await server.stop()
    assert server.port == 0
    with socket.create_server(("127.0.0.1", port)):
        assert await end(reader) == b""
    writer.close()


# --- serial lines


@pytest.fixture
async def ends(stack: AsyncExitStack) -> tuple[int, str]:
    """Return the client's end of a line, and the name of the other."""
    master, slave = pty.openpty()
    stack.callback(os.close, master)
    stack.callback(os.close, slave)
    return master, os.ttyname(slave)


async def exchange(master: int, asked: bytes, length: int) -> bytes:
    """Return what is answered on a line."""
    loop = asyncio.get_running_loop()
    os.write(master, asked)
    got = bytearray()
    came = asyncio.Event()

    def take() -> None:
        got.extend(os.read(master, 1024))
        if len(got) >= length:
            came.set()

    loop.add_reader(master, take)
    async with asyncio.timeout(WITHIN_S):
        await came.wait()
    loop.remove_reader(master)
    return bytes(got)


def with_crc(frame: str) -> bytes:
    data = bytes.fromhex(frame)
    return data + crc(data).to_bytes(2, "little")


async def test_a_line_is_served_and_closed(ends: tuple[int, str]) -> None:
    master, device = ends
    server = SerialServer({1: COUNT_UP}, device=device, baudrate=19200, parity="N", stopbits=1)
    await server.start()
    assert server.clients == 1
    answered = await exchange(master, with_crc("01 04 0034 0002"), 9)
    assert answered == with_crc("01 04 04 0034 0035")
    refused = await exchange(master, with_crc("01 06 0034 0002"), 5)
    assert refused == with_crc("01 86 01")
    assert server.health.last_refusal == f"{device}: ILLEGAL_FUNCTION: 06 00 34 00 02 of unit 1"
    await server.stop()
    await server.stop()
    assert server.clients == 0
    again = SerialServer({1: COUNT_UP}, device=device, baudrate=19200)
    await again.start()
    await again.stop()


async def test_a_line_that_is_no_line_cannot_be_served(
    stack: AsyncExitStack, tmp_path: Any
) -> None:
    file = tmp_path / "file"
    file.touch()
    for device in (str(file), "/dev/nowhere", "nothing://there"):
        server = SerialServer({}, device=device, baudrate=9600)
        with pytest.raises(OSError, match=r"."):
            await server.start()
        await server.stop()


async def test_a_line_that_is_lost_is_opened_again(stack: AsyncExitStack, tmp_path: Any) -> None:
    # As udev names an adapter, whatever number it has after it is put in again.
    adapter = tmp_path / "adapter"
    master, slave = pty.openpty()
    adapter.symlink_to(os.ttyname(slave))
    server = SerialServer({1: COUNT_UP}, device=str(adapter), baudrate=115200, reopen_s=0.05)
    await server.start()
    stack.push_async_callback(server.stop)
    adapter.unlink()
    os.close(master)
    os.close(slave)
    await until(lambda: server.clients == 0)
    await asyncio.sleep(0.2)  # tried in vain meanwhile
    master, slave = pty.openpty()
    stack.callback(os.close, master)
    stack.callback(os.close, slave)
    adapter.symlink_to(os.ttyname(slave))
    await until(lambda: server.clients == 1)
    answered = await exchange(master, with_crc("01 04 0034 0002"), 9)
    assert answered == with_crc("01 04 04 0034 0035")


def rtu_request(address: int, *, unit: int = 1, count: int = 2) -> bytes:
    frame = struct.pack(">BBHH", unit, 4, address, count)
    return frame + struct.pack("<H", crc(frame))


def rtu_reply(address: int, *, unit: int = 1) -> bytes:
    frame = struct.pack(">BBBHH", unit, 4, 4, address, address + 1)
    return frame + struct.pack("<H", crc(frame))


async def test_what_waited_while_the_loop_stood_still_is_not_answered(serve: Serve) -> None:
    """The answer would be taken for the one to the next request, which asks for something else."""
    server = await serve(rtu=True)
    reader, writer = await connect(server)
    writer.write(rtu_request(10))
    async with asyncio.timeout(WITHIN_S):
        assert await reader.readexactly(9) == rtu_reply(10)

    master = writer.get_extra_info("socket").dup()
    master.setblocking(True)
    for address in (20, 30):
        master.sendall(rtu_request(address))
        time.sleep(0.3)  # nothing else runs meanwhile, the server neither
    await until(lambda: server.health.expired)
    master.sendall(rtu_request(40))
    async with asyncio.timeout(WITHIN_S):
        assert await reader.readexactly(9) == rtu_reply(40)
    master.close()
    writer.close()
    assert server.health.requests == 2


async def test_of_requests_that_the_network_held_back_the_newest_is_answered(serve: Serve) -> None:
    """A master of RTU asks on only when it has given an answer up."""
    server = await serve(rtu=True)
    reader, writer = await connect(server)
    writer.write(rtu_request(20) + rtu_request(30))
    async with asyncio.timeout(WITHIN_S):
        assert await reader.readexactly(9) == rtu_reply(30)
    writer.write(rtu_request(40))
    async with asyncio.timeout(WITHIN_S):
        assert await reader.readexactly(9) == rtu_reply(40)
    assert (server.health.requests, server.health.expired) == (2, 1)
    writer.close()


async def test_a_stall_that_a_master_waits_for_loses_nothing(serve: Serve) -> None:
    server = await serve(rtu=True)
    reader, writer = await connect(server)
    writer.write(rtu_request(10))
    await writer.drain()
    time.sleep(0.05)
    async with asyncio.timeout(WITHIN_S):
        assert await reader.readexactly(9) == rtu_reply(10)
    writer.close()


async def test_a_stall_on_a_serial_line_leaves_no_late_answer(stack: AsyncExitStack) -> None:
    master, line = pty.openpty()
    stack.callback(os.close, master)
    stack.callback(os.close, line)
    server = SerialServer({1: COUNT_UP}, device=os.ttyname(line), baudrate=9600)
    await server.start()
    stack.push_async_callback(server.stop)
    os.write(master, rtu_request(20))
    time.sleep(0.4)
    await until(lambda: server.health.expired)
    os.set_blocking(master, False)
    with pytest.raises(BlockingIOError):
        os.read(master, 100)
    os.write(master, rtu_request(40))
    received = b""

    def complete() -> bool:
        nonlocal received
        try:
            received += os.read(master, 100)
        except BlockingIOError:
            return False
        return len(received) >= 9

    await until(complete)
    assert received == rtu_reply(40)


async def test_modbus_tcp_goes_on_in_the_middle_of_a_frame_after_a_stall(serve: Serve) -> None:
    server = await serve()
    reader, writer = await connect(server)
    master = writer.get_extra_info("socket").dup()
    master.setblocking(True)
    master.sendall(request(1) + request(2)[:5])
    time.sleep(0.3)
    await until(lambda: server.health.expired)
    master.sendall(request(2)[5:])
    async with asyncio.timeout(WITHIN_S):
        assert await reader.readexactly(len(reply())) == reply(2)
    master.close()
    writer.close()


async def test_what_waited_during_a_stall_is_counted_and_cuts_nobody_off(serve: Serve) -> None:
    """A client that asks on while nobody answers has not sent all of it at once."""
    server = await serve()
    reader, writer = await connect(server)
    writer.write(request())
    async with asyncio.timeout(WITHIN_S):
        await reader.readexactly(13)
    client = writer.get_extra_info("socket").dup()
    client.setblocking(True)
    client.sendall(b"".join(request(number) for number in range(20)))
    time.sleep(0.3)
    await until(lambda: server.health.expired == 20)
    writer.write(request(7))
    async with asyncio.timeout(WITHIN_S):
        assert await reader.readexactly(13) == reply(7)
    assert server.health.refused == 0
    client.close()
    writer.close()


async def test_what_came_with_a_new_connection_during_a_stall_is_not_answered(
    serve: Serve,
) -> None:
    server = await serve(rtu=True)
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(rtu_request(20))
        time.sleep(0.3)
        await until(lambda: server.health.expired)
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(100)
    assert server.health.requests == 0


async def test_one_that_is_cut_off_is_told_once(serve: Serve) -> None:
    server = await serve(limits=Limits(foreign_bytes=10))
    reader, writer = await connect(server)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await end(reader)
    assert server.health.refused == 1
    writer.close()


async def test_only_so_many_clients_and_requests_are_remembered(serve: Serve) -> None:
    server = await serve()
    reader, writer = await connect(server)
    for unit in range(2, 80):
        writer.write(request(unit=unit))
        async with asyncio.timeout(WITHIN_S):
            await reader.readexactly(9)
    assert len(server.health.asked) == 64
    assert ("127.0.0.1", 79) in server.health.asked
    writer.close()
