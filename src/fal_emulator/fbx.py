"""Writes a relief as ASCII FBX 7.4 made of quads, which is what `quad` asks Tripo for.

Called in a worker thread. The indentation is part of the format: readers find a node's children by it.
"""

from __future__ import annotations  # array[float] cannot be evaluated before Python 3.12

from collections.abc import Iterable, Sequence

import msgspec

from fal_emulator.formats import points_of, texture_points
from fal_emulator.relief import Relief

_GEOMETRY, _MODEL, _SCENE = 1001, 1002, 0


class Node(msgspec.Struct, frozen=True):
    """`name: values {children}`; the braces only where there is something between them."""

    name: str
    values: str = ""
    children: Sequence[Node] = ()

    def lines(self, depth: int = 0) -> list[str]:
        """The node's text, one tab for each level."""
        tabs = "\t" * depth
        if not self.children:
            return [f"{tabs}{self.name}: {self.values}"]
        inner = [line for child in self.children for line in child.lines(depth + 1)]
        return [f"{tabs}{self.name}: {self.values} {{", *inner, f"{tabs}}}"]


def write_fbx(relief: Relief) -> bytes:
    """The whole .fbx file."""
    nodes = (
        Node("FBXHeaderExtension", "", [Node("FBXHeaderVersion", "1003"), Node("FBXVersion", "7400")]),
        Node("GlobalSettings", "", [Node("Version", "1000"), Node("Properties70", "", _axes())]),
        Node("Definitions", "", [Node("Version", "100"), _count("Geometry"), _count("Model")]),
        Node("Objects", "", [_geometry(relief), _model()]),
        Node("Connections", "", [_connection(_MODEL, _SCENE), _connection(_GEOMETRY, _MODEL)]),
    )
    lines = [line for node in nodes for line in node.lines()]
    return (f"; FBX 7.4.0 project file\n; {relief.mark}\n" + "\n".join(lines) + "\n").encode()


def _axes() -> list[Node]:
    """y up, z to the front, x to the right; metres."""
    axes = {
        "UpAxis": 1,
        "UpAxisSign": 1,
        "FrontAxis": 2,
        "FrontAxisSign": 1,
        "CoordAxis": 0,
        "CoordAxisSign": 1,
    }
    nodes = [Node("P", f'"{name}", "int", "Integer", "",{value}') for name, value in axes.items()]
    return [*nodes, Node("P", '"UnitScaleFactor", "double", "Number", "",100')]


def _count(kind: str) -> Node:
    return Node("ObjectType", f'"{kind}"', [Node("Count", "1")])


def _model() -> Node:
    return Node("Model", f'{_MODEL}, "Model::relief", "Mesh"', [Node("Version", "232")])


def _connection(child: int, parent: int) -> Node:
    return Node("C", f'"OO",{child},{parent}')


def _geometry(relief: Relief) -> Node:
    """The last index of a polygon is stored as its complement."""
    flat = relief.lattice
    points = (value for point in points_of(relief) for value in point)
    polygons = (i for a, b, c, d in flat.corners for i in (a, b, c, ~d))
    return Node(
        "Geometry",
        f'{_GEOMETRY}, "Geometry::relief", "Mesh"',
        [
            _array("Vertices", points),
            _array("PolygonVertexIndex", polygons),
            Node("GeometryVersion", "124"),
            _layer("Normal", "ByVertice", "Direct", [_array("Normals", relief.normals)]),
            _layer("UV", "ByPolygonVertex", "IndexToDirect", _uvs(relief)),
            Node("Layer", "0", [Node("Version", "100"), _element("Normal"), _element("UV")]),
        ],
    )


def _uvs(relief: Relief) -> list[Node]:
    uvs = (value for point in texture_points(relief.lattice) for value in point)
    indices = (i for corner in relief.lattice.corners for i in corner)
    return [_array("UV", uvs), _array("UVIndex", indices)]


def _array(name: str, values: Iterable[float]) -> Node:
    items = [f"{value:.6g}" for value in values]
    return Node(name, f"*{len(items)}", [Node("a", ",".join(items))])


def _layer(kind: str, mapping: str, reference: str, arrays: Sequence[Node]) -> Node:
    head = [Node("Version", "101"), Node("Name", '""')]
    head.append(Node("MappingInformationType", f'"{mapping}"'))
    head.append(Node("ReferenceInformationType", f'"{reference}"'))
    return Node(f"LayerElement{kind}", "0", [*head, *arrays])


def _element(kind: str) -> Node:
    return Node("LayerElement", "", [Node("Type", f'"LayerElement{kind}"'), Node("TypedIndex", "0")])
