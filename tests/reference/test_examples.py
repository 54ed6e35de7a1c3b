"""Each example of the document is what its schema says, and the document is what OpenAPI says."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from image2model.api.openapi import openapi

Example = tuple[str, dict[str, Any], Any]


def media(where: str, content: dict[str, Any]) -> Iterator[Example]:
    for media_type, one in content.items():
        if "example" in one:
            yield f"{where} {media_type}", one["schema"], one["example"]
        for name, example in one.get("examples", {}).items():
            yield f"{where} {media_type} {name}", one["schema"], example["value"]
        for name, event in one.get("x-events", {}).items():
            yield f"{where} {media_type} {name}", event["schema"], event["example"]


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for group in ("paths", "webhooks"):
        for path, methods in openapi()[group].items():
            for method, operation in methods.items():
                yield f"{method.upper()} {path}", operation


def examples() -> Iterator[Example]:
    for where, operation in operations():
        if "requestBody" in operation:
            yield from media(f"{where} body", operation["requestBody"]["content"])
        for status, response in operation["responses"].items():
            yield from media(f"{where} {status}", response.get("content", {}))
        for one in operation.get("parameters", ()):
            if "example" in one:
                yield f"{where} {one['name']}", one["schema"], one["example"]


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Knows the document's named schemas, and takes no field that a schema does not have."""
    named = {name: _closed(one) for name, one in openapi()["components"]["schemas"].items()}
    return Draft202012Validator({**schema, "components": {"schemas": named}})


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return {"additionalProperties": False, **schema} if "properties" in schema else schema


@pytest.mark.parametrize("example", list(examples()), ids=lambda one: one[0])
def test_an_example_is_what_its_schema_says(example: Example) -> None:
    _, schema, value = example
    validator(schema).validate(value)


@pytest.mark.parametrize("name", list(openapi()["components"]["schemas"]))
def test_a_schema_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(openapi()["components"]["schemas"][name])


def test_every_json_answer_and_event_stream_has_an_example() -> None:
    for where, operation in operations():
        for status, response in operation["responses"].items():
            for media_type, one in response.get("content", {}).items():
                if media_type in {"application/json", "text/event-stream", "application/problem+json"}:
                    shown = "example" in one or "examples" in one or one["schema"] == {"type": "object"}
                    assert shown, f"{where} {status}"


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, operation in operations()]
    assert len(set(ids)) == len(ids)
