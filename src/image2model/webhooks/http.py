"""`/jobs/{job_id}/webhooks`: the delivery log, and a replay. Who calls it: the router."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from image2model import errors
from image2model.access.state import AccessState, state_of
from image2model.events.examples import ENDED
from image2model.http.bodies import json_response
from image2model.http.reference import JOB, JOB_ID, Answer, Body, Operation, Parameter
from image2model.webhooks import outgoing
from image2model.webhooks.deliveries import DeliveryState
from image2model.webhooks.outgoing import EVENT, DeliveryAttempt, DeliveryDocument, DeliveryList


async def list_deliveries(request: Request) -> Response:
    """200: every delivery with its attempts, the newest first."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    return json_response(await outgoing.listing(state.redis, principal.owner, request.path_params["job_id"]))


async def replay_delivery(request: Request) -> Response:
    """202: it is delivered again, under the same id."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    job_id, delivery_id = request.path_params["job_id"], request.path_params["delivery_id"]
    return json_response(await outgoing.replay(state.redis, principal.owner, job_id, delivery_id), 202)


_ONE: Final = (errors.NotFound, errors.Expired)
_ID: Final = f"{JOB}-13"
_DELIVERY_ID: Final = Parameter(
    name="delivery_id", where="path", description="The delivery's id, as the list tells it.", example=_ID
)
_DELIVERED: Final = DeliveryDocument(
    delivery_id=_ID,
    event=EVENT,
    url="https://shop.example/hooks/models",
    state=DeliveryState.DELIVERED,
    attempts=(
        DeliveryAttempt(ENDED, 503, 112, "the receiver answered 503"),
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
_WORD: Final = {"request_id": "764cabcf-b745-4b3e-ae38-1200304cf45b", "status": "OK", "payload": {}}

OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/api/v1/jobs/{job_id}/webhooks",
        tag="Webhooks",
        id="listDeliveries",
        summary="The deliveries of a job's webhook",
        description="The newest first, each with every attempt. The calls are signed as Standard Webhooks.",
        parameters=(JOB_ID,),
        answers=(
            Answer(
                status=200,
                description="The log.",
                shape=DeliveryList,
                example=DeliveryList(deliveries=(_DELIVERED,)),
            ),
        ),
        problems=_ONE,
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
        problems=_ONE,
    ),
    Operation(
        method="POST",
        path="/api/v1/webhooks/fal",
        tag="Webhooks",
        id="takeFalWebhook",
        summary="FAL's callbacks",
        description="For FAL alone, and only where `I2M_PUBLIC_URL` is set: believed by its signature, which "
        "stands in the place of a key.",
        parameters=(
            Parameter(name="image", where="query", description="The image, as the submit named it."),
            Parameter(name="attempt", where="query", description="The attempt's secret token."),
        ),
        body=Body(
            description="What FAL sends.",
            schema={"type": "object"},
            examples={"finished": _WORD},
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
