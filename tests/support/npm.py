"""Runs the scripts of tests/npm with Node. `make setup-test` installs what they need."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec

FOLDER = Path(__file__).parent.parent / "npm"


async def run_script(name: str, *arguments: str | Path) -> Any:
    """The JSON that the script prints. Raises AssertionError with its stderr when it fails."""
    assert (FOLDER / "node_modules").is_dir(), "run `make setup-test` first: tests/npm is not installed"
    process = await asyncio.create_subprocess_exec(
        "node",
        FOLDER / name,
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, err.decode()
    return msgspec.json.decode(out)
