"""`image2model emulator`: FAL on this machine. The flags are the emulator's own."""

import os
import sys

import click

from image2model.cli.open_files import allow_many


@click.command(
    short_help="Run FAL on this machine, for trials and tests.",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Replace this process with `python -m fal_emulator ARGUMENTS` (see its `--help`)."""
    allow_many()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "fal_emulator", *arguments])  # noqa: S606 - our own program
