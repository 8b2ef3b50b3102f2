"""Setup clients in numbers, for the bench: honest ones, and enemies among whom one is honest.

Without anything of Home Assistant, so that they are up at once.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import format_datetime
import json
import sys
import time
from typing import Final

from .solarnode_wire import sns_signature

LOGIN: Final = "solar"
COMMAND: Final = "/setup/network/wifi"
REQUEST: Final = b"SEND\ndestination:" + COMMAND.encode() + b"\nssid:x\nrequest-id:1\n\n\0"


def login(password_hash: str) -> bytes:
    """Return the frames that log a client in and subscribe it."""
    now = datetime.now(UTC).replace(microsecond=0)
    date = format_datetime(now, usegmt=True)
    signature = sns_signature(password_hash, {"date": date}, ["date"], f"{now:%Y%m%dT%H%M%SZ}")
    return (
        f"CONNECT\nlogin:{LOGIN}\n\n\0"
        f"SEND\ndestination:/setup/authenticate\ndate:{date.replace(':', '\\c')}\n"
        f"authorization:SNS Credential={LOGIN},SignedHeaders=date,Signature={signature}\n\n\0"
        "SUBSCRIBE\nid:0\ndestination:/**\n\n\0"
    ).encode()


async def ask_on(port: int, password_hash: str, until: float, times: list[float]) -> None:
    """Send commands until the end, each after the answer to the last."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if password_hash:
        writer.write(login(password_hash))
        await reader.readuntil(b"\0")
    while (began := time.perf_counter()) < until:
        writer.write(REQUEST)
        await reader.readuntil(b"\0")
        times.append(time.perf_counter() - began)
    writer.close()


async def run_clients(port: int, clients: int, password_hash: str, seconds: float) -> None:
    """Run so many clients, and print what came of it."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(ask_on(port, password_hash, until, times) for _ in range(clients)))
    times.sort()
    p99 = times[int(len(times) * 0.99)]
    print(json.dumps({"rate": len(times) / seconds, "p99_s": p99}))


async def run_enemies(port: int, count: int, password_hash: str, seconds: float) -> None:
    """Attack from many addresses, and see how long a client has to wait for its answers."""
    until = time.perf_counter() + seconds
    wrong = "$2a$10$wrong"

    async def attack(number: int) -> None:
        local = (f"127.0.1.{number % 20 + 1}", 0)
        pieces = (
            lambda: b"",
            lambda: b"CONN",
            lambda: login(wrong),
            lambda: b"CONNECT\nlogin:guess\n\n\0",
            lambda: b"x" * 100_000,
            lambda: b"\n" * 100_000,
            lambda: b"CONNECT\n" + b"a:b\n" * 5_000,
        )
        while time.perf_counter() < until:
            with suppress(OSError, TimeoutError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=local)
                writer.write(pieces[number % len(pieces)]())
                async with asyncio.timeout(2):
                    await reader.read()
                writer.transport.abort()

    times: list[float] = []
    enemies = [asyncio.create_task(attack(number)) for number in range(count)]
    await asyncio.sleep(1)
    await ask_on(port, password_hash, until, times)
    for enemy in enemies:
        enemy.cancel()
    await asyncio.gather(*enemies, return_exceptions=True)
    times.sort()
    print(json.dumps({"rate": len(times) / seconds, "p99_s": times[int(len(times) * 0.99)]}))


def main(arguments: list[str]) -> None:
    """Do what the arguments say: who, where, how many, with which hash, how long."""
    who, port, count, password_hash, seconds = arguments
    if who == "clients":
        asyncio.run(run_clients(int(port), int(count), password_hash, float(seconds)))
    else:
        asyncio.run(run_enemies(int(port), int(count), password_hash, float(seconds)))


if __name__ == "__main__":
    main(sys.argv[1:])
