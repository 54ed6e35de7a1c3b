"""`image2model …` as a process that runs to its end."""

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from tests.support import forked

Done = subprocess.CompletedProcess[str]


def environment(**more: str) -> dict[str, str]:
    """Ours without settings of the service, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("I2M_", "FAL_"))}
    return {**kept, **more}


def run_command(*arguments: object, folder: Path | None = None, **settings: str) -> Done:
    """Run it in this folder; `settings` by their names, I2M_…"""
    command = ("image2model", *map(str, arguments))
    with TemporaryFile() as out, TemporaryFile() as err:
        process = forked.start(command, environment(**settings), out, err, folder)
        try:
            code = process.wait(60)
        finally:
            process.kill()
        return Done(command, code, _text(out), _text(err))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()
