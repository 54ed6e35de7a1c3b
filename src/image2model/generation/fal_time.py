"""How long FAL takes for whole generations, by endpoint: the metric `image2model_fal_generation_seconds`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from image2model.errors import FalRejected, FalTransient, ImageFailure
from image2model.fal.endpoints import Catalogue
from image2model.fal.errors import FalCancelled
from image2model.generation.loading import Task
from image2model.telemetry import metrics

OTHER: Final = "other"
"""The label of endpoints that are not in the catalogue: there may be any number of them."""


class GenerationClock:
    """One request at FAL, from its acceptance to its end, whichever worker sent it. Made when the image is
    loaded."""

    def __init__(self, task: Task) -> None:
        self._model = task.model
        self._began = time.monotonic()
        if sent_at := task.submitted_at or task.posting_at:
            self._began -= (task.loaded_at - sent_at) / 1000
        self._seconds: float | None = None

    def accepted(self) -> None:
        """FAL has just accepted the request."""
        self._began = time.monotonic()

    def ended(self) -> None:
        """FAL has just ended it. Without this call nothing is counted: another worker has seen the end."""
        self._seconds = time.monotonic() - self._began

    @contextmanager
    def counted(self, catalogue: Catalogue) -> Iterator[None]:
        """Count the request once the block, which fetches its result, has shown how it ended. A block that is
        interrupted shows nothing."""
        try:
            yield
        except FalCancelled:
            self._count(catalogue, "cancelled")
            raise
        except (FalRejected, FalTransient):
            self._count(catalogue, "failed")
            raise
        except ImageFailure:  # it has a result, which could not be kept
            self._count(catalogue, "completed")
            raise
        self._count(catalogue, "completed")

    def _count(self, catalogue: Catalogue, outcome: str) -> None:
        if self._seconds is None:
            return
        metrics.FAL_GENERATION.labels(label_of(self._model, catalogue), outcome).observe(self._seconds)


def label_of(model: str, catalogue: Catalogue) -> str:
    """The label of an endpoint: its id where the catalogue has it."""
    return model if model in catalogue.endpoints else OTHER
