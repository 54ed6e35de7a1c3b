"""`POST /jobs/{job_id}/images/{image_id}/derive`: a second step on a finished image, as a new job."""

from starlette.requests import Request
from starlette.responses import Response

from image2model.access import accounts
from image2model.access.principal import Principal
from image2model.access.state import state_of
from image2model.catalogue import offer
from image2model.http.bodies import json_response
from image2model.http.documents import job_document
from image2model.http.upload import discard
from image2model.jobs import accept, idempotency, wait
from image2model.jobs.derive import StepOriginals, read_step
from image2model.jobs.idempotency import AcceptedResponse, Reservation
from image2model.jobs.parent_models import parent_of
from image2model.jobs.state import JobsState
from image2model.jobs.step_request import read_request
from image2model.store.records import JobSnapshot


async def derive(request: Request) -> Response:
    """202 with the new job's document, or the first response of its idempotency key again."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    await state.gate.count(request.scope, principal)
    await state.write_probe.require()
    job_id, image_id = request.path_params["job_id"], request.path_params["image_id"]
    key = request.headers.get("idempotency-key")
    async with idempotency.reserved(state.redis, principal.owner, key) as reservation:
        if isinstance(reservation, AcceptedResponse):
            asked = await read_request(request, state, discard)
            (job,) = await accept.replay(state.redis, asked.fingerprint(job_id, image_id), reservation)
        else:
            job = await _create(request, state, principal, reservation)
    replayed = idempotency.REPLAYED if isinstance(reservation, AcceptedResponse) else {}
    waited = await wait.until_ended(request, principal, [job])
    document = job_document(waited.jobs[0])
    return json_response(document, 202, {"Location": document.links.self, **replayed, **waited.headers})


async def _create(
    request: Request, state: JobsState, principal: Principal, reservation: Reservation | None
) -> JobSnapshot:
    job_id = request.path_params["job_id"]
    row = await parent_of(state.redis, principal.owner, job_id, request.path_params["image_id"])
    await accounts.check_usage(state.redis, principal.owner, principal.allowance)
    async with state.lost_replies.holding(StepOriginals(state.storage)) as originals:
        asked = await read_request(request, state, originals.put)
        endpoint = await state.catalogue.find(asked.model)
        offer.require_second_step(endpoint, state.settings.models, principal)
        submission = await read_step(
            state.redis, originals, (job_id, row), asked, endpoint, principal, state.settings
        )
        return await accept.create(state.redis, state.lost_replies, originals, submission, reservation)
