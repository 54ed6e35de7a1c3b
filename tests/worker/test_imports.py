"""What the processes load when they start: memory and time of each replica."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from image2model.cli.process import lean_imports

with lean_imports():
    import {module}
print(sorted({unwanted!r} & sys.modules.keys()))
"""


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        # FAL's are loaded when FAL is called; the others are what libraries import if they are there
        (
            "image2model.api.server",
            {
                *("aiohttp", "fal_client", "arq", "image2model.api.openapi", "multiprocessing"),
                *("rich", "pygments", "watchfiles", "greenlet", "cryptography.hazmat.bindings._rust"),
            },
        ),
        (
            "image2model.worker.process",
            {"starlette", "uvicorn", "rich", "pygments", "greenlet", "cryptography.hazmat.bindings._rust"},
        ),
        ("image2model.cli.commands.up", {"asyncio", "redis"}),
    ],
)
def test_process_loads_no_more_than_it_needs(module: str, unwanted: set[str]) -> None:
    program = PROGRAM.format(module=module, unwanted=unwanted)
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_what_was_left_out_can_be_imported_afterwards() -> None:
    program = """
from image2model.cli.process import lean_imports

with lean_imports():
    import structlog
    import redis.asyncio
import jwt
import rich.console
print(jwt.encode({}, "a key of enough bytes for sha-256", "HS256").count("."), rich.console.Console.__name__)
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["2", "Console"]
