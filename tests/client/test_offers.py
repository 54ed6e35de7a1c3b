"""Models, quotes and the list of jobs, from the real service: `up` with the emulator."""

import asyncio
import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as Pillow

from image2model.client import ApiError, AsyncClient, Client, Complete, Picture
from image2model.domain import Metadata
from tests.support.up_process import Up

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        up = Up(Path(folder) / "data", "--port", "0", "--latency", "200ms")
        try:
            yield up.ready().url
        finally:
            up.end()


def _png(shade: int) -> bytes:
    out = io.BytesIO()
    Pillow.new("RGB", (64, 64), (shade, 0, 255 - shade)).save(out, "PNG")
    return out.getvalue()


async def test_models_are_typed(url: str) -> None:
    async with AsyncClient(url) as client:
        offer = await client.models()
    first = offer.models[0]
    assert first.id == offer.default == "tripo3d/tripo/v2.5/image-to-3d"
    assert first.default
    assert first.price_usd == 0.3
    assert "face_limit" in first.params["properties"]


async def test_quote_tells_the_price_and_what_is_wrong_and_runs_nothing(url: str) -> None:
    pictures = [Picture.from_bytes("good.png", _png(1)), Picture.from_bytes("text.png", b"hello")]
    async with AsyncClient(url) as client:
        before = await client.jobs()
        quote = await client.quote(pictures, face_limit=1000)
        assert [image.ok for image in quote.images] == [True, False]
        assert quote.images[1].code == "not_an_image"
        assert (quote.good, quote.bad, quote.accepted) == (1, 1, False)
        assert quote.total_cost_usd == 0.3
        assert quote.params["face_limit"] == 1000
        with pytest.raises(ApiError, match="not on offer") as refused:
            await client.quote(pictures, model="no/such")
        assert refused.value.code == "unknown_model"
        assert await client.jobs() == before


def test_sync_client_quotes_lists_and_shows(url: str) -> None:
    with Client(url) as client:
        assert client.models().default
        assert client.quote([Picture.from_bytes("a.png", _png(2))]).accepted
        job = client.submit([Picture.from_bytes("a.png", _png(2))])
        for _ in client.events(job.job_id):
            pass
        assert job.job_id in [found.job_id for found in client.jobs(status="succeeded").jobs]
        assert client.jobs(status="failed").jobs == ()
        (listed,) = client.downloads(job.job_id)
        assert {file.kind for file in listed.files} >= {"model", "preview"}
        shown = Pillow.open(io.BytesIO(client.thumbnail(job.job_id, listed.image_id)))
        assert (shown.format, shown.size) == ("WEBP", (64, 64))
        assert client.quote([Picture.from_bytes("b.png", _png(2))]).total_cost_usd == 0.0  # reused
        client.delete(job.job_id)


async def test_own_data_comes_back_typed_and_finds_its_job(url: str) -> None:
    pictures = [
        Picture.from_bytes("a.png", _png(5)),
        Picture.from_bytes("b.png", _png(6), metadata={"sku": "B-2", "weight": 1.0}),
    ]
    own: Metadata = {"order": 1001, "shop": "Köln & Bonn", "paid": False, "empty": ""}
    async with AsyncClient(url) as client:
        job = await client.submit(pictures, metadata=own)
        assert (job.metadata, [image.metadata for image in job.images]) == (own, [{}, pictures[1].metadata])
        events = [event async for event in client.events(job.job_id)]
        assert isinstance(events[-1], Complete)
        assert events[-1].job.metadata == own
        wishes: tuple[Metadata, ...] = (own, {"weight": 1.0}, {"weight": 1}, {"sku": "B-2", "order": 1001})
        for wanted in wishes:
            assert [one.job_id for one in (await client.jobs(metadata=wanted)).jobs] == [job.job_id], wanted
        assert (await client.jobs(metadata={"shop": "Köln"})).jobs == ()
        assert [one.metadata for one in await client.downloads(job.job_id)] == [{}, pictures[1].metadata]
    with Client(url) as client:
        assert [one.metadata for one in client.jobs(metadata={"order": 1001}).jobs] == [own]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_readmes_example_runs(url: str, tmp_path: Path, kind: str) -> None:
    section = (ROOT / "README.md").read_text().split("\n## Python\n")[1].split("\n## ")[0]
    (program,) = [code for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL) if _is(code, kind)]
    (tmp_path / "chair.jpg").write_bytes(_png(3))
    (tmp_path / "lamp.png").write_bytes(_png(4))
    done = subprocess.run(
        [sys.executable, "-c", program.replace("http://127.0.0.1:8000", url)],
        cwd=tmp_path,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "models").glob("*.glb")) == ["chair.glb", "lamp.glb"]


def _is(code: str, kind: str) -> bool:
    return ("asyncio" in code) is (kind == "async")


def test_both_clients_offer_the_same_calls() -> None:
    def calls(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    operators = {"dead", "replay", "replay_many", "url"}
    assert calls(AsyncClient) - operators == calls(Client) - {"close"}
    assert asyncio.iscoroutinefunction(AsyncClient.models)
