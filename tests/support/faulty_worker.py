"""A worker in which one step fails as a test says: a stand-in for what nobody has thought of.

`python -m tests.support.faulty_worker worker`, with `FAULT_STEP` (a name in `STEPS`) and `FAULT_TIMES`: how
often the step fails in this process before it works. It raises an OSError, as Pillow's encoders do; with
`FAULT_KIND` `kill` it ends its process instead, with `hang` it has no end. `FAULT_LONGEST`: seconds after
which a decoding counts as hung. Where the step is `prepare`, a picture whose bytes hold `SPOILT` fails and
others do not; that holds in the process of suspects too, which is this module without arguments.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from image2model.cli import main
from image2model.decoding import child
from image2model.decoding.process import LONGEST_S, DecoderProcess
from image2model.generation import context, generate
from image2model.generation.suspects import Hazard
from image2model.media import preflight
from image2model.webhooks import deliver, deliveries
from image2model.worker import process

SPOILT: Final = b"a picture with a fault"
STEPS: Final[dict[str, tuple[Any, str]]] = {
    "prepare": (preflight, "read_source"),
    "submit": (generate, "submit"),
    "follow": (generate, "follow"),
    "collect": (generate, "collect"),
    "announce": (deliveries, "announce"),
    "deliver": (deliver, "_deliver"),
    "probe": (process, "probe_forever"),
}


def _failing(step: str, right: Callable[..., Any], times: int) -> Callable[..., Any]:
    left = times

    def fails(*args: Any, **named: Any) -> Any:
        nonlocal left
        concerned = SPOILT in args[0] if step == "prepare" else not named.get("failed")
        if left and concerned:
            left -= 1
            _fail(step)
        return right(*args, **named)

    return fails


def _fail(step: str) -> None:
    kind = os.environ.get("FAULT_KIND")
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        time.sleep(3600)
    raise OSError(f"encoder error -2 in {step}")


def _spoil(step: str, times: int) -> None:
    module, name = STEPS[step]
    replace(module, name, _failing(step, getattr(module, name), times))


def replace(module: Any, name: str, stand_in: Callable[..., Any]) -> None:
    """Replace what a module calls by this name. Raises AttributeError if it calls nothing by it."""
    if name not in vars(module):
        raise AttributeError(f"{module.__name__} has no {name}: a stand-in for it would never be called")
    setattr(module, name, stand_in)


if __name__ == "__main__":
    _spoil(os.environ["FAULT_STEP"], int(os.environ.get("FAULT_TIMES", "1000000")))
    if sys.argv[1:]:
        longest_s = float(os.environ.get("FAULT_LONGEST", LONGEST_S))
        decoder = partial(DecoderProcess, "tests.support.faulty_worker", longest_s=longest_s)
        replace(context, "DecoderProcess", decoder)
        replace(context, "Hazard", partial(Hazard, longest_s=longest_s))
        main()
    else:
        child.main()
