"""`python -m fal_emulator` is the command line, imported without what it never uses."""

import gc
import sys
from types import SimpleNamespace


def run() -> int:
    """The exit code of `python -m fal_emulator`."""
    # what uvicorn would restart programs with: `multiprocessing`, and `watchfiles` if it is there
    supervisors = SimpleNamespace(ChangeReload=None, Multiprocess=None)
    sys.modules["uvicorn.supervisors"] = supervisors  # type: ignore[assignment]
    gc.disable()  # nothing that imports make is garbage, and looking for it takes a tenth of their time
    from fal_emulator.program import main

    gc.enable()
    return main()


if __name__ == "__main__":
    sys.exit(run())
