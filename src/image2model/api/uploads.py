"""`POST /upload/batch`: the multipart stream on one side, the acceptance of a batch on the other.

Who calls it: the router. It decides nothing about jobs: it reads, hands on, and answers.
"""

from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import state_of
from image2model.api.answers import json_answer
from image2model.api.jobs_state import JobsState
from image2model.api.principal import Principal
from image2model.api.upload import ReceivedBatch, read_batch
from image2model.api.upload.reader import forget
from image2model.api.upload.received import Sink
from image2model.domain import RejectedFile
from image2model.media.sniff import inspect
from image2model.service import accept, allowances, idempotency
from image2model.service.batch_request import read_fields
from image2model.service.documents import JobDocument
from image2model.store.connection import reach
from image2model.store.idempotency import Answered, Reservation


async def upload_batch(request: Request) -> Response:
    """202 with the job's document, or the first answer of its idempotency key."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    await state.gate.count(request.scope, principal)
    await reach(state.redis)  # a store that is away refuses before the pictures have travelled,
    await state.write_probe.require()  # and so does one that takes no writes
    key = request.headers.get("idempotency-key")
    async with idempotency.held(state.redis, principal.owner, key) as place:
        if isinstance(place, Answered):
            document = await _replay(request, state, principal, place)
        else:
            await allowances.check(state.redis, principal.owner, principal.allowance)
            document = await _accept(request, state, principal, place)
    headers = {"Location": document.links.self}
    if isinstance(place, Answered):
        headers["Idempotent-Replayed"] = "true"
    return json_answer(document, 202, headers)


async def _accept(
    request: Request, state: JobsState, principal: Principal, place: Reservation | None
) -> JobDocument:
    async with state.unsettled.originals() as originals:
        submission = await _read(request, state, principal, originals.put)
        return await accept.create(
            state.redis, state.unsettled, originals, submission, place, ttl_s=state.settings.job_ttl
        )


async def _replay(
    request: Request, state: JobsState, principal: Principal, answered: Answered
) -> JobDocument:
    return await accept.replay(state.redis, await _read(request, state, principal, forget), answered)


async def _read(request: Request, state: JobsState, principal: Principal, sink: Sink) -> accept.Submission:
    batch = await read_batch(
        request.receive,
        request.headers,
        limits=state.upload_limits,
        budget=state.upload_budget,
        inspect=partial(inspect, max_pixels=state.settings.max_pixels),
        sink=sink,
    )
    return submission_of(batch, state, principal)


def submission_of(batch: ReceivedBatch, state: JobsState, principal: Principal) -> accept.Submission:
    """The batch as the service takes it. Raises the problem for which it is refused."""
    wanted = read_fields(batch.fields, private_webhooks=state.settings.webhook_allow_private)
    if not wanted.skip_invalid or not batch.files:
        batch.refuse_bad()
    faults = [(bad.index, bad.fault) for bad in batch.bad]
    return accept.Submission(
        dedupe=state.settings.dedupe,
        owner=principal.owner,
        allowance=principal.allowance,
        request=wanted,
        fields=batch.fields,
        pictures=batch.files,
        rejected=tuple(RejectedFile(fault.file, fault.code, fault.detail) for _, fault in faults),
        bad=tuple((index, fault.file, fault.code) for index, fault in faults),
    )
