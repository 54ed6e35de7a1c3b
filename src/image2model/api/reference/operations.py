"""For who runs the service: health, metrics, and this reference itself. Who calls it: the table."""

from typing import Final

from image2model.api.check import Check
from image2model.api.health import Liveness, Readiness
from image2model.api.reference.operation import Answer, Operation
from image2model.api.reference.shared import ETAG, IF_NONE_MATCH
from image2model.telemetry.exposition import MEDIA_TYPE

_WELL: Final = {
    "redis": Check(True, "the store answers"),
    "disk_space": Check(True, "51200 MiB free"),
    "fal_api": Check(True, "FAL answers"),
    "workers": Check(True, "2 running"),
}
_METRICS: Final = (
    "# HELP image2model_images_total Images that reached a final status.\n"
    "# TYPE image2model_images_total counter\n"
    'image2model_images_total{model="tripo3d/tripo/v2.5/image-to-3d",status="succeeded"} 25.0\n'
)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/health/live",
        tag="Operation",
        id="live",
        summary="Whether the process runs",
        description="Asks nobody else.",
        answers=(Answer(status=200, description="It does.", shape=Liveness, example=Liveness()),),
        access="open",
    ),
    Operation(
        method="GET",
        path="/api/v1/health/ready",
        tag="Operation",
        id="ready",
        summary="Whether this replica can serve",
        description="A fleet without workers, or a FAL that is away, is `degraded`: taking this replica out "
        "of service would mend neither.",
        answers=(
            Answer(
                status=200,
                description="`ready` or `degraded`.",
                shape=Readiness,
                example=Readiness("ready", _WELL),
            ),
            Answer(
                status=503,
                description="`unready`: the store or the disk keeps this replica from serving.",
                shape=Readiness,
                example=Readiness(
                    "unready", {**_WELL, "redis": Check(False, "the store does not answer: no reply in time")}
                ),
            ),
        ),
        access="open",
    ),
    Operation(
        method="GET",
        path="/metrics",
        tag="Operation",
        id="metrics",
        summary="Metrics for Prometheus",
        description="Asks for `I2M_METRICS_TOKEN` as a Bearer token where that is set; only then, "
        "or where no keys are used, it tells what each key, by its name, has spent today. Guesses are "
        "limited: above 100 a minute an address gets 429, also with the right token.",
        answers=(Answer(status=200, description="Text format.", media_type=MEDIA_TYPE, example=_METRICS),),
        access="metrics",
    ),
    Operation(
        method="GET",
        path="/api/v1/openapi.json",
        tag="Operation",
        id="openapi",
        summary="This reference as OpenAPI 3.1",
        description="For generators of clients, and tools.",
        parameters=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200,
                description="The document.",
                media_type="application/json",
                headers=(ETAG,),
            ),
            Answer(status=304, description="The client has it already.", headers=(ETAG,)),
        ),
    ),
    Operation(
        method="GET",
        path="/api/v1/docs",
        tag="Operation",
        id="docs",
        summary="This reference as a page",
        description='For browsers: it shows the document, and its "Try it out" calls this service. It loads '
        "nothing from other hosts. The page itself asks for no key, the document that it shows does; it asks "
        "the visitor for one where no session is signed in.",
        access="open",
        parameters=(IF_NONE_MATCH,),
        answers=(
            Answer(
                status=200, description="The page.", media_type="text/html; charset=utf-8", headers=(ETAG,)
            ),
            Answer(status=304, description="The client has it already.", headers=(ETAG,)),
        ),
    ),
)
