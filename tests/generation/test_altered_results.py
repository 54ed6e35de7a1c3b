"""Whatever FAL delivers: a model that is there is handed over, and what lacks is told."""

import gzip
import json
import struct
from collections.abc import Callable
from typing import Any

import pytest

from image2model.domain import Counts, ImageResult
from image2model.store.records import ImageRow
from tests.support.altered_fal import (
    AlteredFal,
    Serve,
    after,
    cut,
    failing,
    unsized,
    whole,
)
from tests.support.fleet import Fleet
from tests.support.glb import document, glb
from tests.support.raw_server import Exchange, raw_server

GRACE = {"I2M_UNCONFIRMED_GRACE": "1"}
SPLAT = struct.pack("<6f8B", 0, 0, 0, 0.1, 0.1, 0.1, 200, 100, 50, 255, 255, 128, 128, 128)
SPZ = gzip.compress(struct.pack("<IIIBBBB", 0x5053474E, 2, 1, 0, 12, 0, 0) + bytes(19), mtime=0)
POINTS = glb(document(meshes=[{"primitives": [{"attributes": {"POSITION": 0}, "mode": 0}]}]))
HTML = b"<!doctype html><html><body>Sign in</body></html>"


def without_bounds() -> bytes:
    first, second = document()["accessors"]
    del first["min"], first["max"]
    return glb(document(accessors=[first, second]))


async def run(fleet: Fleet, fal: AlteredFal, **settings: str) -> ImageRow:
    """One image with a worker at this FAL, to its end: it was paid for once."""
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url, **(GRACE | settings))
    job = await fleet.until_finished(await fleet.submit(1), timeout=50)
    assert len(fleet.submissions_of(job)) == 1
    return job.images[0]


def result_of(image: ImageRow) -> ImageResult:
    assert image.result is not None, image.error
    assert image.cost_micro == 300_000
    return image.result


def warned(image: ImageRow) -> list[tuple[str, str]]:
    return [(warning.code.value, warning.file) for warning in result_of(image).warnings]


async def stored(fleet: Fleet, image: ImageRow, kind: str = "model") -> bytes:
    (file,) = [one for one in result_of(image).files if one.kind == kind]
    assert file.key is not None
    data = await fleet.storage.get(file.key)
    assert len(data) == file.size
    return data


def model_at(url: str, **more: object) -> Callable[[Any], object]:
    return lambda result: {**result, "model_mesh": {"url": url, **more}}


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "data", "mesh", "codes"),
    [
        ("points.glb", POINTS, False, ["file_not_checked"]),
        ("no_bounds.glb", without_bounds(), False, ["file_not_checked"]),
        ("bytes_behind.glb", glb() + bytes(7), True, ["file_not_checked"]),
        (
            "past_view.glb",
            glb(document(bufferViews=[{"buffer": 0, "byteLength": 999}] * 2)),
            False,
            ["file_not_checked"],
        ),
        ("short.glb", glb()[:-20], False, ["file_not_checked"]),
        ("one.splat", SPLAT, False, ["file_unknown_format"]),
        ("one.spz", SPZ, False, ["file_unknown_format"]),
        ("plain.glb", glb(), True, []),
        ("scene.gltf", b'{"asset":{"version":"2.0"},"buffers":[]}', False, []),
        ("mesh.stl", b"solid x".ljust(80, b"\0") + struct.pack("<I", 1) + bytes(50), False, []),
    ],
)
async def test_model_is_delivered_as_it_came(
    name: str, data: bytes, mesh: bool, codes: list[str], fleet: Fleet, fal: AlteredFal
) -> None:
    fal.result = model_at(fal.serve(name, data), file_name=name, content_type="application/octet-stream")
    image = await run(fleet, fal)
    assert await stored(fleet, image) == data
    result = result_of(image)
    assert result.files[0].format == name.rpartition(".")[2]
    assert (result.mesh is not None) is mesh
    assert [code for code, _ in warned(image)] == codes


@pytest.mark.long
async def test_file_of_a_kind_that_nobody_knows_keeps_fals_name_and_type(
    fleet: Fleet, fal: AlteredFal
) -> None:
    url = fal.serve("x", SPLAT)
    fal.result = model_at(url, file_name="My Scene.KSPLAT", content_type="model/x-splat")
    (file, *_) = result_of(await run(fleet, fal)).files
    assert (file.format, file.name, file.content_type) == ("ksplat", "My Scene.KSPLAT", "model/x-splat")


@pytest.mark.long
@pytest.mark.parametrize(
    "serve", [failing(404), failing(403), failing(500), whole(b""), whole(HTML), cut(b"x" * 99, 9)]
)
async def test_missing_preview_never_costs_the_model(serve: Serve, fleet: Fleet, fal: AlteredFal) -> None:
    url = fal.serve("preview.jpg", serve)
    fal.result = lambda result: {**result, "rendered_image": {"url": url, "file_name": "p.jpg"}}
    image = await run(fleet, fal)
    assert warned(image) == [("file_missing", "preview")]
    assert [(one.kind, one.url, one.name) for one in result_of(image).missing] == [("preview", url, "p.jpg")]
    assert (await stored(fleet, image)).startswith(b"glTF")


@pytest.mark.long
async def test_preview_on_a_host_that_is_not_public_is_refused(fleet: Fleet, fal: AlteredFal) -> None:
    async def secret(exchange: Exchange) -> None:
        await exchange.reply("200 OK", b"secret")

    async with raw_server(secret) as inside:
        fal.result = lambda result: {**result, "rendered_image": {"url": f"{inside.url}/p.png"}}
        image = await run(fleet, fal)
        assert inside.requests == []
    assert warned(image) == [("file_refused", "preview")]


@pytest.mark.long
async def test_preview_elsewhere_is_fetched_without_the_key(fleet: Fleet, fal: AlteredFal) -> None:
    async def partner(exchange: Exchange) -> None:
        await exchange.reply("200 OK", b"\x89PNG picture", Content_Type="image/png")

    async with raw_server(partner) as elsewhere:
        fal.result = lambda result: {**result, "rendered_image": {"url": f"{elsewhere.url}/p.png"}}
        image = await run(fleet, fal, I2M_WEBHOOK_ALLOW_PRIVATE="1")
        (request,) = elsewhere.requests
    assert request.header("Authorization") is None
    assert await stored(fleet, image, "preview") == b"\x89PNG picture"
    assert warned(image) == []


@pytest.mark.long
@pytest.mark.parametrize(
    "serve", [failing(404), failing(503), whole(b""), whole(HTML), whole(b'{"detail":"no"}')]
)
async def test_other_model_stands_in_for_one_that_is_missing(
    serve: Serve, fleet: Fleet, fal: AlteredFal
) -> None:
    better, base = fal.serve("pbr.glb", serve), fal.serve("base.glb", glb())
    fal.result = lambda _: {"pbr_model": {"url": better}, "base_model": {"url": base}}
    image = await run(fleet, fal)
    assert await stored(fleet, image) == await stored(fleet, image, "base") == glb()
    result = result_of(image)
    assert result.mesh is not None
    assert warned(image) == [("file_missing", "model")]
    assert "pbr_model" in result.warnings[0].message
    assert [(one.kind, one.url) for one in result.missing] == [("model", better)]


@pytest.mark.long
async def test_stand_in_that_failed_at_first_is_tried_as_a_model(fleet: Fleet, fal: AlteredFal) -> None:
    base = fal.serve("base.glb", after(3, failing(404), whole(glb())))
    fal.result = lambda _: {
        "pbr_model": {"url": fal.serve("pbr.glb", failing(404))},
        "base_model": {"url": base},
    }
    assert await stored(fleet, await run(fleet, fal)) == glb()


@pytest.mark.long
@pytest.mark.parametrize(
    "serve",
    [
        after(2, failing(404), whole(glb())),
        after(2, failing(502), whole(glb())),
        after(2, cut(glb(), 50), whole(glb())),
        after(2, whole(HTML), whole(glb())),
        after(1, whole(glb()[:-30]), whole(glb())),
        unsized(glb()),
    ],
)
async def test_model_that_comes_late_is_waited_for(serve: Serve, fleet: Fleet, fal: AlteredFal) -> None:
    fal.result = model_at(fal.serve("m.glb", serve))
    image = await run(fleet, fal, I2M_UNCONFIRMED_GRACE="20")
    assert await stored(fleet, image) == glb()
    assert warned(image) == []


@pytest.mark.long
@pytest.mark.parametrize("serve", [failing(404), whole(b""), whole(HTML), whole(b"{}")])
async def test_model_that_never_comes_is_expired_and_booked(
    serve: Serve, fleet: Fleet, fal: AlteredFal
) -> None:
    fal.result = lambda _: {"model_mesh": {"url": fal.serve("m.glb", serve)}}
    image = await run(fleet, fal)
    assert image.error is not None
    assert (image.error.code, image.error.retryable, image.cost_micro) == ("result_expired", True, 300_000)
    assert "model_mesh" in image.error.message


@pytest.mark.long
async def test_model_that_must_not_be_fetched_is_told_in_words(fleet: Fleet, fal: AlteredFal) -> None:
    fal.result = lambda _: {"model_mesh": {"url": "http://169.254.169.254/latest"}}
    image = await run(fleet, fal)
    assert image.error is not None
    assert (image.error.code, image.error.retryable, image.cost_micro) == ("result_invalid", True, 300_000)
    assert "must be an absolute https URL" in image.error.message


@pytest.mark.long
async def test_large_model_of_no_said_length_is_streamed(fleet: Fleet, fal: AlteredFal) -> None:
    data = glb(document(), bytes(20 << 20))
    fal.result = model_at(fal.serve("m.glb", unsized(data)))
    image = await run(fleet, fal)
    assert await stored(fleet, image) == data
    assert result_of(image).mesh is not None


@pytest.mark.long
@pytest.mark.parametrize(
    "alter",
    [
        lambda result: [result["model_mesh"], result["rendered_image"]],
        lambda result: {"output": {"deep": [{"er": result["model_mesh"]}]}, "rendered_image": 7},
        lambda result: {**result, "rendered_image": None, "task_id": 5},
        lambda result: {**result, "model_mesh": result["model_mesh"]["url"]},
        lambda result: {**result, "model_mesh": [result["model_mesh"]]},
        lambda result: {**result, "seed": "x" * 400_000, "timings": {"a": [1] * 1000}},
    ],
)
async def test_result_of_any_shape_that_names_a_model_is_a_success(
    alter: Callable[[Any], object], fleet: Fleet, fal: AlteredFal
) -> None:
    fal.result = alter
    assert (await stored(fleet, await run(fleet, fal))).startswith(b"glTF")


@pytest.mark.long
async def test_every_file_of_a_result_is_kept(fleet: Fleet, fal: AlteredFal) -> None:
    textures = [{"url": fal.serve(f"t{n}.png", b"\x89PNG %d" % n)} for n in range(3)]
    urls = {
        "obj": {"url": fal.serve("m.obj", b"v 0 0 0\nv 1 0 0\n")},
        "mtl": {"url": fal.serve("m.mtl", b"newmtl a")},
    }
    fal.result = lambda result: {**result, "textures": textures, "model_urls": urls}
    image = await run(fleet, fal)
    assert [file.kind for file in result_of(image).files] == [
        *("model", "preview", "texture", "texture-2", "texture-3", "obj", "mtl"),
    ]
    assert await stored(fleet, image, "texture-3") == b"\x89PNG 2"


@pytest.mark.long
@pytest.mark.parametrize(
    ("alter", "code", "words"),
    [
        (lambda _: {"error": "out of memory"}, "result_invalid", "out of memory"),
        (lambda _: {"detail": "flagged as NSFW content"}, "content_policy", "flagged as NSFW content"),
        (lambda _: {}, "result_invalid", "FAL's result names no file."),
        (lambda _: {"model_mesh": None, "pbr_model": 5}, "result_invalid", "FAL's result names no file."),
        (lambda _: b"null", "result_invalid", "FAL's result cannot be read"),
        (lambda _: HTML, "result_invalid", "FAL's result cannot be read"),
        (lambda _: b"", "result_invalid", "FAL's result cannot be read"),
        (
            lambda r: {"rendered_image": r["rendered_image"]},
            "result_invalid",
            "names no model, only: rendered_image",
        ),
    ],
)
async def test_result_without_a_model_fails_in_fals_words_and_is_booked(
    alter: Callable[[Any], object], code: str, words: str, fleet: Fleet, fal: AlteredFal
) -> None:
    fal.result = alter
    fal.lookups = False
    image = await run(fleet, fal)
    assert image.error is not None
    assert (image.error.code, image.cost_micro) == (code, 300_000)
    assert words in image.error.message


@pytest.mark.long
async def test_listing_gives_the_result_that_the_queue_spoils(fleet: Fleet, fal: AlteredFal) -> None:
    fal.result = lambda _: HTML
    image = await run(fleet, fal, I2M_UNCONFIRMED_GRACE="60")
    assert (await stored(fleet, image)).startswith(b"glTF")


@pytest.mark.long
async def test_refusal_that_speaks_of_safety_is_the_content_policys(fleet: Fleet, fal: AlteredFal) -> None:
    fal.result = lambda _: (422, b'{"detail":[{"msg":"Request rejected: safety violations=[sexual]"}]}')
    image = await run(fleet, fal)
    assert image.error is not None
    assert image.error.code == "content_policy"


@pytest.mark.long
async def test_result_that_is_unreadable_at_first_is_asked_for_again(fleet: Fleet, fal: AlteredFal) -> None:
    answers = [HTML, b"", b'{"model_me']
    fal.result = lambda result: answers.pop() if answers else result
    image = await run(fleet, fal, I2M_UNCONFIRMED_GRACE="20")
    assert (await stored(fleet, image)).startswith(b"glTF")


@pytest.mark.long
async def test_preview_that_is_missing_under_redirect_is_told(fleet: Fleet, fal: AlteredFal) -> None:
    url = fal.serve("p.png", failing(404))
    fal.result = lambda result: {**result, "rendered_image": {"url": url}}
    image = await run(fleet, fal, I2M_RESULTS="redirect")
    (model,) = result_of(image).files
    assert (model.key, model.source_url is not None, result_of(image).mesh) == (None, True, None)
    assert warned(image) == [("file_missing", "preview")]


@pytest.mark.long
async def test_missing_model_under_redirect_is_no_success(fleet: Fleet, fal: AlteredFal) -> None:
    fal.result = lambda _: {"model_mesh": {"url": fal.serve("m.glb", whole(b'{"detail":"gone"}'))}}
    image = await run(fleet, fal, I2M_RESULTS="redirect")
    assert image.error is not None
    assert image.error.code == "result_expired"


@pytest.mark.long
async def test_what_may_not_be_redirected_to_is_copied(fleet: Fleet, fal: AlteredFal) -> None:
    async def partner(exchange: Exchange) -> None:
        await exchange.reply("200 OK", glb())

    async with raw_server(partner) as elsewhere:
        fal.result = model_at(f"{elsewhere.url}/m.glb")
        image = await run(fleet, fal, I2M_RESULTS="redirect", I2M_WEBHOOK_ALLOW_PRIVATE="1")
    assert await stored(fleet, image) == glb()
    assert result_of(image).files[1].source_url is not None


@pytest.mark.long
async def test_same_picture_later_takes_warnings_and_missing_files_along(
    fleet: Fleet, fal: AlteredFal
) -> None:
    url = fal.serve("p.png", failing(404))
    fal.result = lambda result: {**result, "rendered_image": {"url": url}}
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url, **GRACE)
    first = await fleet.until_finished(await fleet.submit(1, reuse=True))
    second = await fleet.until_finished(await fleet.submit(1, reuse=True))
    assert second.counts == Counts(succeeded=1)
    one, other = first.images[0].result, second.images[0].result
    assert one is not None
    assert other is not None
    assert second.images[0].cached
    assert (other.warnings, other.missing) == (one.warnings, one.missing)
    assert json.loads(json.dumps([file.kind for file in other.files])) == ["model"]


@pytest.mark.long
async def test_failed_attempt_that_fal_bills_is_booked_beside_the_next_one(
    fleet: Fleet, fal: AlteredFal
) -> None:
    """The proxy leaves the header of the emulator's bill: one unit."""
    failures = [(400, b'{"detail":"Not now.","error_type":"downstream_service_error"}')]
    fal.result = lambda result: failures.pop() if failures else result
    fleet.start_worker(I2M_FAL_BASE_URL=fal.url, **GRACE)
    job = await fleet.until_finished(await fleet.submit(1), timeout=50)
    assert len(fleet.submissions_of(job)) == 2
    assert (job.counts.succeeded, job.images[0].cost_micro, job.job.cost_micro) == (1, 600_000, 600_000)
