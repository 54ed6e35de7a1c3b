"""How a call to FAL went, told to whoever counts: operation, outcome, seconds.

Who calls it: every operation of the gateway. The observer is injected, so this package knows no metrics.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from image2model.errors import (
    FalAccountFault,
    FalAmbiguous,
    FalEndpointFault,
    FalNotAccepted,
    FalRejected,
    FalResultGone,
    FalTransient,
)
from image2model.fal.failures import FalAddressRefused, FalCancelled, FalUnfinished, FalUnreachable

Observer = Callable[[str, str, float], None]

OUTCOMES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (FalNotAccepted, "not_accepted"),
    (FalAmbiguous, "ambiguous"),
    (FalAccountFault, "account_fault"),
    (FalEndpointFault, "endpoint_fault"),
    (FalRejected, "rejected"),
    (FalTransient, "failed"),
    (FalResultGone, "gone"),
    (FalUnreachable, "unreachable"),
    (FalUnfinished, "unfinished"),
    (FalCancelled, "cancelled"),
    (FalAddressRefused, "refused"),
    (asyncio.CancelledError, "abandoned"),
    (GeneratorExit, "ok"),
)
"""Each error class and the `outcome` it counts as; anything else is `error`, and none is `ok`.

A stream is closed by whoever follows it once it has said COMPLETED: that is how it ends well."""


def ignore(_operation: str, _outcome: str, _seconds: float) -> None:
    """The observer of nobody."""


@contextmanager
def observed(observer: Observer, operation: str) -> Iterator[None]:
    """Tell the observer how the block ended and how long it took."""
    started = time.perf_counter()
    outcome = "ok"
    try:
        yield
    except BaseException as error:
        outcome = next((name for kind, name in OUTCOMES if isinstance(error, kind)), "error")
        raise
    finally:
        observer(operation, outcome, time.perf_counter() - started)
