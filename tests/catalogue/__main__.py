"""`python -m tests.catalogue --draws 10`: every endpoint with each parameter and its views; a table."""

import argparse
import random
import sys

from tests.catalogue.every_parameter import run_every_parameter

_HEADING = (
    "| endpoint | runs | of objects | files | kinds | cost, USD | wrong |\n|---|---|---|---|---|---|---|"
)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a program for people


def main() -> int:
    """0 if nothing was wrong."""
    flags = argparse.ArgumentParser("tests.catalogue", description=__doc__)
    flags.add_argument("--draws", type=int, default=1, help="draws of the enumerations' JSON types")
    flags.add_argument("--seed", type=int, default=random.randrange(1 << 30), help="of the first draw")
    given = flags.parse_args()
    wrong = 0
    for seed in range(given.seed, given.seed + given.draws):
        rows = run_every_parameter(seed)
        _say(f"\ndraw {seed}\n{_HEADING}")
        for row in rows:
            shown = ", ".join(sorted(row.kinds)) or row.needs
            cells = (
                row.model,
                row.runs,
                row.objects,
                row.files,
                shown,
                f"{row.cost_usd:.3f}",
                len(row.wrong),
            )
            _say(f"| {' | '.join(map(str, cells))} |")
        for row in rows:
            for line in row.wrong:
                wrong += 1
                _say(f"WRONG {row.model} {line}")
        _say(f"{sum(row.runs for row in rows)} runs, {wrong} wrong so far")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
