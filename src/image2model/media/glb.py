"""Measures a GLB: triangles, vertices, textures and bounds of its scene.

A small file can draw billions of triangles, since any number of nodes may show one mesh: the numbers of nodes
and parts are bounded. Source of the matrices (4 × 4, column-major): the Khronos glTF 2.0 specification,
"Transformations".
"""

import math
from collections.abc import Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import TypeVar

import msgspec

from image2model.media.glb_container import (
    NORMALIZED_MAX,
    Accessor,
    Document,
    GlbReader,
    Matrix,
    Mesh,
    Node,
    NotMeasured,
    Primitive,
    Vector,
)

IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_MAX_NODES = 100_000
_MAX_PARTS = 100_000
"""Limits of what is measured."""
_LARGEST_NUMBER = (1 << 53) - 1
"""The largest number that every JSON reader keeps exact. An accessor without bytes may claim any count."""


T = TypeVar("T")
Bounds = tuple[Vector, Vector]
Placed = tuple[Mesh, Matrix]


class MeshInfo(msgspec.Struct, frozen=True):
    """Numbers of a model as a viewer draws its scene: a mesh that two nodes show counts twice.

    `bounds` are the lowest and highest corner in world space, in the file's own unit (glTF: metres).
    """

    triangles: int
    vertices: int
    textures: int
    bounds: Bounds


class Measured(msgspec.Struct, frozen=True):
    """The numbers, None where they cannot be known.

    `remark` names what is wrong with the file; `truncated`: bytes that it announces are missing.
    """

    mesh: MeshInfo | None
    remark: str | None = None
    truncated: bool = False


def measure(glb: GlbReader) -> Measured:
    """The numbers of a GLB that has been read."""
    try:
        mesh = _mesh(glb.document())
    except NotMeasured as unknown:
        return Measured(None, unknown.reason, unknown.truncated)
    extra = glb.received - (glb.announced or 0)
    return Measured(mesh, f"{extra:,} bytes follow after its end" if extra else None)


def inspect_glb(source: Path | bytes | memoryview) -> MeshInfo:
    """Measure a whole GLB (a path is read whole, blocking).

    Raises NotMeasured for anything wrong with it.
    """
    reader = GlbReader()
    reader.feed(source.read_bytes() if isinstance(source, Path) else source)
    found = measure(reader)
    if found.mesh is None or found.remark is not None:
        raise NotMeasured(found.remark or "unknown", truncated=found.truncated)
    return found.mesh


def _mesh(document: Document) -> MeshInfo:
    placed = _bounded(_placed(document))
    triangles = sum(_triangles(document, part) for mesh, _ in placed for part in mesh.primitives)
    vertices = sum(_vertices(document, mesh) for mesh, _ in placed)
    if triangles == 0:
        shown = f"{vertices:,} points or lines, and no triangle" if vertices else "nothing"
        raise NotMeasured(f"its scene shows {shown}")
    if max(triangles, vertices) > _LARGEST_NUMBER:
        raise NotMeasured("its numbers are impossibly large")
    return MeshInfo(
        triangles=triangles,
        vertices=vertices,
        textures=len(document.textures),
        bounds=_bounds(document, placed),
    )


def _bounded(placed: Iterable[Placed]) -> list[Placed]:
    """All of it, as a list. Raises NotMeasured where the scene draws too many parts."""
    kept: list[Placed] = []
    parts = 0
    for one in placed:
        kept.append(one)
        parts += max(len(one[0].primitives), 1)
        if parts > _MAX_PARTS:
            raise NotMeasured(f"its scene draws more than {_MAX_PARTS:,} parts")
    return kept


def _placed(document: Document) -> Iterator[Placed]:
    """Every mesh of the scene with its world matrix; without a scene, each mesh once, untransformed."""
    if not document.scenes:
        yield from ((mesh, IDENTITY) for mesh in document.meshes)
        return
    scene = _at(document.scenes, document.scene or 0, "scene")
    pending = [(number, IDENTITY) for number in scene.nodes]
    seen: set[int] = set()
    while pending:
        number, parent = pending.pop()
        node = _at(document.nodes, number, "node")
        if number in seen:
            raise NotMeasured(f"node {number} has two parents")
        seen.add(number)
        if len(seen) > _MAX_NODES:
            raise NotMeasured(f"its scene has more than {_MAX_NODES:,} nodes")
        if node.matrix is not None and len(node.matrix) != 16:
            raise NotMeasured(f"the matrix of node {number} does not have 16 numbers")
        world = multiply(parent, local_matrix(node))
        if node.mesh is not None:
            yield _at(document.meshes, node.mesh, "mesh"), world
        pending.extend((child, world) for child in node.children)


def _triangles(document: Document, part: Primitive) -> int:
    count = _positions(document, part).count
    if part.indices is not None:
        count = _at(document.accessors, part.indices, "accessor").count
    if part.mode == _TRIANGLES:
        return count // 3
    return max(count - 2, 0) if part.mode in (_STRIP, _FAN) else 0


def _vertices(document: Document, mesh: Mesh) -> int:
    """Primitives that share one set of positions count it once."""
    shared = {part.attributes.get("POSITION"): _positions(document, part).count for part in mesh.primitives}
    return sum(shared.values())


def _positions(document: Document, part: Primitive) -> Accessor:
    number = part.attributes.get("POSITION")
    if number is None:
        raise NotMeasured("a primitive has no positions")
    return _at(document.accessors, number, "accessor")


def _bounds(document: Document, placed: list[Placed]) -> Bounds:
    lowest, highest = [math.inf] * 3, [-math.inf] * 3
    for mesh, matrix in placed:
        for low, high in {_box(_positions(document, part)) for part in mesh.primitives}:
            for point in corners(matrix, low, high):
                if not all(map(math.isfinite, point)):
                    raise NotMeasured("its bounds are not finite")
                lowest = [*map(min, lowest, point)]
                highest = [*map(max, highest, point)]
    return (lowest[0], lowest[1], lowest[2]), (highest[0], highest[1], highest[2])


def _box(accessor: Accessor) -> Bounds:
    # The specification requires both in every POSITION accessor.
    if accessor.min is None or accessor.max is None or len(accessor.min) != 3 or len(accessor.max) != 3:
        raise NotMeasured("positions come without their bounds")
    unit = NORMALIZED_MAX.get(accessor.component_type, 1.0) if accessor.normalized else 1.0
    low, high = accessor.min, accessor.max
    return (low[0] / unit, low[1] / unit, low[2] / unit), (high[0] / unit, high[1] / unit, high[2] / unit)


def _at(items: list[T], number: int, what: str) -> T:
    if not 0 <= number < len(items):
        raise NotMeasured(f"{what} {number} does not exist")
    return items[number]


def local_matrix(node: Node) -> Matrix:
    """A node's own transform: its matrix, or translation · rotation · scale."""
    if node.matrix is not None:
        return node.matrix
    x, y, z, w = node.rotation
    sx, sy, sz = node.scale
    return (
        (1 - 2 * (y * y + z * z)) * sx, 2 * (x * y + z * w) * sx, 2 * (x * z - y * w) * sx, 0.0,
        2 * (x * y - z * w) * sy, (1 - 2 * (x * x + z * z)) * sy, 2 * (y * z + x * w) * sy, 0.0,
        2 * (x * z + y * w) * sz, 2 * (y * z - x * w) * sz, (1 - 2 * (x * x + y * y)) * sz, 0.0,
        *node.translation, 1.0,
    )  # fmt: skip


def multiply(a: Matrix, b: Matrix) -> Matrix:
    """a · b: first b, then a."""
    return tuple(
        sum(a[4 * k + row] * b[4 * column + k] for k in range(4)) for column in range(4) for row in range(4)
    )


def corners(matrix: Matrix, low: Vector, high: Vector) -> list[Vector]:
    """The eight corners of a box, transformed."""
    return [
        (
            matrix[0] * x + matrix[4] * y + matrix[8] * z + matrix[12],
            matrix[1] * x + matrix[5] * y + matrix[9] * z + matrix[13],
            matrix[2] * x + matrix[6] * y + matrix[10] * z + matrix[14],
        )
        for x, y, z in product(*zip(low, high, strict=True))
    ]
