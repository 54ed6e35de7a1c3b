"""The document keeps to what client generators take, and says the same in all of its places."""

from collections.abc import Iterator
from typing import Any

import pytest

from image2model.api.openapi import OPERATIONS, openapi
from image2model.api.openapi_responses import problems_of
from image2model.errors import Problem

REFUSED = {"prefixItems", "if", "then", "else", "not", "dependentSchemas", "unevaluatedProperties", "$defs"}
"""Words of JSON Schema that some generators do not know."""


def schemas(node: Any, where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of the document outside its examples, and where it stands."""
    if isinstance(node, dict):
        yield where, node
        for name, value in node.items():
            if name not in {"example", "examples", "default"}:
                yield from schemas(value, f"{where}/{name}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from schemas(value, f"{where}/{index}")


def test_no_schema_has_a_word_that_generators_refuse() -> None:
    assert [where for where, one in schemas(openapi()) if REFUSED & one.keys()] == []


def test_no_schema_is_a_truth_value_but_the_end_of_a_form() -> None:
    """`items: false` is what openapi-python-client refuses."""
    assert [where for where, one in schemas(openapi()) if isinstance(one.get("items"), bool)] == []


def test_each_enum_has_a_type() -> None:
    found = [(where, one) for where, one in schemas(openapi()) if isinstance(one.get("enum"), list)]
    assert found
    assert [where for where, one in found if one.get("type") != "string"] == []


def test_numbers_of_answers_have_64_bits() -> None:
    named = openapi()["components"]["schemas"].items()
    numbers = [
        one for name, part in named if not name.endswith(("Form", "Request")) for one in schemas(part, name)
    ]
    widths = {
        (one["type"], one.get("format")) for _, one in numbers if one.get("type") in ("integer", "number")
    }
    assert widths == {("integer", "int64"), ("number", "double")}


def test_operations_and_webhooks_share_no_tag() -> None:
    """openapi-generator would write both to one file, and keep the last."""
    groups = [
        {tag for methods in openapi()[group].values() for one in methods.values() for tag in one["tags"]}
        for group in ("paths", "webhooks")
    ]
    assert groups[0] & groups[1] == set()
    assert groups[0] | groups[1] == {tag["name"] for tag in openapi()["tags"]}


def test_a_union_of_answers_has_a_name() -> None:
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                for media_type, one in response.get("content", {}).items():
                    assert "oneOf" not in one["schema"], f"{method} {path} {status} {media_type}"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
def test_the_examples_of_a_refusal_name_its_codes(operation: Any) -> None:
    responses = openapi()["paths"][operation.path][operation.method.lower()]["responses"]
    by_status: dict[str, set[str]] = {}
    problem: type[Problem]
    for problem in problems_of(operation):
        by_status.setdefault(str(problem.status), set()).add(problem.code)
    for status, codes in by_status.items():
        examples = responses[status]["content"]["application/problem+json"]["examples"]
        assert {name: one["value"]["code"] for name, one in examples.items()} == {
            code: code for code in codes
        }
