"""The models on offer. Who calls it: the table."""

from typing import Final

from image2model.api.reference.operation import Answer, Operation
from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.service.models import ModelList, listing

_OFFER: Final = listing({})
_EXAMPLE: Final = ModelList(
    default=DEFAULT_MODEL, pricing="table", models=tuple(one for one in _OFFER.models if one.default)
)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/models",
        tag="Models",
        id="listModels",
        summary="The models on offer, with parameters and prices",
        description="`params` of each is the JSON Schema of its parameters. What FAL says of it and asks for "
        "it is at most 5 minutes old, and missing while FAL cannot be asked.",
        answers=(
            Answer(
                status=200, description="All models, the default first.", shape=ModelList, example=_EXAMPLE
            ),
        ),
    ),
)
