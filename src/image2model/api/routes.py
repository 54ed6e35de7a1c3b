"""Every address of the interface, in one table. Who calls it: the application.

The most asked comes first, and a literal segment before a parameter in its place. Paths are written out,
because each mount would cost every request a second look-up.
"""

from starlette.routing import BaseRoute, Route

from image2model.api import downloads, files, health, jobs, metrics, status, uploads
from image2model.service.documents import API


def routes() -> list[BaseRoute]:
    """The routes that this package answers; others are added by the application."""
    return [
        Route(f"{API}/status/{{job_id}}", status.status),
        Route(f"{API}/upload/batch", uploads.upload_batch, methods=["POST"]),
        Route(f"{API}/download/{{job_id}}", downloads.listing),
        Route(f"{API}/download/{{job_id}}/{{image_id}}", downloads.download),
        Route(f"{API}/files/{{token}}", files.file),
        Route(f"{API}/jobs/{{job_id}}/cancel", jobs.cancel, methods=["POST"]),
        Route(f"{API}/jobs/{{job_id}}/retry", jobs.retry, methods=["POST"]),
        Route(f"{API}/jobs/{{job_id}}", jobs.delete, methods=["DELETE"]),
        Route(f"{API}/health/live", health.live),
        Route(f"{API}/health/ready", health.ready),
        Route("/metrics", metrics.metrics),
    ]
