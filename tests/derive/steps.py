"""What the tests of second steps share: finished parents, requests, and what was stored."""

import json
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from image2model.domain import ImageResult, ImageStatus, ResultFile
from image2model.generation import steps
from image2model.storage.address import open_storage
from image2model.storage.layout import ResultNames
from tests.support import worker_steps
from tests.support.callers import Caller
from tests.support.jobs import book
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.served_api import Answer, Service
from tests.support.sketches import picture

RETEXTURE = "fal-ai/meshy/v5/retexture"
"""Takes a model, and a picture of the style or words."""
TRELLIS = "fal-ai/trellis-2/retexture"
"""Takes a model and a picture."""
TOPOLOGY = "fal-ai/hunyuan-3d/v3.1/smart-topology"
"""Takes a model as GLB or OBJ, and no picture."""
PART = "fal-ai/hunyuan-3d/v3.1/part"
"""Takes a model as FBX, and nothing else."""
SEGMENTS = "fal-ai/hunyuan-part"
"""Takes a model as GLB or OBJ, and no picture; its price is not known."""
REMESH = "fal-ai/triposr/remeshing"
"""Takes a model, and says nothing of its format."""
LIMIT = 0.5
"""The price of some of them is not known before the run."""

Sender = Service | Caller


def body(model: str = RETEXTURE, **fields: Any) -> bytes:
    """A request as JSON."""
    return json.dumps({"model": model, "max_cost_usd": LIMIT, **fields}).encode()


def form(model: str = RETEXTURE, **fields: str) -> Body:
    """The same as a form, without a picture yet."""
    made = Body()
    for name, value in {"model": model, "max_cost_usd": str(LIMIT), **fields}.items():
        made.text(name, value)
    return made


def image_part(made: Body, data: bytes, name: str = "style.png", part: str = "image") -> Body:
    """The form with a picture."""
    return made.part(f'Content-Disposition: form-data; name="{part}"; filename="{name}"', data)


def derive(
    sender: Sender, parent: tuple[str, str], request: bytes | Body | None = None, **headers: str
) -> Answer:
    """Ask for a second step on (job, image)."""
    sent = body() if request is None else request
    kind = CONTENT_TYPE if isinstance(sent, Body) else "application/json"
    path = f"jobs/{parent[0]}/images/{parent[1]}/derive"
    return sender.post(path, bytes(sent), **{"content_type": kind, **headers})


async def parent(
    service: Service, redis: Redis, sender: Sender | None = None, *, seed: int = 0, data: bytes | None = None
) -> tuple[str, str]:
    """Job and image of a finished GLB. `data`: the model's bytes."""
    made = Body().file("chair.png", picture(fmt="PNG", seed=seed))
    job_id = (sender or service).upload(made).text("job_id")
    [one] = await worker_steps.claim(redis)
    await worker_steps.succeed(redis, one, job_id, service.files.as_uri())
    if data is not None:
        key = ResultNames(job_id, one.task_id, flat=True).key("model", "glb")
        await open_storage(service.files.as_uri()).put(key, data, content_type="model/gltf-binary")
    return job_id, one.task_id


async def parent_with(service: Service, redis: Redis, *files: ResultFile) -> tuple[str, str]:
    """Job and image of a result of these files, each with some bytes where it is ours."""
    job_id = service.upload(Body().file("chair.png", picture(fmt="PNG", seed=9))).text("job_id")
    [one] = await worker_steps.claim(redis)
    await worker_steps.submit(redis, one)
    storage = open_storage(service.files.as_uri())
    stored = []
    for file in files:
        if file.source_url is not None:
            stored.append(file)
            continue
        key = ResultNames(job_id, one.task_id, flat=True).key(file.kind, file.format)
        await storage.put(key, f"bytes of {file.kind}".encode(), content_type="model/gltf-binary")
        stored.append(ResultFile(file.kind, file.format, file.size, key))
    await steps.move(redis, one.task_id, one.token, ImageStatus.STORING)
    await book(redis, one.task_id)
    await steps.succeed(redis, one.task_id, one.token, ImageResult(tuple(stored)))
    return job_id, one.task_id


def stored_for(service: Service, job_id: str) -> list[Path]:
    """The files of this job."""
    return [service.files / name for name in service.stored() if f"/{job_id}/" in f"/{name}"]


def model_of(service: Service, job_id: str) -> bytes:
    """The copy of the parent's model that this job owns."""
    (path,) = (one for one in stored_for(service, job_id) if "-model." in one.name)
    return path.read_bytes()
