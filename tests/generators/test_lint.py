"""The OpenAPI document passes the linter's strictest rules; tools/generators/redocly.yaml says which."""

import json
from pathlib import Path

import msgspec
import pytest

from image2model.api.openapi import openapi
from tests.generators.toolbox import TOOLS, run

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def lint(document: dict[str, object], folder: Path) -> str:
    """What the linter printed. Raises AssertionError where it finds something."""
    (folder / "openapi.json").write_text(json.dumps(document))
    return run(f"redocly lint openapi.json --config {TOOLS / 'redocly.yaml'} --format summary 2>&1", folder)


def test_the_linter_finds_nothing(tmp_path: Path) -> None:
    said = lint(openapi(), tmp_path)
    assert "warning" not in said.lower(), said


def test_a_warning_of_the_linter_is_an_error(tmp_path: Path) -> None:
    document = msgspec.json.decode(msgspec.json.encode(openapi()))
    del document["tags"][0]["description"]
    with pytest.raises(AssertionError, match="tag-description"):
        lint(document, tmp_path)
