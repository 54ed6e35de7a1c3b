"""`POST …/derive`: what a request becomes, and each reason to refuse one. Nothing refused leaves anything."""

import hashlib
import json

import pytest
from redis.asyncio import Redis

from image2model.domain import ResultFile
from image2model.generation import loading
from image2model.store.arq_keys import queue_key
from image2model.store.keys import key
from tests.derive.steps import (
    PART,
    REMESH,
    RETEXTURE,
    SEGMENTS,
    TOPOLOGY,
    TRELLIS,
    body,
    derive,
    form,
    image_part,
    model_of,
    parent,
    parent_with,
    stored_for,
)
from tests.support import worker_steps
from tests.support.callers import ADMIN, Caller
from tests.support.multipart_body import Body
from tests.support.served_api import MakeService, Service, batch
from tests.support.sketches import picture


@pytest.fixture
def service(make_service: MakeService) -> Service:
    return make_service(models="*")


@pytest.mark.also_on_cluster
async def test_child_is_a_job_of_one_image_with_files_of_its_own(service: Service, redis: Redis) -> None:
    job_id, image_id = await parent(service, redis)
    answer = derive(
        service, (job_id, image_id), body(TOPOLOGY, params={"face_level": "low"}, metadata={"a": 1})
    )
    assert answer.status == 202, answer.body
    child = answer.text("job_id")
    assert answer.headers["location"] == f"/api/v1/status/{child}"
    assert (answer.body["model"], answer.body["total"]) == (TOPOLOGY, 1)
    assert answer.body["params"] == {"face_level": "low"}
    assert answer.body["metadata"] == {"a": 1}
    (image,) = answer.items("images")
    (before,) = service.get(f"status/{job_id}").items("images")
    assert (image["parent_job_id"], image["parent_image_id"]) == (job_id, image_id)
    assert (before["parent_job_id"], before["parent_image_id"]) == (None, None)
    same = ("filename", "size", "sha256", "width", "height", "views")
    assert [image[name] for name in same] == [before[name] for name in same]
    assert service.get(f"status/{child}").items("images") == [image]
    assert model_of(service, child) == worker_steps.MODEL
    assert len(stored_for(service, child)) == 2
    task = await loading.load(redis, image["image_id"])
    assert task.model_input is not None
    assert (task.model_input.format, task.model_input.picture) == ("glb", False)
    assert task.model_input.size == len(worker_steps.MODEL)
    original = service.get(f"download/{child}/{image['image_id']}?file=original").headers["location"]
    assert service.get(original).content == picture(fmt="PNG", seed=0)
    assert service.get(f"images/{child}/{image['image_id']}/thumbnail").status == 200


async def test_form_brings_a_picture_of_its_own(service: Service, redis: Redis) -> None:
    one = await parent(service, redis)
    style = picture(fmt="PNG", seed=77)
    for part in ("image", "file", "files"):
        answer = derive(service, one, image_part(form(TRELLIS, no_cache="true"), style, "oak.png", part))
        assert answer.status == 202, answer.body
        (image,) = answer.items("images")
        assert image["filename"] == "chair.png"
        assert image["sha256"] == hashlib.sha256(style).hexdigest()
        assert [view["filename"] for view in image["views"]] == ["oak.png"]
        child = answer.text("job_id")
        original = service.get(f"download/{child}/{image['image_id']}?file=original").headers["location"]
        assert service.get(original).content == style
        task = await loading.load(redis, image["image_id"])
        assert task.model_input is not None
        assert task.model_input.picture


async def test_picture_of_the_parent_goes_where_one_is_taken(service: Service, redis: Redis) -> None:
    one = await parent(service, redis)

    async def sends_picture(request: bytes) -> bool:
        (image,) = derive(service, one, request).items("images")
        task = await loading.load(redis, image["image_id"])
        assert task.model_input is not None
        return task.model_input.picture

    assert await sends_picture(body(TRELLIS))
    assert await sends_picture(body(RETEXTURE))
    assert not await sends_picture(body(RETEXTURE, params={"text_style_prompt": "oak"}))
    assert not await sends_picture(body(RETEXTURE, params={"image_style_url": "https://example.com/a.png"}))
    assert not await sends_picture(body(SEGMENTS))


async def test_child_of_an_object_has_its_name_and_its_first_view(service: Service, redis: Redis) -> None:
    made = Body().text("model", "fal-ai/trellis-2/multi").text("max_cost_usd", "1")
    for number in range(2):
        head = f'Content-Disposition: form-data; name="objects[chair v1.2]"; filename="{number}.png"'
        made.part(head, picture(fmt="PNG", seed=number))
    uploaded = service.upload(made)
    assert uploaded.status == 202, uploaded.body
    [one] = await worker_steps.claim(redis)
    await worker_steps.succeed(redis, one, uploaded.text("job_id"), service.files.as_uri())
    answer = derive(service, (uploaded.text("job_id"), one.task_id), body(TOPOLOGY))
    (image,) = answer.items("images")
    assert image["filename"] == "chair v1.2"
    assert [view["filename"] for view in image["views"]] == ["0.png"]
    [two] = await worker_steps.claim(redis)
    await worker_steps.succeed(redis, two, answer.text("job_id"), service.files.as_uri())
    download = service.get(f"download/{answer.text('job_id')}/{image['image_id']}")
    assert (
        'filename="chair v1.2.glb"'
        in service.get(download.headers["location"]).headers["content-disposition"]
    )


@pytest.mark.parametrize("part", ["image", "images[]", "files[0]", "file"])
async def test_forms_of_ordinary_clients_are_read(service: Service, redis: Redis, part: str) -> None:
    """A browser's hidden charset, an unused input, an array of one picture."""
    asked = Body().text("_charset_", "UTF-8")
    asked.part('Content-Disposition: form-data; name="files"; filename=""', b"")
    asked.part('Content-Disposition: form-data; name="image"', b"").text("file", "").text("metadata{}", "{}")
    for name, value in (("model", TRELLIS), ("max_cost_usd", "1")):
        asked.text(name, value)
    answer = derive(
        service, await parent(service, redis), image_part(asked, picture(fmt="PNG", seed=3), "oak.png", part)
    )
    assert answer.status == 202, answer.body
    assert [view["filename"] for view in answer.items("images")[0]["views"]] == ["oak.png"]


async def test_file_of_a_form_with_a_picture_is_named_by_the_parent(service: Service, redis: Redis) -> None:
    one = await parent(service, redis)
    answer = derive(service, one, image_part(form(TRELLIS), picture(fmt="PNG", seed=3), "oak.png"))
    [two] = await worker_steps.claim(redis)
    await worker_steps.succeed(redis, two, answer.text("job_id"), service.files.as_uri())
    download = service.get(f"download/{answer.text('job_id')}/{two.task_id}")
    assert 'filename="chair.glb"' in service.get(download.headers["location"]).headers["content-disposition"]


@pytest.mark.parametrize(
    ("request_body", "code", "words"),
    [
        (body("tripo3d/tripo/v2.5/image-to-3d"), "invalid_parameter", "takes no 3D model"),
        (body("fal-ai/none"), "unknown_model", "not on offer"),
        (b'{"params": {}}', "invalid_parameter", "missing required field `model`"),
        (b"{", "invalid_parameter", "must be JSON"),
        (b"", "invalid_parameter", "must be JSON"),
        (body(nonsense=1), "invalid_parameter", "unknown field"),
        (body(params={"nonsense": 1}), "invalid_parameter", "not a parameter"),
        (body(params={"model_url": "https://example.com/a.glb"}), "invalid_parameter", "Leave it out"),
        (body(TRELLIS, params={"image_url": "https://example.com/a.png"}), "invalid_parameter", "as a file"),
        (body(file="spare"), "invalid_parameter", "it has: model (glb)"),
        (body(TOPOLOGY, params={"input_file_type": "obj"}), "invalid_parameter", "takes obj"),
        (body(max_cost_usd=-1), "invalid_parameter", "max_cost_usd"),
        (body(max_cost_usd=1e-9), "invalid_parameter", "max_cost_usd"),
        (body(webhook_url="http://127.0.0.1/"), "invalid_parameter", "webhook_url"),
        (body(priority="high"), "invalid_parameter", "priority"),
        (body(metadata={"a": []}), "invalid_parameter", "metadata"),
        (json.dumps({"model": SEGMENTS}).encode(), "price_unknown", "max_cost_usd"),
        (body(max_cost_usd=0.29), "budget_exceeded", "max_cost_usd"),
        (image_part(form(TOPOLOGY), picture(fmt="PNG")), "invalid_parameter", "takes no picture"),
        (image_part(form(TRELLIS), b"no picture"), "not_an_image", ""),
        (
            image_part(image_part(form(TRELLIS), picture(fmt="PNG")), picture(fmt="PNG")),
            "invalid_parameter",
            "one picture",
        ),
        (form(TRELLIS, on_invalid="skip"), "invalid_parameter", "no parameter"),
        (form("").text("params", "{}"), "invalid_parameter", "Name the `model`"),
        (form(TRELLIS).text("model", RETEXTURE), "invalid_parameter", "came twice"),
    ],
)
async def test_refused_request_leaves_nothing(
    service: Service, redis: Redis, request_body: bytes | Body, code: str, words: str
) -> None:
    one = await parent(service, redis)
    before = service.stored()
    answer = derive(service, one, request_body, idempotency_key="k")
    assert (answer.code, answer.status) == (
        code,
        402 if code in {"price_unknown", "budget_exceeded"} else 422,
    )
    assert words in str(answer.body["detail"])
    assert service.stored() == before
    assert await redis.zcard(queue_key("model_generation")) == 0
    assert derive(service, one, body(), idempotency_key="k").status == 202  # a refusal frees the key


async def test_other_bodies_are_refused(service: Service, redis: Redis) -> None:
    one = await parent(service, redis)
    answer = derive(service, one, body(), content_type="text/plain")
    assert (answer.status, answer.code) == (415, "unsupported_media_type")
    answer = derive(service, one, body(params={"text_style_prompt": "o" * 70_000}))
    assert (answer.status, answer.code) == (413, "body_too_large")


async def test_parent_must_have_succeeded_and_be_there(service: Service, redis: Redis) -> None:
    job_id = service.upload(batch(2)).text("job_id")
    [one] = await worker_steps.claim(redis)
    await worker_steps.fail(redis, one)
    for image in service.get(f"status/{job_id}").items("images"):
        answer = derive(service, (job_id, image["image_id"]))
        assert (answer.status, answer.code) == (409, "not_ready")
    for unknown in ((job_id, "f" * 32), ("f" * 32, one.task_id), ("x", "y")):
        answer = derive(service, unknown)
        assert (answer.status, answer.code) == (404, "not_found")


async def test_deleted_parent_is_not_found_and_expired_one_is_gone(service: Service, redis: Redis) -> None:
    one = await parent(service, redis)
    await redis.hset(key("job", one[0]), "expires_at", "1")
    answer = derive(service, one)
    assert (answer.status, answer.code) == (410, "expired")
    other = await parent(service, redis, seed=1)
    assert service.send("DELETE", f"/api/v1/jobs/{other[0]}").status == 204
    answer = derive(service, other)
    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("root", ["results", "originals"])
async def test_parent_whose_files_are_gone_is_gone(service: Service, redis: Redis, root: str) -> None:
    one = await parent(service, redis)
    for path in stored_for(service, one[0]):
        if root in str(path):
            path.unlink()
    before = service.stored()
    answer = derive(service, one)
    assert (answer.status, answer.code) == (410, "expired")
    assert service.stored() == before


async def test_other_owners_parent_is_not_found(make_keyed_service: MakeService, redis: Redis) -> None:
    service = make_keyed_service(models="*")
    admin = Caller(service, ADMIN)
    callers = []
    for name in ("ann", "bob"):
        made = admin.post("admin/keys", json.dumps({"name": name, "rate": "5/min"}).encode())
        callers.append(Caller(service, made.text("key")))
    ann, bob = callers
    one = await parent(service, redis, ann)
    answer = derive(bob, one)
    assert (answer.status, answer.code) == (404, "not_found")
    assert derive(ann, one).status == 202
    assert derive(admin, one).status == 404
    for _ in range(3):  # the upload and one step have counted
        assert derive(ann, one, body(TOPOLOGY, no_cache=True)).status == 202
    answer = derive(ann, one, body(TOPOLOGY, no_cache=True))
    assert (answer.status, answer.code) == (429, "rate_limited")


async def test_key_with_too_little_budget_or_room_is_refused(
    make_keyed_service: MakeService, redis: Redis
) -> None:
    service = make_keyed_service(models="*")
    admin = Caller(service, ADMIN)
    given = {"name": "ann", "budget": "0.70/day", "max_queued": 1}
    made = admin.post("admin/keys", json.dumps(given).encode())
    assert made.status == 201, made.body
    ann = Caller(service, made.text("key"))
    one = await parent(service, redis, ann)
    before = service.stored()
    answer = derive(ann, one, body(SEGMENTS))
    assert (answer.status, answer.code) == (402, "budget_exceeded")  # $0.30 are spent, $0.50 asked for
    assert service.stored() == before
    assert derive(ann, one, body(SEGMENTS, max_cost_usd=0.3)).status == 202
    answer = derive(ann, one, body(SEGMENTS, max_cost_usd=0.05))
    assert (answer.status, answer.code) == (429, "queue_full")


async def test_key_that_may_not_use_the_model_is_forbidden(
    make_keyed_service: MakeService, redis: Redis
) -> None:
    service = make_keyed_service(models="*")
    admin = Caller(service, ADMIN)
    given = {"name": "ann", "models": ["tripo3d/*", SEGMENTS]}
    ann = Caller(service, admin.post("admin/keys", json.dumps(given).encode()).text("key"))
    one = await parent(service, redis, ann)
    answer = derive(ann, one)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert derive(ann, one, body(SEGMENTS)).status == 202


async def test_same_key_gives_the_first_answer_again(service: Service, redis: Redis) -> None:
    one = await parent(service, redis)
    two = await parent(service, redis, seed=1)
    style = image_part(form(TRELLIS), picture(fmt="PNG", seed=5))
    for name, request in (("json", body()), ("form", style)):
        first = derive(service, one, request, idempotency_key=name)
        assert first.status == 202
        before = service.stored()
        again = derive(service, one, request, idempotency_key=name)
        assert (again.status, again.content) == (202, first.content)
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["location"] == first.headers["location"]
        assert service.stored() == before
        for other in (
            derive(service, one, body(TOPOLOGY), idempotency_key=name),
            derive(service, two, request, idempotency_key=name),
            derive(service, one, image_part(form(TRELLIS), picture(fmt="PNG", seed=6)), idempotency_key=name),
            service.upload(batch(1), idempotency_key=name),
        ):
            assert (other.status, other.code) == (409, "idempotency_conflict")
    assert derive(service, one, body(max_cost_usd=0.9), idempotency_key="json").status == 202
    # the order of members and spaces are no difference
    spaced = json.dumps({"max_cost_usd": 0.5, "model": RETEXTURE}, indent=3).encode()
    assert derive(service, one, spaced, idempotency_key="json").headers["idempotent-replayed"] == "true"
    # the parent may be gone by now
    assert service.send("DELETE", f"/api/v1/jobs/{one[0]}").status == 204
    assert derive(service, one, body(), idempotency_key="json").status == 202
    assert derive(service, one, body(), idempotency_key="new").status == 404


async def test_digest_is_of_the_model_the_picture_and_the_parameters(service: Service, redis: Redis) -> None:
    one = await parent(service, redis)
    twin = await parent(service, redis, seed=1)  # the same bytes of another picture
    other = await parent(service, redis, seed=2, data=b"glTF another model")

    async def digest(of: tuple[str, str], request: bytes | Body) -> str:
        answer = derive(service, of, request)
        assert answer.status == 202, answer.body
        return (await loading.load(redis, answer.items("images")[0]["image_id"])).digest

    first = await digest(one, body(TOPOLOGY))
    assert len(first) == 64
    assert await digest(one, body(TOPOLOGY)) == first
    assert await digest(twin, body(TOPOLOGY)) == first
    with_picture = await digest(one, body(TRELLIS))
    different = {
        await digest(other, body(TOPOLOGY)),
        await digest(one, body(TOPOLOGY, params={"face_level": "low"})),
        await digest(one, body(SEGMENTS)),
        with_picture,
        await digest(twin, body(TRELLIS)),
        await digest(one, image_part(form(TRELLIS), picture(fmt="PNG", seed=5))),
        first,
    }
    assert len(different) == 7
    assert await digest(one, image_part(form(TRELLIS), picture(fmt="PNG", seed=0))) == with_picture
    assert await digest(one, body(TOPOLOGY, no_cache=True)) == ""


GLB, OBJ, FBX = ResultFile("model", "glb"), ResultFile("obj", "obj"), ResultFile("model", "fbx")


@pytest.mark.parametrize(
    ("files", "request_body", "chosen"),
    [
        ((GLB, OBJ), body(TOPOLOGY), "model.glb"),
        ((GLB, OBJ), body(TOPOLOGY, params={"input_file_type": "obj"}), "obj.obj"),
        ((GLB, OBJ), body(TOPOLOGY, file="obj"), "obj.obj"),
        ((FBX, OBJ), body(TOPOLOGY), "obj.obj"),
        ((FBX, OBJ), body(RETEXTURE), "model.fbx"),
        ((ResultFile("model", "obj"),), body(TOPOLOGY), "model.obj"),
        ((FBX,), body(TOPOLOGY), "takes glb or obj, and this image has: model (fbx)"),
        ((FBX,), body(TOPOLOGY, file="model"), "takes glb or obj here"),
        ((GLB, OBJ), body(TOPOLOGY, file="obj", params={"input_file_type": "glb"}), "takes glb here"),
        ((GLB, OBJ), body(PART), "takes fbx, and this image has: model (glb), obj (obj)"),
        ((GLB, ResultFile("fbx", "fbx")), body(PART), "fbx.fbx"),
        ((GLB,), body(PART, file="model"), "model.glb"),
        ((ResultFile("model", "spz"),), body(REMESH), "takes a mesh"),
        ((ResultFile("model", "spz"),), body(REMESH, file="model"), "model.spz"),
        ((GLB, ResultFile("preview", "jpg")), body(RETEXTURE, file="preview"), "no 3D model"),
        ((ResultFile("model", "glb", 300 << 20),), body(RETEXTURE), "at most 256 MiB"),
    ],
)
async def test_file_that_the_endpoint_takes_is_sent(
    service: Service, redis: Redis, files: tuple[ResultFile, ...], request_body: bytes, chosen: str
) -> None:
    one = await parent_with(service, redis, *files)
    answer = derive(service, one, request_body)
    if answer.status != 202:
        assert chosen in str(answer.body["detail"])
        return
    kind, _, suffix = chosen.partition(".")
    (image,) = answer.items("images")
    task = await loading.load(redis, image["image_id"])
    assert task.model_input is not None
    assert task.model_input.format == suffix
    assert model_of(service, answer.text("job_id")) == f"bytes of {kind}".encode()


def test_models_say_what_takes_a_model(service: Service) -> None:
    models = {one["id"]: one for one in service.get("models").items("models")}
    takes = {name for name, one in models.items() if one["takes_model"]}
    assert {RETEXTURE, TRELLIS, TOPOLOGY, PART, "fal-ai/ultrashape"} <= takes
    assert not any(models[name]["available"] for name in (RETEXTURE, TRELLIS, TOPOLOGY, PART))
    assert "tripo3d/tripo/v2.5/image-to-3d" not in takes
    answer = service.upload(batch(1, model=RETEXTURE))
    assert (answer.status, answer.code) == (422, "invalid_parameter")
