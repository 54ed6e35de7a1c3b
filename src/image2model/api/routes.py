"""Every address of the interface, in one table. Who calls it: the application.

The most asked comes first, and a literal segment before a parameter in its place. Paths are written out,
because each mount would cost every request a second look-up.
"""

from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from image2model.api import (
    admin_dead,
    admin_fleet,
    admin_keys,
    admin_queues,
    admin_stats,
    archive,
    downloads,
    events,
    fal_callbacks,
    files,
    health,
    jobs,
    metrics,
    models,
    openapi,
    quotes,
    sessions,
    status,
    thumbnails,
    uploads,
    webhooks,
)
from image2model.api.access_state import state_of
from image2model.api.state import ApiState
from image2model.service.documents import API


def routes() -> list[BaseRoute]:
    """The routes of the interface."""
    return [
        Route(f"{API}/status/{{job_id}}", status.Status(), methods=["GET"]),
        Route(f"{API}/upload/batch", uploads.upload_batch, methods=["POST"]),
        Route(f"{API}/download/{{job_id}}", downloads.listing),
        Route(f"{API}/download/{{job_id}}/archive.zip", archive.download),
        Route(f"{API}/download/{{job_id}}/{{image_id}}", downloads.download),
        Route(f"{API}/files/{{token}}", files.file),
        Route(f"{API}/images/{{job_id}}/{{image_id}}/thumbnail", thumbnails.show),
        Route(f"{API}/jobs", jobs.listing),
        Route(f"{API}/jobs/{{job_id}}/cancel", jobs.cancel, methods=["POST"]),
        Route(f"{API}/jobs/{{job_id}}/retry", jobs.retry, methods=["POST"]),
        Route(
            f"{API}/jobs/{{job_id}}/images/{{image_id}}/files/refresh", jobs.refresh_files, methods=["POST"]
        ),
        Route(f"{API}/jobs/{{job_id}}", jobs.delete, methods=["DELETE"]),
        Route(f"{API}/models", models.listing),
        Route(f"{API}/quote", quotes.quote_batch, methods=["POST"]),
        Route(f"{API}/jobs/{{job_id}}/webhooks", webhooks.listing),
        Route(f"{API}/jobs/{{job_id}}/webhooks/{{delivery_id}}/replay", webhooks.replay, methods=["POST"]),
        Route(f"{API}/admin/queues/{{name}}/pause", admin_queues.pause_queue, methods=["POST"]),
        Route(f"{API}/admin/queues/{{name}}/resume", admin_queues.resume_queue, methods=["POST"]),
        Route(f"{API}/admin/workers", admin_fleet.list_workers),
        Route(f"{API}/admin/jobs", admin_fleet.list_jobs),
        Route(f"{API}/admin/dead", admin_dead.listing),
        Route(f"{API}/admin/dead/replay", admin_dead.replay_many, methods=["POST"]),
        Route(f"{API}/admin/dead/{{image_id}}/replay", admin_dead.replay, methods=["POST"]),
        Route(f"{API}/session", sessions.begin, methods=["POST"]),
        Route(f"{API}/session", sessions.show, methods=["GET"]),
        Route(f"{API}/session", sessions.end, methods=["DELETE"]),
        Route(f"{API}/admin/stats", admin_stats.show),
        Route(f"{API}/admin/keys", admin_keys.listing, methods=["GET"]),
        Route(f"{API}/admin/keys", admin_keys.create, methods=["POST"]),
        Route(f"{API}/admin/keys/{{key_id}}", admin_keys.revoke, methods=["DELETE"]),
        Route(f"{API}/health/live", health.live),
        Route(f"{API}/health/ready", health.ready),
        Route(f"{API}/webhooks/fal", fal_callbacks.fal_webhook, methods=["POST"]),
        Route("/metrics", metrics.metrics),
        Route(f"{API}/openapi.json", openapi.document),
        *events.routes(_relay_of, _gate_of, prefix=API),
    ]


def _relay_of(scope: Scope) -> events.EventRelay:
    return state_of(HTTPConnection(scope), ApiState).relay


def _gate_of(scope: Scope) -> events.StreamGate:
    return state_of(HTTPConnection(scope), ApiState).gate
