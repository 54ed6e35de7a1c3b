"""`image2model …` as a process that runs to its end."""

import os
import subprocess
import sys
from pathlib import Path

Done = subprocess.CompletedProcess[str]


def environment(**more: str) -> dict[str, str]:
    """Ours without settings of the service, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("I2M_", "FAL_"))}
    return {**kept, **more}


def run_command(*arguments: object, folder: Path | None = None, **settings: str) -> Done:
    """Run it in this folder; `settings` by their names, I2M_…"""
    return subprocess.run(
        [sys.executable, "-m", "image2model", *map(str, arguments)],
        cwd=folder,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
