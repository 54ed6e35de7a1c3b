"""What OpenTelemetry's SDK complains of, as one warning a minute of ours.

Who calls it: `otlp`. An endpoint that is away costs the SDK several lines for each batch, and a full queue
one for each span; an operator needs to hear of it, not to drown in it.
"""

import logging
import time
from typing import Final

import structlog

_log = structlog.stdlib.get_logger(__name__)

_EVERY_S: Final = 60.0
_ROOT: Final = "opentelemetry"


class _Complaints(logging.Handler):
    """The first of a minute is told, with the number of those before it that were not."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._quiet_until = 0.0
        self._untold = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Called under the handler's lock, from any thread."""
        now = time.monotonic()
        if now < self._quiet_until:
            self._untold += 1
            return
        _log.warning("traces_not_delivered", reason=record.getMessage(), complaints_before=self._untold)
        self._quiet_until, self._untold = now + _EVERY_S, 0


def hear_complaints() -> None:
    """From now on all loggers of OpenTelemetry end here."""
    library = logging.getLogger(_ROOT)
    library.handlers[:] = [_Complaints()]
    library.propagate = False
