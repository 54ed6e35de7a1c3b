"""The OpenAPI operations of the two event streams."""

from typing import Final

import msgspec

from image2model import errors
from image2model.events.documents import ImageEvent
from image2model.events.examples import IMAGE_EVENT, PARTIAL_JOB, RUNNING_JOB, without_images
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
    """The job; `reset` is present and true if history no longer reaches back to the given id."""

    reset: bool = False


class JobsSnapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The unfinished jobs; `reset` is present and true if history does not reach back to the given id."""

    jobs: tuple[JobHead, ...]
    reset: bool = False


_IMAGE: Final = SseEvent(
    name="image",
    description="An image has changed. Every change of status is sent; changes within one status may be "
    "merged for a slow reader.",
    shape=ImageEvent,
    example=IMAGE_EVENT,
)
_SNAPSHOT: Final = JobSnapshot(**{name: getattr(RUNNING_JOB, name) for name in JobDocument.__struct_fields__})
_OPENING: Final = JobsSnapshot(jobs=(without_images(RUNNING_JOB),))
_HEADERS: Final = (
    Header(name="Cache-Control", description="Streams are never cached.", example="no-cache"),
    Header(name="X-Accel-Buffering", description="Keeps proxies from holding events back.", example="no"),
)
_COMMON: Final = (
    "Every event has an `id`. Send the last one as `Last-Event-ID` to receive every later event exactly once "
    "and in order. A comment is sent every 15 s, and `retry` is 2000 ms. A client that does not read is "
    "disconnected after `I2M_SSE_SEND_TIMEOUT`."
)

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/status/stream/{job_id}",
        tag="Events",
        id="streamJob",
        summary="Stream the events of a job",
        description=f"The stream ends after `complete`. A reopened job continues with larger ids. {_COMMON}",
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
                        description="The whole job. Sent first, unless history reaches the given id.",
                        shape=JobSnapshot,
                        example=_SNAPSHOT,
                    ),
                    _IMAGE,
                    SseEvent(
                        name="complete",
                        description="The job has finished; nothing follows.",
                        shape=JobDocument,
                        example=PARTIAL_JOB,
                    ),
                ),
            ),
            Answer(status=204, description="The job has finished and nothing follows the given id."),
        ),
        problems=(errors.NotFound, errors.Expired),
    ),
    Operation(
        method="GET",
        path="/api/v1/events",
        tag="Events",
        id="streamJobs",
        summary="Stream the events of all your jobs",
        description=f"One connection for all jobs; the stream never ends. {_COMMON}",
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
                        description="The unfinished jobs. Sent first, unless history reaches the given id.",
                        shape=JobsSnapshot,
                        example=_OPENING,
                    ),
                    _IMAGE,
                    SseEvent(
                        name="complete",
                        description="A job has finished; its document comes without images.",
                        shape=JobHead,
                        example=without_images(PARTIAL_JOB),
                    ),
                ),
            ),
        ),
    ),
)
