"""A whole session of the service with its files in a cloud: upload, model, downloads, ZIP, delete."""

import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest
from yarl import URL

from image2model.storage.address import open_storage
from tests.support.pictures import photo_set
from tests.support.up_process import Up
from tests.support.wait import until

pytestmark = pytest.mark.long

Start = Callable[[str], Up]
Fetched = tuple[bytes, dict[str, str]]


@pytest.fixture
def serve() -> Iterator[Start]:
    """Starts the service on a storage; it ends with the test."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        started: list[Up] = []

        def start(storage_url: str) -> Up:
            started.append(Up(Path(folder) / "data", I2M_STORAGE_URL=storage_url))
            return started[0].ready()

        yield start
        for one in started:
            one.end()


@pytest.mark.parametrize("kind", ["container", "seaweed_bucket", "google_bucket"])
async def test_session(request: pytest.FixtureRequest, serve: Start, kind: str) -> None:
    url = request.getfixturevalue(kind)
    endpoints = {"container": "azure_endpoint", "seaweed_bucket": "seaweed_endpoint"}
    endpoint = request.getfixturevalue(endpoints[kind]) if kind in endpoints else None
    up = serve(url)
    api = f"{up.url}/api/v1"
    (name, picture), *_ = photo_set(1)
    async with aiohttp.ClientSession(raise_for_status=True) as http:
        form = aiohttp.FormData()
        form.add_field("files", picture, filename=name)
        async with http.post(f"{api}/upload/batch", data=form) as answer:
            job_id = (await answer.json())["job_id"]

        async def ended() -> bool:
            async with http.get(f"{api}/status/{job_id}") as answer:
                status = (await answer.json())["status"]
                assert status in ("queued", "running", "succeeded")
                return bool(status == "succeeded")

        await until(ended, timeout=60)
        async with http.get(f"{api}/status/{job_id}") as answer:
            image = (await answer.json())["images"][0]
        path = f"{api}/download/{job_id}/{image['image_id']}"
        model, kind_of = await _redirected(http, path, endpoint)
        assert kind_of["Content-Type"] == "model/gltf-binary"
        assert model[:4] == b"glTF"
        original, named = await _redirected(http, f"{path}?file=original", endpoint)
        assert original == picture
        assert name in named["Content-Disposition"]
        async with http.get(f"{api}/images/{job_id}/{image['image_id']}/thumbnail") as answer:
            assert (await answer.read())[8:12] == b"WEBP"
        async with http.get(f"{api}/download/{job_id}/archive.zip") as answer:
            archive = zipfile.ZipFile(io.BytesIO(await answer.read()))
        assert archive.testzip() is None
        assert model in [archive.read(entry) for entry in archive.namelist()]
        async with http.get(up.url) as answer:
            assert (_origin(endpoint) in answer.headers["Content-Security-Policy"]) == (endpoint is not None)
        assert [found.size async for found in open_storage(url).list("results")]
        async with http.delete(f"{api}/jobs/{job_id}"):
            pass

        async def erased() -> bool:
            return not [found async for found in open_storage(url).list()]

        await until(erased, timeout=60)


def _origin(url: str | None) -> str:
    parts = urlsplit(url or "http://127.0.0.1:1")
    return f"{parts.scheme}://{parts.netloc}"


async def _redirected(http: aiohttp.ClientSession, path: str, endpoint: str | None) -> Fetched:
    """The file that a download redirects to, in the cloud or (nobody signs) at the service; its headers."""
    async with http.get(path, allow_redirects=False) as answer:
        assert answer.status == 307
        location = answer.headers["Location"]
    if endpoint is None:
        assert location.startswith("/api/v1/files/")
        location = f"{_origin(path)}{location}"
    else:
        assert location.startswith(endpoint)
    async with http.get(URL(location, encoded=True)) as answer:
        return await answer.read(), dict(answer.headers)
