"""The table of image-to-3D endpoints: one row for each, in a file for each maker.

The emulator has a table of its own; CONTRIBUTING.md lists all places of a new endpoint.

Pure: no I/O.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from image2model.errors import UnknownModel
from image2model.fal.endpoints.endpoint import Endpoint, Params, normalise, payload
from image2model.fal.endpoints.hunyuan import HUNYUAN_V2, HUNYUAN_V3
from image2model.fal.endpoints.meshy import MESHY_V6
from image2model.fal.endpoints.parameter import Parameter, Scalar
from image2model.fal.endpoints.sam import SAM_3_OBJECTS
from image2model.fal.endpoints.trellis import TRELLIS, TRELLIS_2
from image2model.fal.endpoints.tripo import TRIPO_H31, TRIPO_V25
from image2model.fal.endpoints.triposr import TRIPOSR

__all__ = [
    "DEFAULT_MODEL",
    "ENDPOINTS",
    "Endpoint",
    "Parameter",
    "Params",
    "Scalar",
    "endpoint_of",
    "normalise",
    "payload",
]

_ROWS = (
    TRIPO_V25,
    TRIPO_H31,
    TRELLIS,
    TRELLIS_2,
    HUNYUAN_V2,
    HUNYUAN_V3,
    TRIPOSR,
    MESHY_V6,
    SAM_3_OBJECTS,
)

ENDPOINTS: Final[Mapping[str, Endpoint]] = MappingProxyType({row.id: row for row in _ROWS})
DEFAULT_MODEL: Final = TRIPO_V25.id


def endpoint_of(model: str) -> Endpoint:
    """The endpoint of this id. Raises UnknownModel, which lists the endpoints on offer."""
    endpoint = ENDPOINTS.get(model)
    if endpoint is None:
        raise UnknownModel(f"{model[:128]!r} is not on offer; choose one of: {', '.join(ENDPOINTS)}")
    return endpoint
