"""Large programs that only long tests need, such as Azurite and Blender. `make setup-long` installs them."""

import sys
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent.parent / "heavy"
_ENVIRONMENT: Final = Path(__file__).parent.parent.parent / ".venv" / "long"


def npm_program(name: str) -> Path:
    """A program of tests/heavy/package.json. Raises AssertionError if it is not installed."""
    return _installed(FOLDER / "node_modules" / ".bin" / name)


def python_program(name: str) -> Path:
    """A program of tests/heavy/requirements.lock, or `python` or `kubectl`. Raises as above."""
    return _installed(_ENVIRONMENT / "bin" / name)


def has_blender() -> bool:
    """Whether there is a `bpy` for this version of Python: each is built for one."""
    return sys.version_info[:2] in ((3, 11), (3, 13))


def _installed(program: Path) -> Path:
    assert program.exists(), f"run `make setup-long` first: {program.name} is not installed"
    return program
