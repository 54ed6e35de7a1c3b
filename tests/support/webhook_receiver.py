"""A client's webhook receiver on loopback, by http or https, that answers as a script says.

Who calls it: tests of outgoing webhooks. It is a `RawServer`; by https it also notes each name that was
asked for (SNI).
"""

import datetime
import ssl
from asyncio import start_server
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.raw_server import Exchange, RawServer, Script

NAME: Final = "hooks.example.com"


def certificate(folder: Path, name: str = NAME) -> Path:
    """A self-signed certificate of `name`, with its key in the same file: its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def trusting(path: Path) -> ssl.SSLContext:
    """What a caller needs that trusts this certificate alone."""
    return ssl.create_default_context(cafile=str(path))


class Receiver(RawServer):
    """`names` are those that were asked for by SNI."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.names: list[str | None] = []
        self.port = 0

    def tls(self, path: Path) -> ssl.SSLContext:
        """The server's side of a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        return context


@asynccontextmanager
async def receiving(
    script: Script, *, cert: Path | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Receiver]:
    """A running receiver."""
    receiver = Receiver(script)
    tls = receiver.tls(cert) if cert else None
    server = await start_server(receiver.serve, host, port, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    receiver.url = f"{'https' if cert else 'http'}://{host}:{receiver.port}/hook"
    try:
        yield receiver
    finally:
        server.close()
        await receiver.stop()
        await server.wait_closed()


def answering(*statuses: str) -> Script:
    """Answers these one after the other, and the last one ever after."""
    left = list(statuses)

    async def script(exchange: Exchange) -> None:
        await exchange.reply(left.pop(0) if len(left) > 1 else left[0])

    return script


def resolving(*answers: Sequence[str]) -> "Answers":
    """A resolver that gives these answers one after the other, and the last one ever after."""
    return Answers(list(answers))


class Answers:
    """`asked` are the names that were looked up."""

    def __init__(self, answers: list[Sequence[str]]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, _port: int) -> Sequence[str]:
        """The next answer."""
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
