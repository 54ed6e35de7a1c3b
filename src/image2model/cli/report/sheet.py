"""Writes the sheet card by card, so that a job of any size needs the memory of a few cards.

Who calls it: the command. The file appears whole or not at all: it is written beside its place and moved.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from image2model.cli.report.card import card, refused
from image2model.cli.report.gathering import pictures_of
from image2model.cli.report.page import END, head
from image2model.cli.tasks import first_error
from image2model.client import AsyncClient, Image, Job
from image2model.threads import in_thread

_AT_ONCE: Final = 8


async def write(client: AsyncClient, job: Job, out: Path) -> int:
    """The sheet of a job, at `out`; returns its bytes. Raises ClientError, OSError."""
    part = out.with_name(f".{secrets.token_hex(8)}.part")  # a long name of `out` leaves no room for more
    await in_thread(out.parent.mkdir, parents=True, exist_ok=True)
    try:
        with await in_thread(part.open, "xb") as file:
            async for text in _pieces(client, job):
                await in_thread(file.write, text.encode(errors="replace"))
        await in_thread(part.replace, out)
    finally:
        await in_thread(part.unlink, missing_ok=True)
    return (await in_thread(out.stat)).st_size


async def _pieces(client: AsyncClient, job: Job) -> AsyncIterator[str]:
    yield head(job)
    images = sorted(job.images, key=lambda image: image.index)
    for start in range(0, len(images), _AT_ONCE):
        for text in await _cards(client, job.job_id, images[start : start + _AT_ONCE]):
            yield text
    for one in job.rejected:
        yield refused(one)
    yield END


async def _cards(client: AsyncClient, job_id: str, images: Sequence[Image]) -> list[str]:
    with first_error():
        async with asyncio.TaskGroup() as group:
            fetched = [group.create_task(pictures_of(client, job_id, image)) for image in images]
    return [card(image, task.result(), job_id) for image, task in zip(images, fetched, strict=True)]
