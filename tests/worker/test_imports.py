"""What the processes load when they start: memory and time of each replica."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import {module}
print(sorted({unwanted!r} & sys.modules.keys()))
"""


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("image2model.api.app", {"aiohttp", "fal_client"}),  # loaded when FAL is called
        ("image2model.worker.process", {"starlette", "uvicorn"}),
        ("image2model.cli.commands.up", {"asyncio", "redis"}),
    ],
)
def test_process_loads_no_more_than_it_needs(module: str, unwanted: set[str]) -> None:
    program = PROGRAM.format(module=module, unwanted=unwanted)
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
