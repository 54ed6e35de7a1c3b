"""The state of an API process, built once by its lifespan."""

from dataclasses import dataclass

from image2model.operations.health import HealthState
from image2model.operations.metrics import MetricsState
from image2model.webhooks.fal_callback import CallbackState


@dataclass(frozen=True, kw_only=True)
class ApiState(HealthState, MetricsState, CallbackState):
    """Everything that the handlers of all concepts use. Shared by all requests of one process."""
