"""A real Blender in the background: `bpy` from PyPI, in a process of its own that a test sends code to."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.support.heavy import python_program

ROOT: Final = Path(__file__).parent.parent.parent
ADDON: Final = ROOT / "src" / "blender" / "image2model_addon.py"
_DRIVER: Final = ROOT / "tests" / "blender" / "driver.py"
_MARK: Final = "\x01"  # Blender itself writes to standard output


class BlenderError(Exception):
    """What the code raised in Blender."""


class Blender:
    """One process. Its preferences, scripts and downloads are in `folder`."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        addons = folder / "scripts" / "addons"
        addons.mkdir(parents=True)
        (addons / ADDON.name).write_bytes(ADDON.read_bytes())
        (folder / "config").mkdir()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("I2M_", "FAL_"))}
        errors = (folder / "stderr").open("w")
        self._process = subprocess.Popen(
            [python_program("python"), _DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
            env={
                **kept,
                "HOME": str(folder),
                "BLENDER_USER_RESOURCES": str(folder),
                "PYTHONDONTWRITEBYTECODE": "1",
                **environment,
            },
        )
        errors.close()

    def run(self, code: str) -> Any:
        """What the code leaves in `result`. Raises BlenderError with what it raised."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"code": code}) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith(_MARK):
                answer = json.loads(line[1:])
                if answer["error"] is not None:
                    raise BlenderError(answer["error"])
                return answer["value"]
        raise AssertionError(f"Blender ended: {(self.folder / 'stderr').read_text()[-2000:]}")

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
