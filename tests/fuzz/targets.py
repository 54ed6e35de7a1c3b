"""What is fuzzed: one call that must end well or in a documented refusal, whatever it is given.

Who calls it: the property tests and the coverage-guided run. Anything but a `Problem` is a finding.
"""

import asyncio
from typing import Final

from starlette.types import Message

from image2model.domain import SIDES
from image2model.errors import InvalidParameter, Problem
from image2model.fal.endpoints import Endpoint, View, check_views, payload
from image2model.http.upload import (
    MAX_VIEWS,
    ReceivedBatch,
    ReceivedFile,
    UploadBudget,
    UploadLimits,
    read_batch,
)
from image2model.jobs.batch_request import objects_of
from image2model.jobs.manifest import read_manifest
from image2model.jobs.objects import ReceivedObject
from image2model.media.inspect import inspect
from image2model.media.picture import PictureInfo
from tests.fal.endpoints import BUILT_IN
from tests.support.multipart_body import CONTENT_TYPE

MAX_PIXELS: Final = 50_000_000
LIMITS: Final = UploadLimits(max_objects=4, max_file_bytes=64 << 10, max_fields=8)
ENDPOINTS: Final = tuple(BUILT_IN.endpoints.values())
REFUSALS: Final = frozenset({408, 413, 415, 422})


def sniff(data: bytes) -> PictureInfo | None:
    """The sniffer's word, None for a refusal."""
    try:
        return inspect(data, max_pixels=MAX_PIXELS)
    except Problem as problem:
        _check_documented(problem)
        return None


async def upload(body: bytes, pieces: int, content_type: str = CONTENT_TYPE) -> int:
    """The status that a body comes to, cut into pieces. Nothing is held afterwards."""
    budget = UploadBudget(1 << 20)
    size = max(1, len(body) // pieces)
    cut = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    coming = iter(
        [{"type": "http.request", "body": one, "more_body": at < len(cut) - 1} for at, one in enumerate(cut)]
    )
    kept: list[ReceivedFile] = []

    async def receive() -> Message:
        return next(coming)

    async def sink(file: ReceivedFile, data: bytes) -> None:
        assert len(data) == file.size <= LIMITS.max_file_bytes
        kept.append(file)

    try:
        batch = await read_batch(
            receive,
            {"content-type": content_type},
            limits=LIMITS,
            budget=budget,
            inspect=lambda data: inspect(data, max_pixels=MAX_PIXELS),
            sink=sink,
        )
        assert len(batch.files) + len(batch.bad) <= LIMITS.max_pictures
        names = [*(one.filename for one in batch.files), *(one.filename for one in batch.bad)]
        assert all(map(_harmless, names))
        group(batch)
        status = 202
    except Problem as problem:
        _check_documented(problem)
        status = problem.status
    assert budget.held == 0
    return status


def group(batch: ReceivedBatch) -> None:
    """Make objects of the files: each good file is a view of one object, or is named as unused."""
    objects = objects_of(batch, LIMITS.max_objects)
    assert len(objects.good) + len(objects.bad) <= LIMITS.max_objects
    used = [view.index for one in objects.good for view in one.views]
    assert sorted([*used, *objects.unused]) == sorted(file.index for file in batch.files)
    assert {one.index for one in objects.bad}.isdisjoint(used)
    assert all([*(one.name for one in objects.good), *(one.name for one in objects.bad)])
    for one in objects.good:
        named = [side for side in one.sides if side]
        assert 0 < len(one.views) == len(one.sides) <= MAX_VIEWS
        assert len(set(named)) == len(named)
        assert set(named) <= set(SIDES)
        for endpoint in ENDPOINTS:
            send(endpoint, one)


def send(endpoint: Endpoint, one: ReceivedObject) -> None:
    """FAL's input holds every view once, or the object is refused."""
    views = [View(str(view.index), side) for view, side in zip(one.views, one.sides, strict=True)]
    try:
        check_views(endpoint, one.name, one.sides, {})
    except InvalidParameter:
        return
    values = payload(endpoint, one.name, views, {}).values()
    urls = [str(url) for value in values for url in (value if isinstance(value, list) else [value])]
    assert sorted(urls) == sorted(view.url for view in views)


def manifest(text: str, parts: int) -> bool:
    """Whether it is read, or refused in words."""
    words = "read"
    try:
        read_manifest(text, parts)
    except InvalidParameter as problem:
        words = problem.detail
    assert 0 < len(words) < 1_000
    return words == "read"


def upload_now(body: bytes, pieces: int = 1) -> int:
    """The same outside of a loop."""
    return asyncio.run(upload(body, pieces))


def _check_documented(problem: Problem) -> None:
    if problem.status not in REFUSALS:
        raise AssertionError(f"not a refusal of an upload: {problem!r}")


def _harmless(name: str) -> bool:
    return name not in {"", ".", ".."} and not set(name) & set("/\\\x00\r\n\u202e\u2066\u200f")
