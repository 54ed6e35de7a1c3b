"""Makes the files of one generation out of its picture, also those that are not as they should be.

Called by the studio in a worker thread; it knows no URL and stores nothing.
"""

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import msgspec

from fal_emulator.fault_rules import Faults
from fal_emulator.faults import Fault
from fal_emulator.fbx import write_fbx
from fal_emulator.formats import write_mtl, write_obj, write_splat, write_stl
from fal_emulator.glb import write_glb
from fal_emulator.outputs import Part
from fal_emulator.picture import Picture, read_picture
from fal_emulator.relief import Relief, make_relief
from fal_emulator.splats import write_antimatter_splat, write_spz
from fal_emulator.usdz import write_usdz

_SMALL = 16
"""Longest side at which the other pictures of an input are decoded, to see that they can be."""


class Job(msgspec.Struct, frozen=True):
    """What is made: the pictures, the main one first, and `parts`, each once. `limit`: of the triangles.

    `shape`: the picture whose relief the model has, where that is not the main one. `mark` is in every file
    that has a place for it.
    """

    pictures: tuple[bytes, ...]
    shape: bytes | None
    mark: str
    parts: tuple[Part, ...]
    faults: Faults
    limit: int | None
    grid: int
    texture: int


def altered_format(faults: Faults) -> str | None:
    """The model's format where a fault says what it is."""
    if faults.keys() & {Fault.POINTS_ONLY, Fault.NO_BOUNDS, Fault.BYTES_BEHIND}:
        return "glb"
    return str(faults[Fault.UNKNOWN_FORMAT]) if Fault.UNKNOWN_FORMAT in faults else None


def build(job: Job) -> dict[str, bytes]:
    """Every file by its name. Raises PictureError if one of the pictures cannot be read."""
    picture = read_picture(job.pictures[0], job.texture)
    for other in job.pictures[1:]:
        read_picture(other, _SMALL)
    shape = None if job.shape is None else read_picture(job.shape, job.texture)
    reliefs = {0: make_relief(picture, job.grid, job.limit, shape=shape, mark=job.mark)}
    materials = next((part.name for part in job.parts if part.format == "mtl"), None)
    made: dict[str, bytes] = {}
    for part in job.parts:
        if part.format == "zip":
            continue
        if part.piece not in reliefs:
            cells = max(1, job.grid >> part.piece)
            reliefs[part.piece] = make_relief(picture, cells, job.limit, shape=shape, mark=job.mark)
        relief = reliefs[part.piece]
        whole = _altered(relief, picture, job.faults) if part.use == "model" else None
        made[part.name] = whole or _written(part, relief, picture, materials)
    archive = _zipped((part.name, made[part.name]) for part in job.parts if _belongs(part))
    return made | {part.name: archive for part in job.parts if part.format == "zip"}


def _written(part: Part, relief: Relief, picture: Picture, materials: str | None) -> bytes:
    if part.animated:
        return write_glb(relief, animated=True)
    if part.format == "obj":
        return write_obj(relief, materials)
    return _WRITERS[part.format](relief, picture)


_WRITERS: Mapping[str, Callable[[Relief, Picture], bytes]] = MappingProxyType(
    {
        "glb": lambda relief, _picture: write_glb(relief),
        "stl": lambda relief, _picture: write_stl(relief),
        "fbx": lambda relief, _picture: write_fbx(relief),
        "usdz": lambda relief, _picture: write_usdz(relief),
        "mtl": lambda _relief, _picture: write_mtl("texture.jpg"),
        "jpg": lambda relief, _picture: relief.jpeg,
        "ply": lambda relief, picture: write_splat(relief, picture.texture),
        "splat": lambda relief, picture: write_antimatter_splat(relief, picture.texture),
        "spz": lambda relief, picture: write_spz(relief, picture.texture),
    }
)


def _altered(relief: Relief, picture: Picture, faults: Faults) -> bytes | None:
    """The model's bytes where a fault says what they are."""
    if Fault.POINTS_ONLY in faults:
        return write_glb(relief, points=True)
    if Fault.NO_BOUNDS in faults:
        return write_glb(relief, bounds=False)
    if Fault.BYTES_BEHIND in faults:
        return write_glb(relief) + bytes(7)
    if Fault.UNKNOWN_FORMAT in faults:
        return _WRITERS[str(faults[Fault.UNKNOWN_FORMAT])](relief, picture)
    return None


def _belongs(part: Part) -> bool:
    """Whether it goes into the archive: all but the archive itself and the pictures."""
    return part.format not in {"zip", "jpg"}


def _zipped(files: Iterable[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files:
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()
