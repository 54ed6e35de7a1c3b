"""The TLS front of nginx."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.docker.conftest import MakeCluster
from tests.support.batches import batch
from tests.support.multipart_body import CONTENT_TYPE
from tests.support.ports import free_port


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with a certificate for 127.0.0.1, signed by itself."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "privkey.pem").write_bytes(private)
    return folder


async def test_tls_front_takes_uploads_and_moves_plain_requests(
    make_cluster: MakeCluster, certificates: Path
) -> None:
    secure = f"127.0.0.1:{free_port()}"
    values = {"I2M_FRONT": "tls", "I2M_CERTIFICATES": str(certificates), "I2M_HTTPS_LISTEN": secure}
    trust = ssl.create_default_context(cafile=certificates / "fullchain.pem")
    async with (
        make_cluster(replicas=1, workers=0, **values) as cluster,
        httpx.AsyncClient(verify=trust) as client,
    ):
        moved = await client.get(f"{cluster.address.url}/api/v1/status/x?y=1")
        assert (moved.status_code, moved.headers["location"]) == (
            308,
            "https://127.0.0.1/api/v1/status/x?y=1",
        )
        headers = {"content-type": CONTENT_TYPE, "origin": f"https://{secure}"}
        answer = await client.post(
            f"https://{secure}/api/v1/upload/batch", content=bytes(batch()), headers=headers
        )
        assert answer.status_code == 202, answer.text
        assert "max-age" in answer.headers["strict-transport-security"]
