"""The group of all commands: a table of names, each imported only when it is chosen.

A new command is one line in the table and one file in `commands`, which binds its click command to the name
`command`.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import click
from click.shell_completion import CompletionItem

from image2model import __version__

# name: one line of help. The module is `commands.<name>`.
COMMANDS: Final[dict[str, str]] = {
    "up": "Run the whole service on this machine.",
    "api": "Run one API process.",
    "worker": "Run one worker process.",
    "emulator": "Run a FAL emulator on this machine, for trials and tests.",
    "models": "List the models on offer, with prices and parameters.",
    "quote": "Show what a submit would cost, and buy nothing.",
    "submit": "Upload pictures and download their models.",
    "watch": "Make models of all pictures that appear in a folder.",
    "jobs": "List jobs, newest first.",
    "status": "Show a job.",
    "download": "Download the models of a job.",
    "report": "Write a contact sheet of a job.",
    "cancel": "Cancel the unfinished images of a job.",
    "confirm": "Accept or reject the prepared pictures of an image.",
    "derive": "Run a second step on a finished model.",
    "retry": "Run the failed images of a job again.",
    "dead": "List or replay the images that failed for good.",
    "keys": "Make, list and revoke API keys.",
    "backup": "Write jobs, keys and files into one archive.",
    "restore": "Restore a backup into an empty service.",
    "upgrade": "Show which data version the store is written in.",
    "doctor": "Check the settings, Redis, workers, storage and FAL.",
    "completion": "Print the completion script of a shell.",
}


class LazyGroup(click.Group):
    """Lists commands from the table, and imports one only to run it or to show its help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """In the table's order: the commands that people need first come first."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"image2model.cli.commands.{cmd_name}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands from the table, without importing them, and the group's own options."""
        matching = {name: line for name, line in COMMANDS.items() if name.startswith(incomplete)}
        commands = [CompletionItem(name, help=line) for name, line in matching.items()]
        return [*commands, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table itself, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="image2model")
def CLI() -> None:  # noqa: N802 - click's decorator makes it an object
    """Batches of pictures in, 3D models out, through FAL.AI.

    Settings come from the environment (I2M_..., FAL_KEY). Exit codes: 0 done, 1 the work failed,
    2 wrong usage, 130 interrupted.
    """


DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130


def run(arguments: Sequence[str]) -> int:
    """The exit code of `image2model ARGUMENTS`."""
    try:
        outcome = CLI.main(list(arguments), prog_name="image2model", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 - an unexpected one is raised again
        return _report(error)
    return outcome if isinstance(outcome, int) else DONE


def _report(error: Exception) -> int:
    """The exit code of an error that was to be expected, which is printed. Any other one is raised."""
    # not at the top: a quarter of the time of `--help`, which raises none
    from image2model.errors import ConfigurationError, Image2ModelError

    if isinstance(error, ConfigurationError):
        return _print_errors(error.problems, USAGE)
    if isinstance(error, Image2ModelError | OSError):
        return _print_errors([str(error)], FAILED)
    raise error


def _print_errors(lines: Sequence[str], code: int) -> int:
    for line in lines:
        click.echo(f"image2model: {line}", err=True)
    return code
