"""What lies in the storage at the end: a valid file for every success, and nothing that is nobody's.

Who calls it: the verdict.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from image2model.domain import ImageStatus
from image2model.errors import ImageFailure
from image2model.media.glb import inspect_glb
from image2model.storage import layout
from image2model.store.rows import ImageRow

if TYPE_CHECKING:
    from tests.chaos.driver import Run


async def files_of(root: Path, images: dict[str, ImageRow]) -> list[str]:
    """Each success has its files, whole, and its model is one."""
    done = [image for image in images.values() if image.status is ImageStatus.SUCCEEDED]
    return await asyncio.to_thread(lambda: [fault for image in done for fault in _faults(root, image)])


def _faults(root: Path, image: ImageRow) -> list[str]:
    if image.result is None or not image.result.files:
        return [f"image {image.image_id} succeeded without a file"]
    broken = []
    for file in image.result.files:
        path = root / str(file.key)
        if not path.is_file() or path.stat().st_size != file.size:
            broken.append(f"image {image.image_id}: {file.key} is not the file that it should be")
        elif file.kind == "model" and (why := _invalid(path)):
            broken.append(f"image {image.image_id}: {why}")
    return broken


def _invalid(path: Path) -> str | None:
    try:
        inspect_glb(path)
    except ImageFailure as failure:
        return failure.message
    return None


async def leftovers(run: "Run", images: dict[str, ImageRow]) -> list[str]:
    """Files that belong to no image. Those of an upload whose API process was killed are the cleanup's."""
    return await asyncio.to_thread(_leftovers, run, images)


def _leftovers(run: "Run", images: dict[str, ImageRow]) -> list[str]:
    root, kills = run.world.files, run.strikes.api_kills
    broken = []
    for path in root.rglob("*"):
        if path.is_file() and not _owned(path.relative_to(root).as_posix(), images):
            made = path.stat().st_mtime
            if not any(made - 1 <= killed <= made + 20 for killed in kills):
                broken.append(f"{path.relative_to(root)} is nobody's")
    return broken


def _owned(name: str, images: dict[str, ImageRow]) -> bool:
    owner = layout.owner_of(name)
    return owner is not None and owner.image_id in images
