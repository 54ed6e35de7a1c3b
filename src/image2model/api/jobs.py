"""`/jobs`: the list of them; and of one: cancel, retry, refresh, delete. Who calls it: the router."""

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.api.access_state import AccessState, state_of
from image2model.api.answers import json_answer
from image2model.api.json_body import read_json
from image2model.service import job_list, lifecycle
from image2model.service.documents import job_document


class RetryBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be said with a retry; what is left out is as before."""

    image_ids: list[str] | None = None
    params: dict[str, object] | None = None


_body: Final = msgspec.json.Decoder(RetryBody)


_EXAMPLE: Final = '{"image_ids": ["…"], "params": {}}'


async def listing(request: Request) -> Response:
    """The caller's jobs, newest first, without their images."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    asked = job_list.question(*(request.query_params.get(name) for name in ("status", "limit", "cursor")))
    return json_answer(await job_list.page(state.redis, principal.owner, asked))


async def cancel(request: Request) -> Response:
    """202: what is not finished is cancelled, or asked to stop."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    job = await lifecycle.cancel(state.redis, principal.owner, request.path_params["job_id"])
    return json_answer(job_document(job), 202)


async def retry(request: Request) -> Response:
    """202: failed images run again."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    await state.gate.count(request.scope, principal)
    wanted = await read_json(request, _body, _EXAMPLE, empty=RetryBody())
    job = await lifecycle.retry(
        state.redis,
        principal.owner,
        request.path_params["job_id"],
        wanted.image_ids,
        wanted.params,
        principal.allowance,
    )
    return json_answer(job_document(job), 202)


async def refresh_files(request: Request) -> Response:
    """202: files that were missing when the image succeeded are fetched again."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    await state.gate.count(request.scope, principal)
    ids = (request.path_params["job_id"], request.path_params["image_id"])
    job = await lifecycle.refresh_files(state.redis, principal.owner, *ids)
    return json_answer(job_document(job), 202)


async def delete(request: Request) -> Response:
    """204, and 404 from then on."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    await lifecycle.delete(state.redis, principal.owner, request.path_params["job_id"])
    return Response(status_code=204)
