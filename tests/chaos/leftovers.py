"""What lies in the storage at the end: a valid file for every success, and nothing that is nobody's.

Who calls it: the verdict.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from image2model.domain import ImageStatus
from image2model.media.glb import inspect_glb
from image2model.media.glb_container import NotMeasured
from image2model.service.cleanup import erase_orphans
from image2model.storage import layout
from image2model.storage.address import open_storage
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
        elif file.kind == "model" and not image.result.warnings and (why := _invalid(path)):
            broken.append(f"image {image.image_id}: {why}")
    return broken


def _invalid(path: Path) -> str | None:
    try:
        inspect_glb(path)
    except NotMeasured as odd:
        return odd.reason
    return None


async def leftovers(run: "Run", redis: Redis, images: dict[str, ImageRow]) -> list[str]:
    """Files that belong to no image.

    Only an upload whose API process was killed may leave some, for the cleanup, which must find them all.
    """
    root, kills = run.world.files, run.strikes.api_kills
    nobodys = await asyncio.to_thread(_nobodys, root, images)
    broken = [
        f"{path.relative_to(root)} is nobody's, and no API process was killed then"
        for path, made in nobodys.items()
        if not any(made - 1 <= killed <= made + 20 for killed in kills)
    ]
    storage = open_storage(root.as_uri())
    await erase_orphans(redis, storage, older_than_s=0)
    await storage.sweep_staged(0)
    left = await asyncio.to_thread(_nobodys, root, images)
    return broken + [f"the cleanup left {path.relative_to(root)}" for path in left]


def _nobodys(root: Path, images: dict[str, ImageRow]) -> dict[Path, float]:
    """Each file that is nobody's, with the time when it was written."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {
        path: path.stat().st_mtime for path in files if not _owned(path.relative_to(root).as_posix(), images)
    }


def _owned(name: str, images: dict[str, ImageRow]) -> bool:
    owner = layout.owner_of(name)
    return owner is not None and owner.image_id in images
