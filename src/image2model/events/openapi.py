"""The two event streams. Who calls it: the table."""

from typing import Final

import msgspec

from image2model import errors
from image2model.events.documents import ImageEvent
from image2model.events.examples import IMAGE_EVENT, PARTIAL_JOB, RUNNING_JOB, head
from image2model.http.documents import JobDocument, JobHead
from image2model.http.reference import (
    JOB_ID,
    LAST_EVENT_ID,
    LAST_EVENT_ID_QUERY,
    Answer,
    Header,
    Operation,
    SseEvent,
)


class JobSnapshot(JobDocument, frozen=True, kw_only=True, omit_defaults=True):
    """The job; `reset` is there, and true, where history no longer reaches back to the given id."""

    reset: bool = False


class JobsSnapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The unfinished jobs; `reset` is there, and true, where an id was given that history does not reach."""

    jobs: tuple[JobHead, ...]
    reset: bool = False


_IMAGE: Final = SseEvent(
    name="image",
    description="One image has changed. Every change of status is told; changes within one status may be "
    "merged for a slow reader.",
    shape=ImageEvent,
    example=IMAGE_EVENT,
)
_SNAPSHOT: Final = JobSnapshot(**{name: getattr(RUNNING_JOB, name) for name in JobDocument.__struct_fields__})
_OPENING: Final = JobsSnapshot(jobs=(head(RUNNING_JOB),))
_HEADERS: Final = (
    Header(name="Cache-Control", description="Streams are never cached.", example="no-cache"),
    Header(name="X-Accel-Buffering", description="Keeps proxies from holding events back.", example="no"),
)
_COMMON: Final = (
    "Every event has an `id`; with the last one in `Last-Event-ID` every later event follows exactly once, "
    "in order. A comment comes every 15 s, and `retry` is 2000 ms. A client that does not read is cut off "
    "after `I2M_SSE_SEND_TIMEOUT`."
)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/status/stream/{job_id}",
        tag="Events",
        id="streamJob",
        summary="The events of one job",
        description=f"Ends after `complete`; a job that is reopened goes on with larger ids. {_COMMON}",
        parameters=(JOB_ID, LAST_EVENT_ID, LAST_EVENT_ID_QUERY),
        answers=(
            Answer(
                status=200,
                description="Server-sent events.",
                media_type="text/event-stream",
                headers=_HEADERS,
                events=(
                    SseEvent(
                        name="snapshot",
                        description="The whole job: first, unless an id was given that history reaches.",
                        shape=JobSnapshot,
                        example=_SNAPSHOT,
                    ),
                    _IMAGE,
                    SseEvent(
                        name="complete",
                        description="The job has ended; nothing follows.",
                        shape=JobDocument,
                        example=PARTIAL_JOB,
                    ),
                ),
            ),
            Answer(status=204, description="The job has ended and nothing follows the given id."),
        ),
        problems=(errors.NotFound, errors.Expired),
    ),
    Operation(
        method="GET",
        path="/api/v1/events",
        tag="Events",
        id="streamJobs",
        summary="The events of all the caller's jobs",
        description=f"One connection for everything; it never ends. {_COMMON}",
        parameters=(LAST_EVENT_ID, LAST_EVENT_ID_QUERY),
        answers=(
            Answer(
                status=200,
                description="Server-sent events.",
                media_type="text/event-stream",
                headers=_HEADERS,
                events=(
                    SseEvent(
                        name="snapshot",
                        description="The unfinished jobs: first, unless history reaches a given id.",
                        shape=JobsSnapshot,
                        example=_OPENING,
                    ),
                    _IMAGE,
                    SseEvent(
                        name="complete",
                        description="One job has ended; without its images.",
                        shape=JobHead,
                        example=head(PARTIAL_JOB),
                    ),
                ),
            ),
        ),
    ),
)
