"""Every operation, in the order in which people read them. Who calls it: the document, the pages, a test."""

from typing import Final

from image2model.api.reference import (
    admin_dead,
    admin_fleet,
    admin_keys,
    jobs,
    models,
    operations,
    results,
    sessions,
    streams,
    uploads,
    webhooks,
)
from image2model.api.reference.operation import Operation

OPERATIONS: Final[tuple[Operation, ...]] = (
    *uploads.OPERATIONS,
    *jobs.OPERATIONS,
    *streams.OPERATIONS,
    *results.OPERATIONS,
    *models.OPERATIONS,
    *webhooks.OPERATIONS,
    *sessions.OPERATIONS,
    *admin_fleet.OPERATIONS,
    *admin_keys.OPERATIONS,
    *admin_dead.OPERATIONS,
    *operations.OPERATIONS,
)
