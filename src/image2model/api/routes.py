"""Every route of the API, in one table.

The most frequent route comes first, and a literal segment comes before a parameter in its place. Paths are
written out, because each mount would cost every request a second lookup.
"""

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Scope

from image2model.access import http as access_http
from image2model.access.state import state_of
from image2model.api.state import ApiState
from image2model.catalogue import http as catalogue_http
from image2model.events.http import StreamGate
from image2model.events.http import routes as event_routes
from image2model.events.relay import EventRelay
from image2model.http.documents import API
from image2model.jobs import archive, derive_http, files, status
from image2model.jobs import http as jobs_http
from image2model.operations import health, metrics
from image2model.operations import http as operations_http
from image2model.webhooks import fal_callback
from image2model.webhooks import http as webhooks_http


def routes() -> list[BaseRoute]:
    """The routes of the API and of `/metrics`."""
    return [
        Route(f"{API}/status/{{job_id}}", status.Status(), methods=["GET"]),
        Route(f"{API}/upload/batch", jobs_http.upload_batch, methods=["POST"]),
        Route(f"{API}/download/{{job_id}}", jobs_http.list_files),
        Route(f"{API}/download/{{job_id}}/archive.zip", archive.download_archive),
        Route(f"{API}/download/{{job_id}}/{{image_id}}", jobs_http.download_file),
        Route(f"{API}/files/{{token}}", files.file),
        Route(f"{API}/images/{{job_id}}/{{image_id}}/thumbnail", jobs_http.show_thumbnail),
        Route(f"{API}/jobs", jobs_http.upload_batch, methods=["POST"]),
        Route(f"{API}/jobs", jobs_http.list_jobs),
        Route(f"{API}/jobs/{{job_id}}/cancel", jobs_http.cancel, methods=["POST"]),
        Route(f"{API}/jobs/{{job_id}}/retry", jobs_http.retry, methods=["POST"]),
        Route(
            f"{API}/jobs/{{job_id}}/images/{{image_id}}/confirm",
            jobs_http.confirm,
            methods=["POST"],
        ),
        Route(
            f"{API}/jobs/{{job_id}}/images/{{image_id}}/files/refresh",
            jobs_http.refresh_files,
            methods=["POST"],
        ),
        Route(f"{API}/jobs/{{job_id}}/images/{{image_id}}/derive", derive_http.derive, methods=["POST"]),
        Route(f"{API}/jobs/{{job_id}}", jobs_http.delete, methods=["DELETE"]),
        Route(f"{API}/models", catalogue_http.list_models),
        Route(f"{API}/models/{{model:path}}", catalogue_http.show_model),
        Route(f"{API}/quote", jobs_http.quote_batch, methods=["POST"]),
        Route(f"{API}/jobs/{{job_id}}/webhooks", webhooks_http.list_deliveries),
        Route(
            f"{API}/jobs/{{job_id}}/webhooks/{{delivery_id}}/replay",
            webhooks_http.replay_delivery,
            methods=["POST"],
        ),
        Route(f"{API}/admin/queues/{{name}}/pause", operations_http.pause_queue, methods=["POST"]),
        Route(f"{API}/admin/queues/{{name}}/resume", operations_http.resume_queue, methods=["POST"]),
        Route(f"{API}/admin/workers", operations_http.list_workers),
        Route(f"{API}/admin/jobs", operations_http.list_jobs),
        Route(f"{API}/admin/dead", operations_http.list_dead),
        Route(f"{API}/admin/dead/replay", operations_http.replay_many_dead, methods=["POST"]),
        Route(f"{API}/admin/dead/{{image_id}}/replay", operations_http.replay_dead, methods=["POST"]),
        Route(f"{API}/session", access_http.begin_session, methods=["POST"]),
        Route(f"{API}/session", access_http.show_session, methods=["GET"]),
        Route(f"{API}/session", access_http.end_session, methods=["DELETE"]),
        Route(f"{API}/admin/stats", operations_http.show_stats),
        Route(f"{API}/admin/models/refresh", catalogue_http.refresh, methods=["POST"]),
        Route(f"{API}/admin/keys", access_http.list_keys, methods=["GET"]),
        Route(f"{API}/admin/keys", access_http.create_key, methods=["POST"]),
        Route(f"{API}/admin/keys/{{key_id}}", access_http.revoke_key, methods=["DELETE"]),
        Route(f"{API}/health/live", health.live),
        Route(f"{API}/health/ready", health.ready),
        Route(f"{API}/webhooks/fal", fal_callback.fal_webhook, methods=["POST"]),
        Route("/metrics", metrics.metrics),
        Route(f"{API}/openapi.json", _openapi),
        *event_routes(_relay_of, _gate_of, prefix=API),
    ]


async def _openapi(request: Request) -> Response:
    """200 with the OpenAPI document, or 304."""
    # most processes are never asked for it, and the descriptions of all operations are a megabyte
    from image2model.api.openapi import document

    return await document(request)


def _relay_of(scope: Scope) -> EventRelay:
    return state_of(HTTPConnection(scope), ApiState).relay


def _gate_of(scope: Scope) -> StreamGate:
    return state_of(HTTPConnection(scope), ApiState).gate
