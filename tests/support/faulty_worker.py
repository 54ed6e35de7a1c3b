"""A worker in which one step fails as a test says: a stand-in for errors that nobody has thought of.

`python -m tests.support.faulty_worker worker`, with `FAULT_STEP` (a name in `STEPS`) and `FAULT_TIMES`: how
often the step fails in this process before it works. The error is an OSError, as Pillow's encoders raise it;
a picture whose bytes hold `SPOILT` fails, others do not, where the step is `prepare`.
"""

import os
from collections.abc import Callable
from typing import Any, Final

from image2model.cli import main
from image2model.service import webhooks
from image2model.worker import deliver, generate, process, submit

SPOILT: Final = b"a picture with a fault"
STEPS: Final[dict[str, tuple[Any, str]]] = {
    "prepare": (submit, "prepare"),
    "submit": (generate, "submit"),
    "follow": (generate, "follow"),
    "collect": (generate, "collect"),
    "announce": (webhooks, "announce"),
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
            raise OSError(f"encoder error -2 in {step}")
        return right(*args, **named)

    return fails


def _spoil(step: str, times: int) -> None:
    module, name = STEPS[step]
    setattr(module, name, _failing(step, getattr(module, name), times))


if __name__ == "__main__":
    _spoil(os.environ["FAULT_STEP"], int(os.environ.get("FAULT_TIMES", "1000000")))
    main()
