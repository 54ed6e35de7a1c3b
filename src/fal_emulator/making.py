"""Makes all files of one generation out of its picture, also those that are not as they should be.

Called by the studio in a worker thread; it knows no URL and stores nothing.
"""

import io
import zipfile
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec

from fal_emulator.endpoints import Endpoint
from fal_emulator.fault_rules import Faults
from fal_emulator.faults import Fault
from fal_emulator.fbx import write_fbx
from fal_emulator.formats import write_obj, write_splat, write_stl
from fal_emulator.glb import write_glb
from fal_emulator.picture import Picture, read_picture
from fal_emulator.relief import Relief, make_relief
from fal_emulator.splats import write_antimatter_splat, write_spz

_SPLATS_OF = "fal-ai/sam-3/3d-objects"
_WRITERS: Mapping[str, Callable[[Relief], bytes]] = MappingProxyType(
    {"glb": write_glb, "obj": write_obj, "stl": write_stl, "fbx": write_fbx}
)


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one generation; `kind` is the model's suffix, `variants` are the same model by format."""

    model: bytes
    kind: str
    image: bytes
    variants: dict[str, bytes]
    splat: bytes | None
    archive: bytes | None


def build(
    endpoint: Endpoint,
    arguments: Mapping[str, object],
    faults: Faults,
    data: bytes,
    *,
    grid: int,
    texture: int,
) -> Built:
    """Every file of a run with these arguments. Raises PictureError."""
    picture = read_picture(data, texture)
    limit = arguments.get(endpoint.limit) if endpoint.limit else None
    relief = make_relief(picture, grid, limit if isinstance(limit, int) else None)
    own = endpoint.file_format(arguments)
    model, kind = _altered(relief, picture, faults) or (_WRITERS[own](relief), own)
    splat = write_splat(relief, picture.texture) if endpoint.id == _SPLATS_OF else None
    return Built(
        model=model,
        kind=kind,
        image=relief.jpeg,
        variants={name: _WRITERS[name](relief) for name in endpoint.variants if name != kind},
        splat=splat,
        archive=None if splat is None else _zipped({f"model.{kind}": model, "splat.ply": splat}),
    )


def _altered(relief: Relief, picture: Picture, faults: Faults) -> tuple[bytes, str] | None:
    """The model's bytes and suffix where a fault says what it is."""
    if Fault.POINTS_ONLY in faults:
        return write_glb(relief, points=True), "glb"
    if Fault.NO_BOUNDS in faults:
        return write_glb(relief, bounds=False), "glb"
    if Fault.BYTES_BEHIND in faults:
        return write_glb(relief) + bytes(7), "glb"
    if Fault.UNKNOWN_FORMAT in faults:
        kind = str(faults[Fault.UNKNOWN_FORMAT])
        write = write_spz if kind == "spz" else write_antimatter_splat
        return write(relief, picture.texture), kind
    return None


def _zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()
