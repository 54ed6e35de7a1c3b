"""Storages of every kind, each empty and gone after its test."""

import os
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from image2model.storage.address import open_storage
from image2model.storage.objects import ObjectStorage
from tests.support.s3 import s3_server

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
    name = f"b-{os.getpid()}-{abs(hash(tmp_path)) % 10**9}"
    async with aiohttp.ClientSession() as http, http.put(f"{s3_endpoint}/{name}") as answer:
        answer.raise_for_status()
    return f"s3://{name}/pre fix"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A root with everything in its name that a URL could trip over."""
    return tmp_path / "dir" / "100% of #1? ünd more"


@pytest.fixture
def local(folder: Path) -> ObjectStorage:
    return open_storage(folder.as_uri())


@pytest.fixture(params=["file", "memory", "s3"])
def storage(request: pytest.FixtureRequest) -> ObjectStorage:
    if request.param == "file":
        local: ObjectStorage = request.getfixturevalue("local")
        return local
    return open_storage("memory://" if request.param == "memory" else request.getfixturevalue("bucket"))
