"""The handlers of uploads and quotes, of jobs, and of results.

They read a request, call a use case and send its document; they decide nothing about jobs. The status, the
archive and the signed files have handlers of their own, in `status`, `archive` and `files`.
"""

from collections.abc import Mapping
from functools import partial
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.access import accounts, lookup
from image2model.access.principal import Principal
from image2model.access.state import AccessState, state_of
from image2model.catalogue import offer
from image2model.errors import NotFound
from image2model.fal.endpoints import DEFAULT_MODEL, Endpoint
from image2model.http.bodies import json_response, read_json
from image2model.http.documents import job_document
from image2model.http.upload.reader import ReceivedBatch, Sink, discard, read_batch
from image2model.jobs import accept, confirmation, downloads, idempotency, lifecycle, listing, thumbnails
from image2model.jobs.batch_request import (
    Submission,
    check_objects,
    cutout_digests,
    digests,
    fingerprint,
    objects_of,
    read_fields,
    read_submission,
)
from image2model.jobs.idempotency import AcceptedResponse
from image2model.jobs.preparation import remover_id
from image2model.jobs.quote import quote, reusable, to_cut_out
from image2model.jobs.state import JobsState
from image2model.media.inspect import inspect
from image2model.media.preflight import THUMBNAIL_SIDE

_NO_STORE: Final = {"Cache-Control": "private, no-store"}
_THUMBNAIL_CACHE: Final = "private, max-age=604800, immutable"
_CONFIRM_EXAMPLE: Final = '{"accept": true}'
_RETRY_EXAMPLE: Final = '{"image_ids": ["…"], "params": {}}'


async def upload_batch(request: Request) -> Response:
    """202 with the job's document, or the first response of its idempotency key again."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    await state.gate.count(request.scope, principal)
    await state.write_probe.require()  # before the pictures travel to a store that cannot take the job
    key = request.headers.get("idempotency-key")
    async with idempotency.reserved(state.redis, principal.owner, key) as reservation:
        if isinstance(reservation, AcceptedResponse):
            batch = await _read_batch(request, state, discard)
            job = await accept.replay(state.redis, fingerprint(batch), reservation)
        else:
            await accounts.check_usage(state.redis, principal.owner, principal.allowance)
            async with state.lost_replies.originals() as originals:
                submission = await _read_submission(request, state, principal, originals.put)
                job = await accept.create(state.redis, state.lost_replies, originals, submission, reservation)
    document = job_document(job)
    headers = {"Location": document.links.self}
    if isinstance(reservation, AcceptedResponse):
        headers["Idempotent-Replayed"] = "true"
    return json_response(document, 202, headers)


async def _read_submission(
    request: Request, state: JobsState, principal: Principal, sink: Sink
) -> Submission:
    batch = await _read_batch(request, state, sink)
    endpoint = await _endpoint(state, principal, batch.fields)
    remover = await _remover(state, principal, batch.fields)
    return read_submission(batch, endpoint, principal, state.settings, remover)


async def _endpoint(state: JobsState, principal: Principal, fields: Mapping[str, str]) -> Endpoint:
    """The endpoint of the form's `model`. Raises UnknownModel, Forbidden, InvalidParameter."""
    endpoint = await state.catalogue.find(fields.get("model", DEFAULT_MODEL))
    offer.require(endpoint, state.settings.models, principal)
    return endpoint


async def _remover(state: JobsState, principal: Principal, fields: Mapping[str, str]) -> Endpoint | None:
    """The endpoint of the form's `remove_background`. Raises as `_endpoint`."""
    name = remover_id(fields)
    if name is None:
        return None
    endpoint = await state.catalogue.find(name)
    offer.require_remover(endpoint, state.settings.models, principal)
    return endpoint


async def _read_batch(request: Request, state: JobsState, sink: Sink) -> ReceivedBatch:
    return await read_batch(
        request.receive,
        request.headers,
        limits=state.upload_limits,
        budget=state.upload_budget,
        inspect=partial(inspect, max_pixels=state.settings.max_pixels),
        sink=sink,
    )


async def quote_batch(request: Request) -> Response:
    """200 with a verdict on each file and the price of all. It refuses a form as the upload does."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    await state.gate.count(request.scope, principal)
    batch = await _read_batch(request, state, discard)
    endpoint = await _endpoint(state, principal, batch.fields)
    remover = await _remover(state, principal, batch.fields)
    private = state.settings.webhook_allow_private
    options = read_fields(batch.fields, endpoint, private_webhooks=private, remover=remover)
    objects = objects_of(batch, state.settings.max_files)
    check_objects(options, objects)
    terms = {"owner": principal.owner, "dedupe": state.settings.dedupe}
    cached = await reusable(state.redis, digests(options, objects.good, **terms))
    cut = {
        one.index: cutout_digests(options, one, **terms) for one in objects.good if one.index not in cached
    }
    return json_response(quote(options, objects, cached, await to_cut_out(state.redis, cut)))


class RetryBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a retry may change; what is left out is as before."""

    image_ids: list[str] | None = None
    params: dict[str, object] | None = None


_retry_body: Final = msgspec.json.Decoder(RetryBody)


async def list_jobs(request: Request) -> Response:
    """200 with the caller's jobs, newest first, without their images."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    query = request.query_params
    filters = listing.read_query(query)
    return json_response(await listing.page(state.redis, principal.owner, filters))


async def cancel(request: Request) -> Response:
    """202: what is not finished is cancelled, or marked to stop."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    job = await lifecycle.cancel(state.redis, principal.owner, request.path_params["job_id"])
    return json_response(job_document(job), 202)


async def retry(request: Request) -> Response:
    """202: failed images run again."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    await state.gate.count(request.scope, principal)
    body = await read_json(request, _retry_body, _RETRY_EXAMPLE, empty=RetryBody())
    job = await lifecycle.retry(
        state.redis,
        state.catalogue,
        state.settings.models,
        principal,
        request.path_params["job_id"],
        body.image_ids,
        body.params,
    )
    return json_response(job_document(job), 202)


class ConfirmBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the prepared picture is accepted; otherwise its image is cancelled."""

    accept: bool = True


_confirm_body: Final = msgspec.json.Decoder(ConfirmBody)


async def confirm(request: Request) -> Response:
    """202: the image goes on with its prepared pictures, or is cancelled."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    await state.gate.count(request.scope, principal)
    body = await read_json(request, _confirm_body, _CONFIRM_EXAMPLE, empty=ConfirmBody())
    job_id, image_id = request.path_params["job_id"], request.path_params["image_id"]
    mark = confirmation.fingerprint(job_id, image_id, accept=body.accept)
    headers = {}
    name = request.headers.get("idempotency-key")
    async with idempotency.reserved(state.redis, principal.owner, name) as reservation:
        if isinstance(reservation, AcceptedResponse):
            job = await confirmation.replay(state.redis, principal.owner, mark, reservation)
            headers = {"Idempotent-Replayed": "true"}
        else:
            job = await confirmation.confirm(
                state.redis,
                principal.owner,
                job_id,
                image_id,
                accept=body.accept,
                record=confirmation.record_of(reservation, mark, job_id) if reservation else None,
            )
    return json_response(job_document(job), 202, headers)


async def refresh_files(request: Request) -> Response:
    """202: files that were missing when the image succeeded are fetched again."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    await state.gate.count(request.scope, principal)
    ids = (request.path_params["job_id"], request.path_params["image_id"])
    job = await lifecycle.refresh_files(state.redis, principal.owner, *ids)
    return json_response(job_document(job), 202)


async def delete(request: Request) -> Response:
    """204, and 404 from then on."""
    state = state_of(request, AccessState)
    principal = await state.authenticate(request.scope)
    settings = state.settings
    keep_ms = int(settings.fal_retention * 1000) if settings.deletes_at_fal else None
    await lifecycle.delete(state.redis, principal.owner, request.path_params["job_id"], keep_ms=keep_ms)
    return Response(status_code=204)


async def list_files(request: Request) -> Response:
    """200 with one entry for each image and its files."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    job = await lookup.snapshot(state.redis, principal.owner, request.path_params["job_id"])
    return json_response(downloads.listing(job))


async def download_file(request: Request) -> Response:
    """307 to the file: the storage's own signed URL, ours, or under `redirect` FAL's."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    job = await lookup.snapshot(state.redis, principal.owner, request.path_params["job_id"])
    kind = request.query_params.get("file", "model")
    target = downloads.locate(job, request.path_params["image_id"], kind, state.hosts)
    if not isinstance(target, str):
        target = await downloads.link(state.storage, await state.signing.get(), target)
    return Response(status_code=307, headers={"Location": target, **_NO_STORE})


async def show_thumbnail(request: Request) -> Response:
    """200 with a WebP of at most 256 pixels, or 304."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    job_id, image_id = request.path_params["job_id"], request.path_params["image_id"]
    await lookup.access(state.redis, principal.owner, job_id)
    picture = await thumbnails.source_of(state.redis, job_id, image_id)
    if picture is None:
        raise NotFound("This job has no such image.")
    etag = f'"{picture.sha256[:32]}-{THUMBNAIL_SIDE}"'
    headers = {"ETag": etag, "Cache-Control": _THUMBNAIL_CACHE}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    data = await state.thumbnails.get(picture)
    return Response(data, media_type=thumbnails.MEDIA_TYPE, headers=headers)
