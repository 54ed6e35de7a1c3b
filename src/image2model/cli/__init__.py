"""The command line: `image2model`, and the same as `python -m image2model`.

Who calls it: people, scripts, and `up`, which starts its API and workers through it. Nothing is imported
before a command is chosen, so that `--help` answers at once; a client command speaks HTTP only.
"""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command named by the process's arguments, then exit."""
    from image2model.cli.program import run

    sys.exit(run(sys.argv[1:]))
