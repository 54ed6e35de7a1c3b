"""`image2model emulator`: a FAL emulator on this machine. It takes the emulator's own flags."""

import os
import sys

import click

from image2model.cli.process import raise_open_file_limit


@click.command(
    short_help="Run a FAL emulator on this machine, for trials and tests.",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def command(arguments: tuple[str, ...]) -> None:
    """Replace this process with `python -m fal_emulator ARGUMENTS` (see its `--help`)."""
    raise_open_file_limit()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "fal_emulator", *arguments])  # noqa: S606 - our own program
