"""The JavaScript client's package: what is in it, its types, and whole sessions in Node and in a browser."""

import base64
import hashlib
import json
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from image2model.api.openapi import openapi
from image2model.client import AsyncClient, Complete, ImageChanged
from tests.javascript.conftest import KEY
from tests.support.breaking_proxy import BreakingProxy, breaking_proxy
from tests.support.javascript import PACKAGE, run_node
from tests.support.javascript_package import DOM, SESSION, browser_page, checked
from tests.support.pictures import picture
from tests.support.up_process import Up

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]  # npm and tsc on a machine that may be busy

CUTS = 4
_RUN = """async ([url, key, pictures, bad]) => {
  const { Client } = await import('@image2model/client');
  const { session } = await import('/session.js');
  const file = ([name, data]) => new File([Uint8Array.from(atob(data), (one) => one.charCodeAt(0))], name);
  return session(new Client({ url, key }), pictures.map(file), file(bad));
}"""


@pytest.fixture
async def proxy(up: Up) -> AsyncIterator[BreakingProxy]:
    """It loses the first answer to an upload, and cuts the first event streams."""
    async with breaking_proxy(up.url, streams=CUTS, uploads=1) as proxy:
        yield proxy


def test_it_has_code_and_types_and_no_dependencies(pack: tuple[Path, dict[str, Any]]) -> None:
    _, said = pack
    described = json.loads((PACKAGE / "package.json").read_text())
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert described["version"] == project["version"]
    assert not {"dependencies", "peerDependencies", "optionalDependencies"} & {*described}
    names = {one["path"] for one in said["files"]}
    sources = {f"src/{path.name}" for path in (PACKAGE / "src").glob("*.js")}
    assert sources < names
    assert {name.replace("src/", "types/").replace(".js", ".d.ts") for name in sources} < names
    assert names - sources - {one for one in names if one.startswith("types/")} == {
        "README.md",
        "package.json",
    }
    assert said["size"] < 60_000


def test_every_field_of_the_forms_is_an_option(project: Path) -> None:
    document = openapi()
    types = (project / "node_modules/@image2model/client/types/documents.d.ts").read_text()
    for path in ("/api/v1/upload/batch", "/api/v1/jobs/{job_id}/images/{image_id}/derive"):
        body = document["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]
        form = document["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
        fields = {*form["properties"]} - {
            "files",
            "manifest",
            "image",
        }  # the pictures, and what is said of them
        assert {
            name for name in fields if f"    {name}?: " not in types and f"    {name}: " not in types
        } == set()


@pytest.mark.parametrize(
    ("lib", "types", "program"),
    [(DOM, (), "session.ts"), (("es2022",), ("node",), "main.ts"), (DOM, (), "wrong.ts")],
    ids=["a browser's program", "a program of Node's", "wrong programs"],
)
def test_types_hold_in_strict_programs(
    lib: tuple[str, ...], types: tuple[str, ...], program: str, project: Path
) -> None:
    checked(project, SESSION / program, lib=lib, types=types)


async def test_session_in_node(project: Path, proxy: BreakingProxy, up: Up, tmp_path: Path) -> None:
    paths = []
    for seed, name in enumerate(("chair.png", 'a "lamp" ü.png')):
        (tmp_path / name).write_bytes(picture("png", (400, 400), seed=6600 + seed))
        paths.append(tmp_path / name)
    bad = tmp_path / "text.png"
    bad.write_text("this is text")
    said = await run_node(
        "main.js", proxy.url, tmp_path / "models", bad, *paths, folder=project, I2M_API_KEY=KEY
    )
    report = msgspec.json.decode(said)
    assert sorted(one.name for one in (tmp_path / "models").iterdir()) == sorted(
        f"{one.name}.glb" for one in paths
    )
    await _check(report, [one.name for one in paths], proxy, up)


async def test_addresses_go_as_json_with_pictures_and_views_beside_them(project: Path, up: Up) -> None:
    program = """
    import { Client } from '@image2model/client';
    const client = new Client({ url: process.argv[1], key: process.argv[2] });
    const data = new Uint8Array(Buffer.from(process.argv[3], 'base64'));
    const address = 'https://pictures.example.com/a%20chair.png?signed=1';
    const sources = [
      { url: address, metadata: { sku: 1 } },
      { name: 'lamp.png', data },
      new File([data], 'file.png'),
    ];
    const front = { picture: { url: address, name: 'front.png' }, side: 'front' };
    const table = { name: 'table', views: [front, { picture: { name: 'b.png', data }, side: 'back' }] };
    const options = { model: 'tripo3d/tripo/v2.5/multiview-to-3d' };
    const quote = await client.quote(sources);
    const job = await client.upload(sources, { no_cache: true, metadata: { order: 7 } });
    await client.cancel(job.job_id);
    const objects = await client.quote([table], options);
    console.log(JSON.stringify({ quote, job, objects }));
    """
    data = picture("png", (200, 150), seed=6690)
    arguments = (up.url, KEY, base64.b64encode(data).decode())
    said = msgspec.json.decode(
        await run_node("--input-type=module", "--eval", program, *arguments, folder=project)
    )
    images = said["job"]["images"]
    assert [one["filename"] for one in images] == ["a chair.png", "lamp.png", "file.png"]
    assert [one["sha256"] for one in images] == [None] + 2 * [hashlib.sha256(data).hexdigest()]
    assert [one["metadata"] for one in images] == [{"sku": 1}, {}, {}]
    assert said["job"]["metadata"] == {"order": 7}
    assert said["quote"]["total_cost_usd"] > 0, said["quote"]
    assert said["objects"]["model"] == "tripo3d/tripo/v2.5/multiview-to-3d", said["objects"]


async def test_session_in_a_browser(site: str, proxy: BreakingProxy, up: Up) -> None:
    """No bundler: the browser loads the package's modules from another site than the service's."""
    names = ["chair.png", "lamp ü.png"]
    data = [
        base64.b64encode(picture("png", (400, 400), seed=6650 + seed)).decode() for seed in range(len(names))
    ]
    bad = ["text.png", base64.b64encode(b"this is text").decode()]
    async with browser_page(site) as page:
        report = await page.evaluate(_RUN, [proxy.url, KEY, list(zip(names, data, strict=True)), bad])
    await _check(report, names, proxy, up)


async def test_an_api_that_dies_loses_no_event(project: Path, up: Up) -> None:
    program = """
    import { Client } from '@image2model/client';
    const client = new Client({ url: process.argv[1], key: process.argv[2] });
    const data = new Uint8Array(Buffer.from(process.argv[3], 'base64'));
    const { job_id } = await client.upload([{ name: 'a.png', data }]);
    const seen = [];
    for await (const { type, id } of client.follow(job_id)) {
      if (!seen.length) process.kill(Number(process.argv[4]), 'SIGKILL');
      seen.push([type, id]);
    }
    console.log(JSON.stringify({ job: job_id, seen }));
    """
    data = base64.b64encode(picture("png", (96, 96), seed=6690)).decode()
    (pid,) = up.pids("image2model api")
    said = await run_node(
        "--input-type=module", "--eval", program, up.url, KEY, data, str(pid), folder=project
    )
    report = msgspec.json.decode(said)
    seen = [(kind, number) for kind, number in report["seen"]]
    assert seen[1:] == [(kind, number) for kind, number, _ in await _later(report["job"], seen[0][1], up)]


async def _check(report: dict[str, Any], names: list[str], proxy: BreakingProxy, up: Up) -> None:
    """Everything that a session has to show; each event once, although the streams were cut."""
    assert proxy.lost_answers == 1
    assert report["retries"] == ["Unreachable"]
    assert report["progress"][-1]["loaded"] == report["progress"][-1]["total"]
    assert sorted(one["filename"] for one in report["images"]) == sorted(names)
    assert {one["magic"] for one in report["images"]} == {"glTF"}
    assert all(one["triangles"] > 0 for one in report["images"])
    assert report["archive"] > sum(one["size"] for one in report["images"]) / 2
    assert report["listed"]
    assert report["problem"] == {"code": "not_an_image", "file": "text.png", "requestId": True}
    assert proxy.cut_streams == CUTS
    assert report["losses"] >= 1
    first, *events = report["events"]
    assert first["type"] == "snapshot"
    seen = [(one["type"], one["id"], one["image"]) for one in events]
    assert seen == await _later(report["job"], first["id"], up)


async def _later(job_id: str, first: str, up: Up) -> list[tuple[str, str, str]]:
    """What the history has after an event, read by the Python client straight from the service."""
    found: list[tuple[str, str, str]] = []
    async with AsyncClient(up.url, KEY) as client:
        async for event in client.events(job_id, last_event_id=first):
            if isinstance(event, ImageChanged):
                found.append(("image", event.id, event.image.image_id))
            else:
                assert isinstance(event, Complete)
                found.append(("complete", event.id, ""))
    return found
