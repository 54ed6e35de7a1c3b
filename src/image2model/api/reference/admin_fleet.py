"""The fleet, for the role `admin`: jobs of all, workers, queues, spending. Who calls it: the table."""

from typing import Final

from msgspec.structs import asdict

from image2model import errors
from image2model.api.admin_queues import QueueDocument
from image2model.api.reference.examples import CREATED, ENDED, PARTIAL_JOB, head
from image2model.api.reference.jobs import STATUS
from image2model.api.reference.operation import Answer, Operation, Parameter
from image2model.api.reference.shared import CURSOR, limit
from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.service.job_list import DEFAULT_LIMIT, MOST, OwnedJob, OwnedJobPage
from image2model.service.stats import DEFAULT_DAYS, MOST_DAYS, EndpointStats, QueueStats, Spending, Stats
from image2model.service.workers import WorkerDocument, WorkerList
from image2model.store.keys import Queue

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
    description="How far back the spending goes.",
    example=DEFAULT_DAYS,
    schema={"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": DEFAULT_DAYS},
)
_STATS: Final = Stats(
    images_in_flight=4,
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
_JOB: Final = OwnedJob(owner=_OWNER, **asdict(head(PARTIAL_JOB)))


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
                description="The queue as it is now; `changed` is false where it was so already.",
                shape=QueueDocument,
                example=QueueDocument(_QUEUE, paused, changed=True),
            ),
        ),
        problems=(errors.NotFound,),
        access="admin",
    )


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/admin/stats",
        tag="Administration",
        id="getStats",
        summary="Spending, queues and workers in numbers",
        description="Spending by day (UTC), owner and model, the newest day first. `endpoints` are those "
        "of FAL's that are refused or fail just now: their pictures wait, all others go on.",
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
        summary="Everybody's jobs, newest first",
        description="As `GET /api/v1/jobs`, with the owner of each.",
        parameters=(STATUS, limit(MOST, DEFAULT_LIMIT), CURSOR),
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
        summary="The workers that have shown life lately",
        description="The longest-running first.",
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
        "What waits in it waits on, what runs goes on. Other reasons to pause are not touched.",
        paused=True,
    ),
    _change(
        "resume",
        "End an operator's pause",
        "Pauses for the account's or FAL's sake end by themselves.",
        paused=False,
    ),
)
