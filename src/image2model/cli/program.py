"""Runs a command and turns its outcome into an exit code.

0 done · 1 the work failed · 2 wrong usage or wrong settings · 130 interrupted. Who calls it: `main`,
and tests. It is the only place where errors become words on standard error.
"""

import os
import sys
from collections.abc import Sequence
from typing import Final

import click

from image2model.cli.group import CLI
from image2model.errors import ConfigurationError, Image2ModelError

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
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except ConfigurationError as error:
        return _say(error.problems, USAGE)
    except (Image2ModelError, OSError) as error:
        return _say([str(error)], FAILED)
    return outcome if isinstance(outcome, int) else DONE


def _say(lines: Sequence[str], code: int) -> int:
    for line in lines:
        click.echo(f"image2model: {line}", err=True)
    return code
