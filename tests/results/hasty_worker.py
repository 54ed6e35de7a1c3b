"""The worker as it is, with less patience: what takes half an hour or half a minute takes seconds here.

Run by the table of altered results as `python -m tests.results.hasty_worker worker`.
"""

import sys
from typing import cast

from image2model.fal.gateway import FalGateway
from image2model.generation import context
from image2model.generation.limits import FilePatience
from tests.support.faulty_worker import replace

MODEL_S, SILENCE_S, READ_S = 15.0, 10.0, 5.0
"""How long an unreachable model is tried, a side file may bring no byte, and any file may keep silent."""


def _hasty(grace: float) -> FilePatience:
    return FilePatience(grace=grace, model=MODEL_S, silence=SILENCE_S, longest_pause=0.5)


def main() -> int:
    """What `python -m image2model` does."""
    replace(context, "FilePatience", _hasty)
    defaults = cast("dict[str, object]", FalGateway.__init__.__kwdefaults__)
    defaults["read_deadline"] = READ_S
    from image2model.cli.program import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
