"""`python -m tests.bodies [WORDS]`: each client sends to the running service; a table says what came of it.

With words, only clients whose names have one of them. It ends with 1 where a body was not read as meant.
"""

import sys

from tests.bodies.table import CLIENTS, row
from tests.bodies.world import running


def main(words: list[str]) -> int:
    """Print the table. Returns the exit code."""
    chosen = [one for one in CLIENTS.values() if not words or any(word in one.name for word in words)]
    counts = {"real": 0, "shape": 0, "wrong": 0}
    sys.stdout.write(
        "| client | version, or where the shape was read | kind | sent | last file part | result |\n"
    )
    sys.stdout.write("|---|---|---|---|---|---|\n")
    with running() as world:
        for client in chosen:
            cells = row(world, client)
            counts["wrong" if cells[-1].startswith("WRONG") else client.kind] += 1
            sys.stdout.write(f"| {' | '.join(cells)} |\n")
            sys.stdout.flush()
    sys.stdout.write(f"\n{counts['real']} real, {counts['shape']} shapes, {counts['wrong']} wrong\n")
    return bool(counts["wrong"])


sys.exit(main(sys.argv[1:]))
