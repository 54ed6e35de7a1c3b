"""What storages in the clouds do beside storing: signed URLs, credentials of every kind, errors in words."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

import aiohttp
import pytest
from yarl import URL

from image2model.cli.commands.doctor_storage import check_storage
from image2model.errors import ConfigurationError
from image2model.storage.address import download_origins, open_storage
from image2model.storage.errors import ObjectMissing, StorageError
from tests.support import azurite

GLB = "model/gltf-binary"
NAME = "attachment; filename*=UTF-8''st%C3%BChl.glb"

LONG = pytest.mark.long
BUCKETS = [
    "bucket",
    "google_bucket",
    pytest.param("container", marks=LONG),
    pytest.param("seaweed_bucket", marks=LONG),
]


@pytest.fixture(params=BUCKETS)
def remote(request: pytest.FixtureRequest) -> str:
    """The URL of an empty bucket of each kind."""
    url: str = request.getfixturevalue(request.param)
    return url


async def fetch(url: str, given: Mapping[str, str]) -> tuple[int, bytes, Mapping[str, str]]:
    async with aiohttp.ClientSession() as http, http.get(URL(url, encoded=True), headers=given) as answer:
        return answer.status, await answer.read(), dict(answer.headers)


@pytest.mark.parametrize("size", [4, 17 * 1024 * 1024])
async def test_signed_url_gives_the_file_under_its_name(
    remote: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(remote)
    data = bytes(range(256)) * (size // 256) or b"glTF"

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 1 << 20):
            yield data[start : start + (1 << 20)]

    key = "results/j_1/i-2/model.glb"
    await storage.put_stream(key, pieces(), content_type=GLB, filename="stühl.glb")
    host = {}
    if endpoint := os.environ.get("GOOGLE_BASE_URL"):  # for which nothing is signed
        assert await storage.presign(key, 60) is None
        monkeypatch.delenv("GOOGLE_BASE_URL")
        storage = open_storage(remote)
        host = {"Host": "storage.googleapis.com"}
    url = await storage.presign(key, 60)
    assert url is not None
    url = url.replace("https://storage.googleapis.com", endpoint or "")
    status, body, headers = await fetch(url, host)
    assert (status, body == data) == (200, True)
    assert (headers["Content-Type"], headers["Content-Disposition"]) == (GLB, NAME)
    status, _, _ = await fetch(url.replace("model.glb", "other.glb"), host)
    assert status in (401, 403, 404)  # 404 by moto, which verifies nothing


@pytest.mark.long
async def test_copy_keeps_bytes_and_misses_what_is_missing(remote: str) -> None:
    storage = open_storage(remote)
    await storage.put("a/b", b"x", content_type=GLB)
    await storage.copy("a/b", "c/d")
    assert await storage.get("c/d") == b"x"
    with pytest.raises(ObjectMissing):
        await storage.copy("a/none", "c/e")


async def test_missing_bucket_is_no_missing_object(remote: str) -> None:
    scheme = urlsplit(remote).scheme
    storage = open_storage(f"{scheme}://no-such-bucket-here")
    for call in (
        lambda: storage.put("a/b", b"x", content_type=GLB),
        lambda: storage.get("a/b"),
        lambda: anext(aiter(storage.list())),
        lambda: storage.delete(["a/b", "a/c"]),
    ):
        with pytest.raises(StorageError) as raised:
            await call()
        assert not isinstance(raised.value, ObjectMissing)
        assert "does not exist; create it" in str(raised.value)


@pytest.mark.parametrize(
    ("bucket_of", "variable", "value"),
    [
        pytest.param("container", "AZURE_STORAGE_CONNECTION_STRING", "", marks=LONG),
        pytest.param("seaweed_bucket", "AWS_SECRET_ACCESS_KEY", "another", marks=LONG),
        pytest.param("seaweed_bucket", "AWS_ACCESS_KEY_ID", "another", marks=LONG),
    ],
)
async def test_wrong_key_is_said(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, bucket_of: str, variable: str, value: str
) -> None:
    url = request.getfixturevalue(bucket_of)
    if bucket_of == "container":
        value = azurite.connection_string(request.getfixturevalue("azure_endpoint"), "bm90IHRoZSBrZXk=")
    monkeypatch.setenv(variable, value)
    storage = open_storage(url)
    for call in (
        lambda: storage.put("a/b", b"x", content_type=GLB),
        lambda: storage.get("a/b"),
        lambda: storage.delete(["a/b"]),
    ):
        with pytest.raises(StorageError, match=r"does not accept the credentials|may not do this"):
            await call()


@pytest.mark.long
async def test_sas_token_stores_and_signs_nothing(
    container: str, azure_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = urlsplit(container).netloc
    token = azurite.container_sas(name)
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", azurite.ACCOUNT)
    monkeypatch.setenv("AZURE_STORAGE_SAS_TOKEN", token)
    monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", azure_endpoint)
    storage = open_storage(container)
    await storage.put("a/b", b"x", content_type=GLB)
    assert await storage.get("a/b") == b"x"
    assert await storage.presign("a/b", 60) is None
    assert await storage.presign("a/b", 60) is None
    with pytest.raises(StorageError) as raised:
        await open_storage("az://another-container").put("a/b", b"x", content_type=GLB)
    assert "sig=" not in str(raised.value)  # the token is a credential
    (stored, signed) = await check_storage(container)
    assert (stored.state.name, signed.state.name) == ("OK", "OK")
    assert "pass through the service" in signed.detail


@pytest.mark.long
async def test_every_form_of_the_azure_variables_is_read(
    container: str, azure_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sas = azurite.container_sas(urlsplit(container).netloc)
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    for variables in (
        {"AZURE_STORAGE_CONNECTION_STRING": f"BlobEndpoint={azure_endpoint}/;SharedAccessSignature={sas}",
         "AZURE_STORAGE_ACCOUNT_NAME": azurite.ACCOUNT},
        {"AZURE_STORAGE_ACCOUNT": azurite.ACCOUNT, "AZURE_STORAGE_KEY": azurite.KEY,
         "AZURE_STORAGE_ENDPOINT": azure_endpoint},
        {"AZURE_STORAGE_ACCOUNT_NAME": azurite.ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": azurite.KEY,
         "AZURE_STORAGE_ENDPOINT": azure_endpoint},
    ):  # fmt: skip
        with monkeypatch.context() as given:
            for name, value in variables.items():
                given.setenv(name, value)
            storage = open_storage(container)
            await storage.put("a/b", b"x", content_type=GLB)
            assert await storage.get("a/b") == b"x"


async def test_google_key_of_another_account_is_said(
    google_bucket: str, google_stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", google_stranger)
    storage = open_storage(google_bucket)
    with pytest.raises(StorageError, match="does not accept the credentials"):
        await storage.put("a/b", b"x", content_type=GLB)
    (found,) = await check_storage(google_bucket)
    assert (found.state.name, "does not accept the credentials" in found.detail) == ("BROKEN", True)


async def test_doctor_reads_a_signed_address(remote: str) -> None:
    (stored, signed) = await check_storage(remote)
    assert (stored.state.name, signed.state.name) == ("OK", "OK"), (stored, signed)
    with_us = remote.startswith("gs:")  # at another endpoint than Google's
    way = "pass through the service" if with_us else "redirect to signed addresses of 127.0.0.1"
    assert f"downloads {way}" in signed.detail
    assert [one async for one in open_storage(remote).list()] == []


async def test_storage_that_is_away_is_said(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(StorageError, match="cannot be reached; check its address"):
        await asyncio.wait_for(open_storage(bucket).head("a/b"), 60)


@pytest.mark.parametrize(
    ("url", "environment", "says"),
    [
        ("az://", {}, "write az://container/prefix"),
        ("az://c", {}, "AZURE_STORAGE_CONNECTION_STRING"),
        ("az://c/pre fix", {"AZURE_STORAGE_ACCOUNT_NAME": "a"}, "letters, digits"),
        ("az://c", {"AZURE_STORAGE_CONNECTION_STRING": "abc"}, "copy all of it"),
        ("az://c", {"AZURE_STORAGE_ACCOUNT_NAME": "a", "AZURE_STORAGE_ACCOUNT_KEY": "!"}, "Access Key"),
        ("gs://user@b", {}, "write gs://bucket/prefix"),
        ("gs://b", {"GOOGLE_APPLICATION_CREDENTIALS": "/none"}, "JSON file of a service account"),
        ("gs://b", {"GOOGLE_SERVICE_ACCOUNT_KEY": "{}"}, "JSON file of a service account"),
    ],
)
def test_wrong_settings_are_refused_at_the_start(
    url: str, environment: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"I2M_STORAGE_URL|AZURE") as raised:
        open_storage(url)
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("url", "environment", "origin"),
    [
        ("az://c", {"AZURE_STORAGE_ACCOUNT_NAME": "acc"}, "https://acc.blob.core.windows.net"),
        ("AZ://c", {"AZURE_STORAGE_ACCOUNT": "acc"}, "https://acc.blob.core.windows.net"),
        (
            "az://c",
            {"AZURE_STORAGE_CONNECTION_STRING": "AccountName=a;EndpointSuffix=core.usgovcloudapi.net"},
            "https://a.blob.core.usgovcloudapi.net",
        ),
        ("az://c", {"AZURE_STORAGE_ENDPOINT": "http://azurite:10000/acc"}, "http://azurite:10000"),
        ("gs://b", {}, "https://storage.googleapis.com"),
    ],
)
def test_hosts_of_signed_urls(url: str, environment: dict[str, str], origin: str) -> None:
    assert download_origins(url, environment) == (origin,)


def test_a_folder_has_no_such_hosts() -> None:
    assert download_origins("file:///var/lib/i2m", {}) == ()
    assert download_origins("gs://b", {"GOOGLE_BASE_URL": "http://gcs:4443"}) == ()
