"""FAL's 3D endpoints as data: FAL's own schemas, an overlay of what they do not say, and a built-in copy.

CONTRIBUTING.md says what a new endpoint needs: nothing, or a row of the overlay.

Pure: no I/O.
"""

from image2model.fal.endpoints.catalogue import DEFAULT_MODEL, DEFAULT_REMOVER, Catalogue
from image2model.fal.endpoints.endpoint import CUTOUT, Endpoint, Params, UnitPrice, normalise
from image2model.fal.endpoints.openapi import derive
from image2model.fal.endpoints.parameter import Json, Parameter, Scalar
from image2model.fal.endpoints.resolve import SchemaUnreadable
from image2model.fal.endpoints.schema import EndpointSchema, Input, Output
from image2model.fal.endpoints.second_step import (
    SecondStep,
    check_step_params,
    second_step,
    step_payload,
    takes_model,
)
from image2model.fal.endpoints.views import View, check_views, payload, takes_pictures

__all__ = [
    "CUTOUT",
    "DEFAULT_MODEL",
    "DEFAULT_REMOVER",
    "Catalogue",
    "Endpoint",
    "EndpointSchema",
    "Input",
    "Json",
    "Output",
    "Parameter",
    "Params",
    "Scalar",
    "SchemaUnreadable",
    "SecondStep",
    "UnitPrice",
    "View",
    "check_step_params",
    "check_views",
    "derive",
    "normalise",
    "payload",
    "second_step",
    "step_payload",
    "takes_model",
    "takes_pictures",
]
