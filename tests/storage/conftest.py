"""Storages of every kind, each empty and gone after its test."""

import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from image2model.storage.address import open_storage
from image2model.storage.objects import ObjectStorage
from tests.support import seaweed
from tests.support.azurite import azurite, connection_string, make_container
from tests.support.gcs import Google, account, google_storage
from tests.support.s3 import s3_server
from tests.support.seaweed import seaweedfs

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with s3_server() as url:
        yield url


@pytest.fixture
async def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of an empty bucket; its name is the test's own."""
    for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": s3_endpoint}).items():
        monkeypatch.setenv(name, value)
    name = own_name(tmp_path)
    async with aiohttp.ClientSession() as http, http.put(f"{s3_endpoint}/{name}") as answer:
        answer.raise_for_status()
    return f"s3://{name}/pre fix"


@pytest.fixture(scope="session")
def azure_endpoint() -> Iterator[str]:
    with azurite() as url:
        yield url


@pytest.fixture
def container(azure_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of an empty container; its name is the test's own."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection_string(azure_endpoint))
    name = own_name(tmp_path)
    make_container(azure_endpoint, name)
    return f"az://{name}/pre.fix/of_it"


@pytest.fixture(scope="session")
def google() -> Iterator[Google]:
    with google_storage() as found:
        yield found


@pytest.fixture
def google_bucket(google: Google, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of an empty bucket; its name is the test's own."""
    (tmp_path / "account.json").write_text(google.service_account)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    monkeypatch.setenv("GOOGLE_BASE_URL", google.url)
    name = own_name(tmp_path)
    making = urllib.request.Request(f"{google.url}/{name}", method="PUT")  # noqa: S310
    urllib.request.urlopen(making, timeout=20).close()  # noqa: S310
    return f"gs://{name}/pre fix"


@pytest.fixture(scope="session")
def google_stranger(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of a service account that this Google does not know."""
    path = tmp_path_factory.mktemp("stranger") / "account.json"
    path.write_text(account(rsa.generate_private_key(65537, 2048)))
    return str(path)


@pytest.fixture(scope="session")
def seaweed_endpoint() -> Iterator[str]:
    with seaweedfs() as url:
        yield url


@pytest.fixture
def seaweed_bucket(seaweed_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of an empty bucket of SeaweedFS; its name is the test's own."""
    name = own_name(tmp_path)
    for variable, value in seaweed.environment(seaweed_endpoint).items():
        monkeypatch.setenv(variable, value)
    seaweed.make_bucket(seaweed_endpoint, name)
    return f"s3://{name}/pre fix"


def own_name(tmp_path: Path) -> str:
    """The name of a bucket that no other test has."""
    return f"b-{os.getpid()}-{abs(hash(tmp_path)) % 10**9}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A root with everything in its name that a URL could trip over."""
    return tmp_path / "dir" / "100% of #1? ünd more"


@pytest.fixture
def local(folder: Path) -> ObjectStorage:
    return open_storage(folder.as_uri())


KINDS = {"s3": "bucket", "gs": "google_bucket", "az": "container", "seaweedfs": "seaweed_bucket"}


@pytest.fixture(
    params=[
        "file",
        "memory",
        "s3",
        "gs",
        pytest.param("az", marks=pytest.mark.long),
        pytest.param("seaweedfs", marks=pytest.mark.long),
    ]
)
def storage(request: pytest.FixtureRequest) -> ObjectStorage:
    if request.param == "file":
        local: ObjectStorage = request.getfixturevalue("local")
        return local
    return open_storage(
        "memory://" if request.param == "memory" else request.getfixturevalue(KINDS[request.param])
    )
