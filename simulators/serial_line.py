"""A serial line without hardware: a pseudo terminal whose bytes go to and come from a TCP port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
import os
import tty

_READ_BYTES = 4096


@asynccontextmanager
async def serial_line(port: int) -> AsyncIterator[str]:
    """Give the path of a serial device that is joined to a port of the loopback address.

    pymodbus serves serial lines with pyserial only; over this it needs none.
    """
    line, device = os.openpty()
    try:
        tty.setraw(device)
        os.set_blocking(line, False)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        loop = asyncio.get_running_loop()
        loop.add_reader(line, lambda: writer.write(os.read(line, _READ_BYTES)))
        answers = asyncio.create_task(_pass_on(reader, line))
        try:
            # The device stays open here, or the line would hang up with its last user.
            yield os.ttyname(device)
        finally:
            loop.remove_reader(line)
            answers.cancel()
            with suppress(asyncio.CancelledError):
                await answers
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
    finally:
        os.close(line)
        os.close(device)


async def _pass_on(reader: asyncio.StreamReader, line: int) -> None:
    while data := await reader.read(_READ_BYTES):
        os.write(line, data)
