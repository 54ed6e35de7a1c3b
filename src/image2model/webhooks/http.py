"""`/jobs/{job_id}/webhooks`: the delivery log, and the replay of a delivery."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model import errors
from image2model.access import lookup
from image2model.access.state import AccessState, state_of
from image2model.events.examples import ENDED
from image2model.http.bodies import json_response
from image2model.http.documents import Moment, moment
from image2model.http.reference import JOB, JOB_ID, Answer, Body, Operation, Parameter
from image2model.webhooks import deliveries
from image2model.webhooks.deliveries import EVENT, Delivery, DeliveryState


class DeliveryAttempt(msgspec.Struct, frozen=True):
    """One call. `status` is null if there was no response, `error` if the receiver accepted it."""

    at: Moment
    status: int | None
    duration_ms: int
    error: str | None


class DeliveryDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery. `delivery_id` is also the `webhook-id` that the receiver gets."""

    delivery_id: str
    event: str
    url: str
    state: DeliveryState
    attempts: tuple[DeliveryAttempt, ...]
    next_at: Moment | None
    created_at: Moment


class DeliveryList(msgspec.Struct, frozen=True):
    """All deliveries of a job, the newest first."""

    deliveries: tuple[DeliveryDocument, ...]


async def list_deliveries(request: Request) -> Response:
    """200: every delivery with its attempts, the newest first."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    job_id = request.path_params["job_id"]
    await lookup.access(state.redis, principal.owner, job_id)
    found = await deliveries.of_job(state.redis, job_id)
    return json_response(DeliveryList(tuple(map(_document, found))))


async def replay_delivery(request: Request) -> Response:
    """202: it is delivered again from the first attempt on, now, under the same id."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    job_id, delivery_id = request.path_params["job_id"], request.path_params["delivery_id"]
    await lookup.access(state.redis, principal.owner, job_id)
    if not delivery_id.startswith(f"{job_id}-"):
        raise errors.NotFound("There is no such delivery.")
    return json_response(_document(await deliveries.replay(state.redis, delivery_id)), 202)


def _document(delivery: Delivery) -> DeliveryDocument:
    return DeliveryDocument(
        delivery_id=delivery.delivery_id,
        event=EVENT,
        url=delivery.url,
        state=delivery.state,
        attempts=tuple(
            DeliveryAttempt(moment(one.at) or "", one.status, one.duration_ms, one.error)
            for one in delivery.attempts
        ),
        next_at=moment(delivery.next_at),
        created_at=moment(delivery.created_at) or "",
    )


_PROBLEMS: Final = (errors.NotFound, errors.Expired)
_ID: Final = f"{JOB}-13"
_DELIVERY_ID: Final = Parameter(
    name="delivery_id", where="path", description="The delivery's id, from the list.", example=_ID
)
_DELIVERED: Final = DeliveryDocument(
    delivery_id=_ID,
    event=EVENT,
    url="https://shop.example/hooks/models",
    state=DeliveryState.DELIVERED,
    attempts=(
        DeliveryAttempt(ENDED, 503, 112, "answered 503"),
        DeliveryAttempt("2026-11-24T09:40:26.301Z", 204, 48, None),
    ),
    next_at=None,
    created_at=ENDED,
)
_PENDING: Final = DeliveryDocument(
    delivery_id=_ID,
    event=EVENT,
    url=_DELIVERED.url,
    state=DeliveryState.PENDING,
    attempts=_DELIVERED.attempts,
    next_at="2026-11-24T10:02:00.000Z",
    created_at=ENDED,
)
_CALLBACK: Final = {"request_id": "764cabcf-b745-4b3e-ae38-1200304cf45b", "status": "OK", "payload": {}}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/jobs/{job_id}/webhooks",
        tag="Webhooks",
        id="listDeliveries",
        summary="The deliveries of a job's webhook",
        description="The newest first, each with every attempt. Calls are signed as Standard Webhooks.",
        parameters=(JOB_ID,),
        answers=(
            Answer(
                status=200,
                description="The log.",
                shape=DeliveryList,
                example=DeliveryList(deliveries=(_DELIVERED,)),
            ),
        ),
        problems=_PROBLEMS,
    ),
    Operation(
        method="POST",
        path="/api/v1/jobs/{job_id}/webhooks/{delivery_id}/replay",
        tag="Webhooks",
        id="replayDelivery",
        summary="Deliver again",
        description="At once, from the first attempt on, under the same `webhook-id`.",
        parameters=(JOB_ID, _DELIVERY_ID),
        answers=(Answer(status=202, description="The delivery.", shape=DeliveryDocument, example=_PENDING),),
        problems=_PROBLEMS,
    ),
    Operation(
        method="POST",
        path="/api/v1/webhooks/fal",
        tag="Webhooks",
        id="takeFalWebhook",
        summary="FAL's callbacks",
        description="For FAL alone, and only if `I2M_PUBLIC_URL` is set. FAL's signature is verified; no key "
        "is needed.",
        parameters=(
            Parameter(name="image", where="query", description="The image of the submission."),
            Parameter(name="attempt", where="query", description="The attempt's secret token."),
        ),
        body=Body(
            description="What FAL sends.",
            schema={"type": "object"},
            examples={"finished": _CALLBACK},
        ),
        answers=(Answer(status=200, description="Stored."),),
        problems=(
            errors.Unauthenticated,
            errors.NotFound,
            errors.BodyTooLarge,
            errors.UploadTooSlow,
            errors.InvalidParameter,
        ),
        access="open",
    ),
)
