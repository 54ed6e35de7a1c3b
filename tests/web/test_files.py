"""The page's files as a browser is given them."""

import gzip
import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware

from image2model import web
from image2model.api.middleware import ProblemAnswers
from image2model.errors import NotFound
from image2model.settings import load
from image2model.web import files


@pytest.fixture
def client() -> httpx.AsyncClient:
    """The page's routes alone, with the API's way to refuse."""
    app = Starlette(routes=web.routes(max_file_bytes=30 << 20), middleware=[Middleware(ProblemAnswers)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page")


async def test_every_file_that_the_page_names_is_there_for_ever(client: httpx.AsyncClient) -> None:
    page = (await client.get("/")).text
    named = re.findall(r'(?:href|src)="(/assets/[^"#]+)', page)
    assert len(named) > 20
    for address in named:
        answer = await client.get(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]


async def test_the_page_itself_is_asked_for_again_and_answered_with_304(client: httpx.AsyncClient) -> None:
    first = await client.get("/")
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get("/", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_text_travels_compressed_and_unchanged(client: httpx.AsyncClient) -> None:
    plain = await client.get("/", headers={"Accept-Encoding": "identity"})
    async with client.stream("GET", "/", headers={"Accept-Encoding": "gzip"}) as packed:
        raw = b"".join([piece async for piece in packed.aiter_raw()])
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] != plain.headers["etag"]
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 2


async def test_the_policy_allows_no_inline_code_and_no_other_host(client: httpx.AsyncClient) -> None:
    policy = (await client.get("/")).headers["content-security-policy"]
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    assert "http" not in policy
    page = (await client.get("/")).text
    assert "<style" not in page
    assert " style=" not in page
    assert re.search(r"<script(?![^>]*src=)", page) is None


async def test_downloads_from_another_store_are_allowed_where_it_is_named() -> None:
    app = Starlette(routes=web.routes(["https://models.example"], max_file_bytes=30 << 20))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page") as client:
        policy = (await client.get("/")).headers["content-security-policy"]
    assert policy.count("https://models.example") == 2


def test_the_hosts_of_redirected_downloads_come_from_the_settings() -> None:
    def origins(endpoint: str = "", **settings: str) -> tuple[str, ...]:
        return web.media_origins(load({}, **settings), {"AWS_ENDPOINT_URL_S3": endpoint})

    assert origins() == ()
    bucket = {"storage_url": "s3://bucket/models"}
    assert origins("http://minio:9000/", **bucket) == ("http://minio:9000",)
    assert origins(**bucket) == ("https://*.amazonaws.com",)
    assert "https://*.fal.media" in origins(results="redirect")


async def test_a_file_of_another_version_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await client.get("/assets/0000000000000000/js/main.js")
    assert answer.status_code == 404
    assert "reload" in answer.json()["detail"]


async def test_another_content_has_another_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = files.load(30 << 20)
    static = tmp_path / "static"
    for name, asset in before.files.items():
        if not name.startswith("vendor/"):
            place = static / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(await asset.content() + (b"\n" if name == "js/main.js" else b""))
    (static / "index.html").write_bytes(b'{{viewer}} src="{{base}}js/main.js"')
    (static / "reference-missing.html").write_bytes(b"")
    monkeypatch.setattr(files, "_FOLDER", tmp_path)
    after = files.load(30 << 20)
    assert after.version != before.version
    assert after.index.data == f'no src="{after.base}js/main.js"'.encode()


async def test_a_viewer_that_an_upgrade_has_replaced_is_not_served_under_the_old_address(
    tmp_path: Path,
) -> None:
    viewer = tmp_path / "viewer.js"
    viewer.write_bytes(b"old")
    asset = files.StoredAsset("vendor/viewer.js", viewer)
    assert await asset.content() == b"old"
    viewer.write_bytes(b"new")
    with pytest.raises(NotFound):
        await asset.content()
    viewer.unlink()
    with pytest.raises(NotFound):
        await asset.compressed()


@pytest.mark.parametrize(
    ("limit", "words"), [(30 << 20, "30 MB"), (60 << 20, "60 MB"), (2_621_440, "2.5 MB")]
)
async def test_the_page_says_how_large_a_picture_may_be(limit: int, words: str) -> None:
    app = Starlette(routes=web.routes(max_file_bytes=limit))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page") as http:
        page = (await http.get("/")).text
    assert f"up to {words} each" in page
    assert "{{" not in page
