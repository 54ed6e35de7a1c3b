"""Copies a saved model to one more place, whole or not at all.

Who calls it: the plan and the saver, for a picture with several names.
"""

import secrets
import shutil
from pathlib import Path

from image2model.cli.submit.collect import LEDGER_FOLDER


def copy_model(out: Path, model: str, file: str) -> None:
    """From `out/model` to `out/file`. Blocks. Raises OSError."""
    target = out / file
    target.parent.mkdir(parents=True, exist_ok=True)
    part = out / LEDGER_FOLDER / "parts" / f"{secrets.token_hex(8)}.copy"  # two copies may have one name
    shutil.copyfile(out / model, part)
    part.replace(target)
