"""Client generators take the OpenAPI document, and what they make works, by the commands of the page."""

import tempfile
from pathlib import Path

import pytest

from tests.generators.attempt import attempt, tools
from tests.support.up_process import Running

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

NOT_COMPILED = {"openapi-generator: csharp"}
COMPILED_ONLY = {"openapi-generator: go", "openapi-generator: java"}


@pytest.mark.parametrize("tool", tools())
def test_the_client_of(tool: str, running: Running) -> None:
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        found = attempt(tool, running.url, Path(folder))
    assert found.made
    assert found.compiled == (tool not in NOT_COMPILED), found.note
    assert found.ran == (tool not in NOT_COMPILED | COMPILED_ONLY)
