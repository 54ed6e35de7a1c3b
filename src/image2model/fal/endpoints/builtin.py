"""The copy of FAL's endpoints that comes with the release: `builtin.json`, read when it is first needed.

It has what FAL's published types and pages show. A parameter whose JSON type they do not show (numbers that
they quote) is not in it: whether FAL takes `1024` or `"1024"` is known only from FAL's own document.
"""

from functools import cache
from importlib import resources
from typing import Final

import msgspec

from image2model.fal.endpoints.schema import EndpointSchema

_schemas: Final = msgspec.json.Decoder(tuple[EndpointSchema, ...])


@cache
def built_in_schemas() -> tuple[EndpointSchema, ...]:
    """The endpoints, the default first."""
    data = resources.files("image2model.fal.endpoints").joinpath("builtin.json").read_bytes()
    return _schemas.decode(data)
