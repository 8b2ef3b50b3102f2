"""Errors of the system and of libraries, in words."""

import asyncio
import errno
import socket
import ssl

import aiohttp
import pytest

from custom_components.grid_telemetry.connection.errors import ConnectionFailed
from custom_components.grid_telemetry.connection.wording import in_words, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[Errno 111] Connect call failed ('127.0.0.1', 502)", "Connection refused"),
        (
            (
                "Multiple exceptions: [Errno 111] Connect call failed ('::1', 502, 0, 0), "
                "[Errno 111] Connect call failed ('127.0.0.1', 502)"
            ),
            "Connection refused",
        ),
        (
            "[Errno 2] No such file or directory: '/ssl/a.pem'",
            "No such file or directory: '/ssl/a.pem'",
        ),
        (
            (
                "Cannot connect to host grid.example:443 ssl:<ssl.SSLContext object at 0x7f35> "
                "[Name or service not known]"
            ),
            "Cannot connect to host grid.example:443 [Name or service not known]",
        ),
        ("Cannot connect to host a:1 ssl:default [x]", "Cannot connect to host a:1 [x]"),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1081)", "wrong version number"),
        (
            "[SSL] PEM lib (_ssl.c:4149)",
            "not a PEM file, or the key does not belong to the certificate",
        ),
        ("the broker is full", "the broker is full"),
    ],
)
def test_numbers_objects_and_places_in_the_source_are_left_out(text: str, words: str) -> None:
    assert in_words(text) == words
    assert ConnectionFailed("cannot_connect", text).detail == words


async def test_the_innermost_error_says_why(socket_enabled: None) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OSError, match="Errno") as raised:
        await asyncio.open_connection("127.0.0.1", port)
    assert words_of(raised.value) == "Connection refused"
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError) as refused:
            await session.get(f"http://127.0.0.1:{port}/")
    assert words_of(refused.value) == "Connection refused"


def test_certificates_and_names_are_told_in_their_own_words() -> None:
    certificate = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] failed")
    certificate.verify_message = "self-signed certificate"
    assert words_of(certificate) == "self-signed certificate"
    name = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    outer = RuntimeError("outer")
    outer.__cause__ = name
    assert words_of(outer) == "Name or service not known"
    file = FileNotFoundError(errno.ENOENT, "No such file or directory", "/ssl/a.pem")
    assert words_of(file) == "No such file or directory: '/ssl/a.pem'"
    assert words_of(EOFError()) == "EOFError"
