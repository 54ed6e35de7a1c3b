"""Endpoints for the tests: those of the built-in copy, and made ones."""

from image2model.fal.endpoints import (
    DEFAULT_MODEL,
    Catalogue,
    Endpoint,
    EndpointSchema,
    Input,
    Parameter,
    UnitPrice,
)

BUILT_IN = Catalogue.built_in()
TRIPO = BUILT_IN.find(DEFAULT_MODEL)


def endpoint_of(model: str) -> Endpoint:
    return BUILT_IN.find(model)


def endpoint_with(*inputs: Input, price: UnitPrice | None = None, **parameters: Parameter) -> Endpoint:
    """An endpoint that only FAL knows."""
    schema = EndpointSchema(
        id="a/new/one",
        title="New",
        inputs=inputs or (Input(name="image_url", role="picture", required=True),),
        parameters=tuple(parameters.items()),
    )
    return Endpoint(schema, unit_price=price)
