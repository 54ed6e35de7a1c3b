"""What lies in the storage at the end: a valid file for every success, and nothing that is nobody's.

Who calls it: the verdict.
"""

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from image2model.domain import ImageStatus, ResultFile
from image2model.media.glb import inspect_glb
from image2model.media.glb_container import NotMeasured
from image2model.operations.housekeeping import erase_orphans
from image2model.storage import layout
from image2model.storage.address import open_storage
from image2model.store.records import ImageRow
from tests.chaos.slot import ProcessRun
from tests.chaos.tries import Try

if TYPE_CHECKING:
    from tests.chaos.driver import Run

_CLOCK_S = 1.0
"""What the file system's clock may differ from ours."""


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
        elif _must_be_valid(image, file) and (why := _invalid(path)):
            broken.append(f"image {image.image_id}: {why}")
    return broken


def _must_be_valid(image: ImageRow, file: ResultFile) -> bool:
    """Whatever FAL delivers is kept; what is no sound GLB has a warning."""
    warned = image.result is not None and any(one.file == file.kind for one in image.result.warnings)
    return file.kind == "model" and file.format == "glb" and not warned


def _invalid(path: Path) -> str | None:
    try:
        inspect_glb(path)
    except NotMeasured as odd:
        return odd.reason
    return None


async def leftovers(run: "Run", redis: Redis, images: dict[str, ImageRow]) -> list[str]:
    """Files that belong to no image.

    Only an upload whose own API process was killed may leave some, or one that was told to end while the
    store was away, and said so. The cleanup must find them all.
    """
    root = run.world.files
    nobodys = await asyncio.to_thread(_nobodys, root, images)
    broken = [
        f"{len(nobodys[where])} files of {where} are nobody's, and no API process that was killed can have "
        "left them"
        for where in _Explanations(run).missing(nobodys)
    ]
    storage = open_storage(root.as_uri())
    await erase_orphans(redis, storage, older_than_s=0)
    await storage.sweep_staged(0)
    left = await asyncio.to_thread(_nobodys, root, images)
    return broken + [f"the cleanup left {len(made)} files of {where}" for where, made in left.items()]


class _Explanations:
    """Uploads that were under way in an API process when it was ended. Each explains one batch's files.

    A busy process may still store the files of an upload whose client has given up on it.
    """

    def __init__(self, run: "Run") -> None:
        bases = dict(zip(run.world.bases, run.world.apis, strict=True))
        self._outages = run.world.store.outages
        self._logs = [slot.log for slot in run.world.apis]
        self._cut: list[tuple[Try, ProcessRun]] = []
        for one in run.uploads.tries:
            if one.status in (None, 503):
                runs = bases[one.base].runs
                self._cut += [(one, run) for run in runs if run.struck and run.held(one.begun)]

    def missing(self, files: dict[str, list[float]]) -> list[str]:
        """The folders that are left when as many as possible have an upload of their own."""
        owners: dict[int, str] = {}
        return [where for where in files if not self._assign(where, files, owners, set())]

    def _assign(
        self, where: str, files: dict[str, list[float]], owners: dict[int, str], tried: set[int]
    ) -> bool:
        """Find an upload for a folder; another folder may have to take another one for it."""
        for number, found in enumerate(self._cut):
            if number in tried or not self._explains(*found, where, files[where]):
                continue
            tried.add(number)
            if number not in owners or self._assign(owners[number], files, owners, tried):
                owners[number] = where
                return True
        return False

    def _explains(self, one: Try, run: ProcessRun, where: str, made: list[float]) -> bool:
        times = made or [one.begun]
        if not one.begun - _CLOCK_S <= min(times) <= max(times) <= run.ended + _CLOCK_S:
            return False
        return run.struck.name == "SIGKILL" or (  # type: ignore[union-attr]  # only struck runs are here
            any(begun < run.ended and run.struck_at < ended for begun, ended in self._outages)
            and self._was_told(where)
        )

    def _was_told(self, where: str) -> bool:
        """Whether a process said, as it ended, that it leaves this batch to the cleanup."""
        job_id = where.rpartition("/")[2]
        return any(
            b"batches_left_in_doubt" in line and job_id.encode() in line
            for log in self._logs
            for line in log.read_bytes().splitlines()
        )


def _nobodys(root: Path, images: dict[str, ImageRow]) -> dict[str, list[float]]:
    """The times of the files that are nobody's, by the folder of their job."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    pictures = {view.file_id for image in images.values() for view in image.views} | set(images)
    pictures |= {f"{name}-model" for name, image in images.items() if image.parent_image_id is not None}
    for path in root.rglob("*"):
        if path.is_file() and not _owned(name := path.relative_to(root).as_posix(), images, pictures):
            times = found["/".join(name.split("/")[:2])]
            # the model that a second step starts from is a link: its time says nothing, its picture's does
            if "-model." not in path.name:
                times.append(path.stat().st_mtime)
    return dict(found)


def _owned(name: str, images: dict[str, ImageRow], pictures: set[str]) -> bool:
    owner = layout.owner_of(name)
    if owner is None:
        return False
    return owner.image_id in (pictures if owner.root == layout.ORIGINALS else images)
