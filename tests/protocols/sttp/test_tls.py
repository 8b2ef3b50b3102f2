"""Publisher and subscriber over TLS."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
import pytest

from custom_components.grid_telemetry.protocols.sttp.publisher import Limits

from .conftest import Serve, Wire
from .samples import ALL, frame, metadata
from .test_publisher import failed
from .test_subscriber import Running


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "meter")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    path.write_bytes(
        built.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def server(certificate: Path) -> ssl.SSLContext:
    """The publisher's side."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def client(certificate: Path) -> ssl.SSLContext:
    """The subscriber's side."""
    return ssl.create_default_context(cafile=str(certificate))


async def test_measurements_arrive_over_tls(
    serve: Serve, stack: AsyncExitStack, server: ssl.SSLContext, client: ssl.SSLContext
) -> None:
    publisher = await serve(tls=server)
    publisher.define_metadata(metadata(500))
    running = Running(publisher.port, tls=client)
    stack.push_async_callback(running.stop)
    async with asyncio.timeout(10):
        while not any(info.signals for info in publisher.subscribers()):
            await asyncio.sleep(0.001)
    for value in range(10):
        publisher.publish(frame(500, value))
        publisher.flush()
    await running.until(lambda: len(running.measurements) == 5_000)
    assert running.measurements[-500:] == frame(500, 9)


async def test_a_certificate_can_be_asked_of_subscribers(
    serve: Serve, stack: AsyncExitStack, server: ssl.SSLContext, certificate: Path
) -> None:
    server.load_verify_locations(certificate)
    server.verify_mode = ssl.CERT_REQUIRED
    publisher = await serve(tls=server)
    publisher.define_metadata(metadata(1))
    client = ssl.create_default_context(cafile=str(certificate))
    stranger = Running(publisher.port, tls=client)
    assert isinstance(await stranger.ended(), OSError)
    client.load_cert_chain(certificate)
    running = Running(publisher.port, tls=client)
    stack.push_async_callback(running.stop)
    await running.until(lambda: bool(running.signals))


async def test_a_publisher_that_is_another_is_refused(serve: Serve, server: ssl.SSLContext) -> None:
    publisher = await serve(tls=server)
    error = await Running(publisher.port, tls=ssl.create_default_context()).ended()
    assert isinstance(error, ssl.SSLCertVerificationError)


async def test_plain_text_does_not_get_in(serve: Serve, wire: Wire, server: ssl.SSLContext) -> None:
    publisher = await serve(tls=server)
    plain = await wire(publisher, handshake=False)
    plain.send(6, plain.modes.encode())
    await plain.closed()
    assert publisher.subscribers() == []


async def test_half_open_tls_handshakes_count_and_end(
    serve: Serve, wire: Wire, server: ssl.SSLContext, client: ssl.SSLContext
) -> None:
    limits = Limits(tls_handshake_s=0.2, connections_per_address=3)
    publisher = await serve(tls=server, limits=limits)
    silent = [await wire(publisher, handshake=False) for _ in range(5)]
    assert await asyncio.gather(*(peer.closed() for peer in silent)) == [b""] * 5
    assert publisher.health.refused == 5
    await wire(publisher, tls=client)


async def test_no_data_leaves_beside_tls(
    serve: Serve, wire: Wire, server: ssl.SSLContext, client: ssl.SSLContext
) -> None:
    publisher = await serve(tls=server)
    publisher.define_metadata(metadata(1))
    subscriber = await wire(publisher, tls=client)
    subscriber.subscribe(ALL, dataChannel="localport=5000")
    assert "No UDP data channel is offered beside TLS" in await failed(subscriber)


async def test_stop_ends_what_is_half_open(
    serve: Serve, wire: Wire, server: ssl.SSLContext, client: ssl.SSLContext
) -> None:
    publisher = await serve(tls=server)
    silent = await wire(publisher, handshake=False)
    whole = await wire(publisher, tls=client)
    async with asyncio.timeout(2):
        await publisher.stop()
    await silent.closed()
    await whole.closed()
