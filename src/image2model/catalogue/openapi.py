"""The reference of models: the list, one of them, and the refresh."""

from typing import Final

from image2model import errors
from image2model.catalogue.documents import ModelDocument, ModelList, document
from image2model.catalogue.http import RefreshDocument
from image2model.fal.endpoints import DEFAULT_MODEL, Catalogue
from image2model.http.reference import ETAG, IF_NONE_MATCH, Answer, Operation, Parameter

_EXAMPLE: Final = document(Catalogue.built_in().find(DEFAULT_MODEL))
_LIST: Final = ModelList(
    default=DEFAULT_MODEL, pricing="table", source="built-in", updated_at=None, models=(_EXAMPLE,)
)
_MODEL: Final = Parameter(
    name="model",
    where="path",
    description="The model's id, its slashes as they are.",
    example=DEFAULT_MODEL,
)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/models",
        tag="Models",
        id="listModels",
        summary="The models on offer, with inputs, parameters, outputs and prices",
        description="FAL's list, read every 10 minutes, as far as `I2M_MODELS` and the key allow it. "
        "`params` is the JSON Schema of a model's parameters. A model with `available: false` needs more "
        "than one picture: `needs` says what. `source` is `built-in` until FAL was read.",
        parameters=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200,
                description="All models, the default first.",
                shape=ModelList,
                example=_LIST,
                headers=(ETAG,),
            ),
            Answer(status=304, description="Nothing has changed.", headers=(ETAG,)),
        ),
    ),
    Operation(
        method="GET",
        path="/api/v1/models/{model}",
        tag="Models",
        id="showModel",
        summary="One model",
        description="As the list has it.",
        parameters=(_MODEL,),
        answers=(Answer(status=200, description="The model.", shape=ModelDocument, example=_EXAMPLE),),
        problems=(errors.NotFound,),
    ),
    Operation(
        method="POST",
        path="/api/v1/admin/models/refresh",
        tag="Administration",
        id="refreshModels",
        summary="Read FAL's list of models now",
        description="A worker does it within moments; `updated_at` of the list shows when it is done.",
        answers=(
            Answer(
                status=202,
                description="A worker was told.",
                shape=RefreshDocument,
                example=RefreshDocument(),
            ),
        ),
        access="admin",
    ),
)
