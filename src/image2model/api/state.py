"""What an API process has while it runs, made once by its lifespan."""

from dataclasses import dataclass

from image2model.events import EventRelay
from image2model.operations.health import HealthState
from image2model.webhooks.fal_callback import CallbackState


@dataclass(frozen=True, kw_only=True)
class ApiState(HealthState, CallbackState):
    """Shared by all requests of one process: all that the handlers of each concept use."""

    relay: EventRelay
