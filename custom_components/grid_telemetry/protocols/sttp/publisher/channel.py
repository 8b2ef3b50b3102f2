"""The UDP data channel to one subscriber."""

import asyncio
from typing import Self, override

from ..frames import SttpError


class DataChannel:
    """Sends datagrams; what the system does not take at once is lost, as datagrams may be."""

    def __init__(self, transport: asyncio.DatagramTransport, pressure: Pressure) -> None:
        self._transport = transport
        self._pressure = pressure

    @classmethod
    async def open(cls, local_address: str, address: str, port: int) -> Self:
        """Return a channel to a subscriber's own address; raises SttpError."""
        loop = asyncio.get_running_loop()
        try:
            made = await loop.create_datagram_endpoint(
                Pressure, local_addr=(local_address, 0), remote_addr=(address, port)
            )
        except OSError as err:
            raise SttpError(f"The UDP data channel cannot be opened: {err}") from err
        return cls(*made)

    def send(self, datagram: memoryview) -> bool:
        """Send a datagram; return whether it went."""
        if self._pressure.high:
            return False
        self._transport.sendto(datagram)
        return True

    def close(self) -> None:
        """Send nothing any more."""
        self._transport.close()


class Pressure(asyncio.DatagramProtocol):
    """Knows whether datagrams wait for the system to take them."""

    high = False

    @override
    def pause_writing(self) -> None:
        self.high = True

    @override
    def resume_writing(self) -> None:
        self.high = False
