"""Matrices of glTF nodes: 4 × 4, column-major, as tuples of 16 floats.

Only `glb` uses it. Source: the Khronos glTF 2.0 specification, "Transformations".
"""

from itertools import product

from image2model.media.gltf import Matrix, Node, Vector

IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


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
