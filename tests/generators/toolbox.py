"""The installed generators and compilers: where they are, which version, and how a command runs with them.

`make setup-test` installs them into tools/generators. None of them may report to its maker or look for an
update, so what they know as a switch for that is off.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Final

from tests.support import command

TOOLS: Final = Path(__file__).parents[2] / "tools/generators"
MODULES: Final = TOOLS / "node_modules"
JAR: Final = "openapi_generator_cli/openapi-generator.jar"
SECONDS: Final = 300
"""A command takes a few seconds, and many times that on a machine that is busy with other tests."""
_QUIET: Final = {
    "CI": "true",
    "DO_NOT_TRACK": "1",
    "GOPROXY": "off",
    "JAVA_TOOL_OPTIONS": "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",  # a short run: half the CPU time
    "GOTELEMETRY": "off",
    "GOTOOLCHAIN": "local",
    "NO_COLOR": "1",
    "NO_UPDATE_NOTIFIER": "1",
    "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
    "REDOCLY_TELEMETRY": "off",
}
_PINNED: Final = re.compile(r"^([\w-]+)==(\S+)", re.MULTILINE)


def run(script: str, folder: Path, **environment: str) -> str:
    """What a bash script printed. Raises AssertionError with all that it said where it fails."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=command.environment(PATH=_path(), HOME=str(folder), **_QUIET, **environment),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def version(package: str) -> str:
    """The version of a package of npm or PyPI that is pinned for the generators."""
    pinned = dict(_PINNED.findall((TOOLS / "requirements.txt").read_text()))
    if package in pinned:
        return str(pinned[package])
    found: str = json.loads((MODULES / package / "package.json").read_bytes())["version"]
    return found


def jar() -> Path:
    """openapi-generator's Java program."""
    (found,) = TOOLS.glob(f".venv/lib/python*/site-packages/{JAR}")
    return found


def _path() -> str:
    """The generators before all else: one of them brings the Node that they need."""
    assert (TOOLS / ".venv/.locked").exists(), (
        "run `make setup-test` first: tools/generators is not installed"
    )
    return os.pathsep.join([str(TOOLS / ".venv/bin"), str(MODULES / ".bin"), os.environ["PATH"]])
