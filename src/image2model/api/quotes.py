"""`POST /quote`: an upload that is only looked at. Who calls it: the router.

The pictures are read, checked and forgotten one by one; nothing is stored, queued or sent.
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import state_of
from image2model.api.answers import json_answer
from image2model.api.jobs_state import JobsState
from image2model.api.upload import ReceivedBatch, read_batch
from image2model.media.sniff import inspect
from image2model.service.batch_request import read_fields
from image2model.service.quote import BadPicture, quote, reusable


async def quote_batch(request: Request) -> Response:
    """200 with a verdict on each file and the price of all; what refuses an upload whole refuses it too."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    await state.gate.count(request.scope, principal)
    batch = await read_batch(
        request.receive,
        request.headers,
        limits=state.upload_limits,
        budget=state.upload_budget,
        inspect=partial(inspect, max_pixels=state.settings.max_pixels),
    )
    wanted = read_fields(batch.fields, private_webhooks=state.settings.webhook_allow_private)
    cached = await reusable(
        state.redis, wanted, batch.files, owner=principal.owner, dedupe=state.settings.dedupe
    )
    return json_answer(quote(wanted, batch.files, _bad(batch), cached))


def _bad(batch: ReceivedBatch) -> list[BadPicture]:
    return [
        BadPicture(index=one.index, filename=one.filename, code=one.fault.code, detail=one.fault.detail)
        for one in batch.bad
    ]
