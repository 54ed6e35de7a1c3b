"""The command line: `image2model`, and the same as `python -m image2model`.

Nothing is imported before a command is chosen, so that `--help` answers at once. A client command speaks HTTP
only; only operators' commands open the store or the storage.
"""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command named by the process's arguments, then exit."""
    from image2model.cli.program import run

    sys.exit(run(sys.argv[1:]))
