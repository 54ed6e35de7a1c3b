"""The OpenAPI document of one endpoint, written from its row of the table. Called by the models route."""

from fal_emulator.endpoints import Endpoint, Parameter


def openapi(endpoint: Endpoint) -> dict[str, object]:
    """OpenAPI 3.0: the submit with its input schema."""
    reference = {"$ref": "#/components/schemas/Input"}
    content = {"application/json": {"schema": reference}}
    accepted = {"200": {"description": "The request is in the queue"}}
    operation = {"requestBody": {"required": True, "content": content}, "responses": accepted}
    return {
        "openapi": "3.0.4",
        "info": {"title": endpoint.id, "version": "1.0.0"},
        "paths": {f"/{endpoint.id}": {"post": operation}},
        "components": {"schemas": {"Input": input_schema(endpoint)}},
    }


def input_schema(endpoint: Endpoint) -> dict[str, object]:
    """JSON Schema of the input."""
    url: dict[str, object] = {"type": "string"}
    picture = {"type": "array", "items": url, "minItems": 1, "maxItems": 5} if endpoint.many else url
    properties = {name: _property(parameter) for name, parameter in endpoint.parameters.items()}
    return {
        "type": "object",
        "required": [endpoint.picture],
        "properties": {endpoint.picture: picture, **properties},
    }


def _property(parameter: Parameter) -> dict[str, object]:
    schema: dict[str, object] = {"type": parameter.kind}
    if parameter.default is not None:
        schema["default"] = parameter.default
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    if parameter.minimum is not None:
        schema["minimum"] = parameter.minimum
    if parameter.maximum is not None:
        schema["maximum"] = parameter.maximum
    return schema
