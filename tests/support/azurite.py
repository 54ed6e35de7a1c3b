"""A real Azure Blob Storage over HTTP on loopback: Microsoft's emulator, without data on the disk."""

import base64
import email.utils
import hmac
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from tests.support.heavy import npm_program
from tests.support.ports import free_port
from tests.support.wait import until_listening

ACCOUNT: Final = "devstoreaccount1"
# The emulator's own, which Microsoft publishes.
KEY: Final = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION: Final = "2021-08-06"


@contextmanager
def azurite() -> Iterator[str]:
    """The account's endpoint, without containers; gone with all its data at the end."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="i2m-azurite-") as folder:
        command = [
            str(npm_program("azurite-blob")), "--inMemoryPersistence", "--disableTelemetry", "--silent",
            "--blobHost", "127.0.0.1", "--blobPort", str(port), "--skipApiVersionCheck",
        ]  # fmt: skip
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        try:
            until_listening(port, process)
            yield f"http://127.0.0.1:{port}/{ACCOUNT}"
        finally:
            process.terminate()
            process.wait(20)


def connection_string(endpoint: str, key: str = KEY) -> str:
    """As the portal shows one."""
    return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};BlobEndpoint={endpoint};"


def make_container(endpoint: str, name: str) -> None:
    """An empty container, by a request signed with the shared key:

    https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
    """
    date = email.utils.formatdate(usegmt=True)
    resource = f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{_VERSION}\n{resource}"
    signature = base64.b64encode(hmac.digest(base64.b64decode(KEY), text.encode(), "sha256")).decode()
    request = urllib.request.Request(  # noqa: S310
        f"{endpoint}/{name}?restype=container",
        method="PUT",
        headers={
            "x-ms-date": date,
            "x-ms-version": _VERSION,
            "Authorization": f"SharedKey {ACCOUNT}:{signature}",
        },
    )
    with urllib.request.urlopen(request, timeout=20):  # noqa: S310
        pass


def container_sas(name: str, permissions: str = "racwdl") -> str:
    """A service SAS of a container for an hour:

    https://learn.microsoft.com/rest/api/storageservices/create-service-sas
    """
    end = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    version = "2020-08-04"
    lines = [
        permissions,
        "",
        end,
        f"/blob/{ACCOUNT}/{name}",
        "",
        "",
        "",
        version,
        "c",
        "",
        "",
        "",
        "",
        "",
        "",
    ]
    signature = hmac.digest(base64.b64decode(KEY), "\n".join(lines).encode(), "sha256")
    sig = base64.b64encode(signature).decode()
    return urlencode({"sv": version, "se": end, "sr": "c", "sp": permissions, "sig": sig})
