"""The OpenAPI operations of health, metrics, the API reference, and administration."""

from typing import Final

from msgspec.structs import asdict

from image2model import errors
from image2model.domain import ImageStatus
from image2model.events.examples import (
    CREATED,
    ENDED,
    FAILED_IMAGE,
    FAILURE,
    FAL_REQUEST,
    PARTIAL_JOB,
    RUNNING_JOB,
    without_images,
)
from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.http.documents import JobDocument
from image2model.http.reference import (
    CURSOR,
    ETAG,
    IF_NONE_MATCH,
    IMAGE_ID,
    JOB,
    Answer,
    Body,
    Operation,
    Parameter,
    limit,
)
from image2model.http.write_probe import Check
from image2model.jobs.listing import DEFAULT_LIMIT, MAX_LIMIT, OwnedJob, OwnedJobPage
from image2model.jobs.openapi import STATUS
from image2model.operations.dead_letters import (
    DEFAULT_LISTED,
    MAX_LISTED,
    AttemptDocument,
    ChangeDocument,
    DeadDocument,
    DeadPage,
    Replayed,
    ReplayRequest,
)
from image2model.operations.health import Liveness, Readiness
from image2model.operations.http import QueueDocument
from image2model.operations.stats import (
    DEFAULT_DAYS,
    MAX_DAYS,
    EndpointStats,
    FalConcurrencyStats,
    FalDeletions,
    QueueStats,
    Spending,
    Stats,
)
from image2model.queue.fleet import WorkerDocument, WorkerList
from image2model.store.keys import Queue
from image2model.telemetry.metrics import MEDIA_TYPE

_ALL_OK: Final = {
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

SERVICE_OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/health/live",
        tag="Operation",
        id="live",
        summary="Whether the process runs",
        description="Checks only this process.",
        answers=(Answer(status=200, description="The process runs.", shape=Liveness, example=Liveness()),),
        access="open",
    ),
    Operation(
        method="GET",
        path="/api/v1/health/ready",
        tag="Operation",
        id="ready",
        summary="Whether this replica can serve",
        description="A fleet without workers or an outage of FAL is `degraded`, because taking this replica "
        "out of service would help with neither.",
        answers=(
            Answer(
                status=200,
                description="`ready` or `degraded`.",
                shape=Readiness,
                example=Readiness("ready", _ALL_OK, 2),
            ),
            Answer(
                status=503,
                description="`unready`: this replica cannot serve because of the store or the disk.",
                shape=Readiness,
                example=Readiness(
                    "unready",
                    {**_ALL_OK, "redis": Check(False, "the store does not answer: no reply in time")},
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
        description="Needs `I2M_METRICS_TOKEN` as a Bearer token, if that is set. Only then, or if the "
        "service uses no keys, the metrics show what each key has spent today. An address that sends more "
        "than 100 wrong tokens a minute gets 429, also with the right token.",
        answers=(Answer(status=200, description="Text format.", media_type=MEDIA_TYPE, example=_METRICS),),
        access="metrics",
    ),
    Operation(
        method="GET",
        path="/api/v1/openapi.json",
        tag="Operation",
        id="openapi",
        summary="This reference as OpenAPI 3.1",
        description="For client generators and other tools.",
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
        description='For browsers: the page shows the document, and "Try it out" calls this service. It '
        "loads nothing from other hosts. The page itself needs no key, but its document does: without a "
        "session, the page asks the visitor for a key.",
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

_LETTER: Final = DeadDocument(
    image_id=FAILED_IMAGE.image_id,
    job_id=JOB,
    owner="3f9a1c20b7d84e55",
    model=DEFAULT_MODEL,
    failed_at=ENDED,
    error=FAILURE,
    image=FAILED_IMAGE,
    attempts=(AttemptDocument(1, FAL_REQUEST, CREATED, ENDED, ImageStatus.FAILED, FAILURE),),
    history=(
        ChangeDocument(CREATED, ImageStatus.SUBMITTED, 1, FAL_REQUEST, None),
        ChangeDocument(ENDED, ImageStatus.FAILED, 1, FAL_REQUEST, FAILURE),
    ),
)


def _filter(name: str, description: str) -> Parameter:
    return Parameter(name=name, where="query", description=description)


DEAD_LETTER_OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/admin/dead",
        tag="Administration",
        id="listDeadLetters",
        summary="Images that have failed for good",
        description="The images of all owners, newest first, each with its attempts and its history.",
        parameters=(
            _filter("code", "Only images whose error has this code."),
            _filter("model", "Only images of this model."),
            _filter("owner", "Only images of this owner."),
            limit(MAX_LISTED, DEFAULT_LISTED),
            CURSOR,
        ),
        answers=(
            Answer(
                status=200,
                description="One page.",
                shape=DeadPage,
                example=DeadPage(images=(_LETTER,), next_cursor=None),
            ),
        ),
        problems=(errors.InvalidParameter,),
        access="admin",
    ),
    Operation(
        method="POST",
        path="/api/v1/admin/dead/{image_id}/replay",
        tag="Administration",
        id="replayDeadLetter",
        summary="Run one failed image again",
        description="Starts a new attempt, which is paid for.",
        parameters=(IMAGE_ID,),
        answers=(Answer(status=202, description="The image's job.", shape=JobDocument, example=RUNNING_JOB),),
        problems=(errors.NotFound, errors.AlreadyFinished),
        access="admin",
    ),
    Operation(
        method="POST",
        path="/api/v1/admin/dead/replay",
        tag="Administration",
        id="replayDeadLetters",
        summary="Run many failed images again",
        description="Newest first. Each attempt is paid for, so `all` is required to replay everything.",
        body=Body(
            description="Which images, and how many at most.",
            shape=ReplayRequest,
            examples={"one code": ReplayRequest(code="generation_failed", limit=100)},
        ),
        answers=(
            Answer(
                status=202,
                description="How many run again.",
                shape=Replayed,
                example=Replayed(replayed=1, job_ids=(JOB,), more=False),
            ),
        ),
        problems=(errors.InvalidParameter, errors.BodyTooLarge, errors.UploadTooSlow),
        access="admin",
    ),
)

_OWNER: Final = "3f9a1c20b7d84e55"
_QUEUE: Final = Queue.GENERATION.value
_NAME: Final = Parameter(
    name="name",
    where="path",
    description="The queue.",
    example=_QUEUE,
    schema={"type": "string", "enum": [one.value for one in Queue]},
)
_DAYS: Final = Parameter(
    name="days",
    where="query",
    description="For how many days to show the spending.",
    example=DEFAULT_DAYS,
    schema={"type": "integer", "minimum": 1, "maximum": MAX_DAYS, "default": DEFAULT_DAYS},
)
_STATS: Final = Stats(
    images_in_flight=4,
    fal_concurrency=FalConcurrencyStats(
        limit=3, running=3, waiting=1, source="learned", endpoints={"fal-ai/trellis": 1}, since=CREATED
    ),
    workers=1,
    queues=(QueueStats(name=_QUEUE, waiting=12, oldest_seconds=3.2, paused=()),),
    endpoints=(
        EndpointStats(
            model="fal-ai/trellis",
            why="refused",
            message="This account has no access to fal-ai/trellis.",
            since=CREATED,
            next_probe_at=ENDED,
            waiting=3,
        ),
    ),
    fal_privacy="private",
    fal_deletions=FalDeletions(
        kept=4,
        pending=1,
        done=812,
        failing=1,
        refused=None,
        last_error="1 of 3 files are left: the storage did not answer",
        last_error_at=ENDED,
    ),
    total_cost_usd=7.5,
    spending=(Spending(day="2026-11-24", owner=_OWNER, keys=("shop",), model=DEFAULT_MODEL, cost_usd=7.5),),
)
_WORKER: Final = WorkerDocument(
    worker_id="worker-1-7f3a",
    host="worker-1",
    pid=7,
    queues=tuple(one.value for one in Queue),
    running=4,
    slots=100,
    started_at=CREATED,
    last_beat_at=ENDED,
)
_JOB: Final = OwnedJob(owner=_OWNER, **asdict(without_images(PARTIAL_JOB)))


def _change(verb: str, summary: str, description: str, *, paused: bool) -> Operation:
    return Operation(
        method="POST",
        path=f"/api/v1/admin/queues/{{name}}/{verb}",
        tag="Administration",
        id=f"{verb}Queue",
        summary=summary,
        description=description,
        parameters=(_NAME,),
        answers=(
            Answer(
                status=200,
                description="The queue as it is now; `changed` is false if it was in this state already.",
                shape=QueueDocument,
                example=QueueDocument(_QUEUE, paused, changed=True),
            ),
        ),
        problems=(errors.NotFound,),
        access="admin",
    )


FLEET_OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/admin/stats",
        tag="Administration",
        id="getStats",
        summary="Spending, queues and workers in numbers",
        description="Spending by day (UTC), owner and model, newest day first. `endpoints` are FAL's "
        "endpoints that refuse or fail at the moment: their pictures wait, all others go on. "
        "`fal_deletions` counts what is to be deleted at FAL under `I2M_FAL_PRIVACY=private`.",
        parameters=(_DAYS,),
        answers=(Answer(status=200, description="The numbers.", shape=Stats, example=_STATS),),
        problems=(errors.InvalidParameter,),
        access="admin",
    ),
    Operation(
        method="GET",
        path="/api/v1/admin/jobs",
        tag="Administration",
        id="listAllJobs",
        summary="List the jobs of all owners",
        description="Like `GET /api/v1/jobs`, newest first, with the owner of each job.",
        parameters=(STATUS, limit(MAX_LIMIT, DEFAULT_LIMIT), CURSOR),
        answers=(
            Answer(
                status=200,
                description="One page, without images.",
                shape=OwnedJobPage,
                example=OwnedJobPage(jobs=(_JOB,), next_cursor=None),
            ),
        ),
        problems=(errors.InvalidParameter,),
        access="admin",
    ),
    Operation(
        method="GET",
        path="/api/v1/admin/workers",
        tag="Administration",
        id="listWorkers",
        summary="List the running workers",
        description="The workers with a recent heartbeat, the longest-running first.",
        answers=(
            Answer(
                status=200,
                description="The workers.",
                shape=WorkerList,
                example=WorkerList(workers=(_WORKER,)),
            ),
        ),
        access="admin",
    ),
    _change(
        "pause",
        "Pause a queue",
        "Waiting tasks keep waiting, running tasks go on. Other reasons of a pause are not changed.",
        paused=True,
    ),
    _change(
        "resume",
        "End an operator's pause",
        "Pauses because of the account or FAL end by themselves.",
        paused=False,
    ),
)
