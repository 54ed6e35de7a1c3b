"""What is told of each call to FAL: two metrics, and a span where an image's run is traced.

Who calls it: the gateway, as its observer. The span is made when the call has ended, so FAL's requests carry
nothing of ours.
"""

from typing import Final

from image2model.telemetry import metrics, tracing

_NO_FAULT: Final = frozenset({"ok", "abandoned", "cancelled", "unfinished"})


def observe(operation: str, outcome: str, seconds: float) -> None:
    """See `fal.observer.Observer`."""
    metrics.FAL_REQUESTS.labels(operation, outcome).inc()
    metrics.FAL_LATENCY.labels(operation).observe(seconds)
    tracing.record(
        f"fal.{operation}",
        seconds,
        kind=tracing.Kind.CLIENT,
        attributes={"peer.service": "fal", tracing.OUTCOME: outcome},
        error_type=None if outcome in _NO_FAULT else outcome,
    )
