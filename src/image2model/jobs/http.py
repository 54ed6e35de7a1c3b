"""The handlers of uploads and quotes, of jobs, and of results.

They read a request, call a use case and send its document; they decide nothing about jobs. The status, the
archive and the signed files have handlers of their own, in `status`, `archive` and `files`.
"""

from collections.abc import Mapping, Sequence
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
from image2model.fal.endpoints import Endpoint
from image2model.http.bodies import is_json, json_response, read_json
from image2model.http.documents import API, comparison_document, job_document
from image2model.http.upload import ReceivedBatch, Sink, discard, read_batch
from image2model.jobs import (
    accept,
    comparisons,
    confirmation,
    downloads,
    idempotency,
    lifecycle,
    listing,
    thumbnails,
    wait,
)
from image2model.jobs.batch_request import (
    BatchRequest,
    check_objects,
    cutout_digests,
    fingerprint,
    objects_of,
)
from image2model.jobs.idempotency import AcceptedResponse
from image2model.jobs.json_upload import read_json_batch
from image2model.jobs.objects import Objects
from image2model.jobs.preparation import remover_id
from image2model.jobs.quote import Quote, compared, quote, reusable, run_digests, to_cut_out
from image2model.jobs.state import JobsState
from image2model.media.advice import Advice
from image2model.media.inspect import inspect
from image2model.media.preflight import THUMBNAIL_SIDE
from image2model.store.records import JobSnapshot

_NO_STORE: Final = {"Cache-Control": "private, no-store"}
_THUMBNAIL_CACHE: Final = "private, max-age=604800, immutable"
_CONFIRM_EXAMPLE: Final = '{"accept": true}'
_RETRY_EXAMPLE: Final = '{"image_ids": ["…"], "params": {}}'


async def upload_batch(request: Request) -> Response:
    """202 with the job's document, or the jobs' of a comparison, or the first response of its key again."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    jobs, headers = await _accept(request, state, principal)
    waited = await wait.until_ended(request, principal, jobs)
    return _accepted(waited.jobs, {**headers, **waited.headers})


async def _accept(
    request: Request, state: JobsState, principal: Principal
) -> tuple[Sequence[JobSnapshot], Mapping[str, str]]:
    """The jobs of an upload, and headers of its answer. Nothing of the upload itself is kept."""
    await state.gate.count(request.scope, principal)
    await state.write_probe.require()  # before the pictures travel to a store that cannot take the job
    key = request.headers.get("idempotency-key")
    async with idempotency.reserved(state.redis, principal.owner, key) as reservation:
        if isinstance(reservation, AcceptedResponse):
            batch = await _read_batch(request, state, discard)
            replayed = await accept.replay(state.redis, fingerprint(batch), reservation)
            return replayed, idempotency.REPLAYED
        await accounts.check_usage(state.redis, principal.owner, principal.allowance)
        async with state.lost_replies.originals() as originals:
            batch = await _read_batch(request, state, originals.put)
            endpoints = await _endpoints(state, principal, batch)
            remover = await _remover(state, principal, batch.fields)
            submissions = comparisons.read_submissions(batch, endpoints, principal, state.settings, remover)
            made = await accept.create_all(
                state.redis, state.lost_replies, originals, submissions, reservation
            )
    return made, {}


def _accepted(jobs: Sequence[JobSnapshot], headers: Mapping[str, str]) -> Response:
    if len(jobs) == 1:
        document = job_document(jobs[0])
        return json_response(document, 202, {"Location": document.links.self, **headers})
    comparison = comparison_document(jobs)
    location = f"{API}/jobs?{listing.COMPARISON}={comparison.comparison_id}"
    return json_response(comparison, 202, {"Location": location, **headers})


async def _endpoints(state: JobsState, principal: Principal, batch: ReceivedBatch) -> list[Endpoint]:
    """The endpoints of the form's fields `model`. Raises UnknownModel, Forbidden, InvalidParameter."""
    endpoints = [await state.catalogue.find(model) for model in comparisons.models_of(batch)]
    for endpoint in endpoints:
        offer.require(endpoint, state.settings.models, principal)
    return endpoints


async def _remover(state: JobsState, principal: Principal, fields: Mapping[str, str]) -> Endpoint | None:
    """The endpoint of the form's `remove_background`. Raises as `_endpoint`."""
    name = remover_id(fields)
    if name is None:
        return None
    endpoint = await state.catalogue.find(name)
    offer.require_remover(endpoint, state.settings.models, principal)
    return endpoint


async def _read_batch(request: Request, state: JobsState, sink: Sink) -> ReceivedBatch:
    """The request's pictures and fields, from a form or from JSON."""
    if is_json(request.headers):
        return await read_json_batch(
            request.receive,
            request.headers,
            limits=state.upload_limits,
            budget=state.upload_budget,
            inspect=partial(inspect, max_pixels=state.settings.max_pixels),
            sink=sink,
            allow_private=state.settings.fetch_allow_private,
        )
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
    advice = state.advisor.begin()
    batch = await _read_batch(request, state, advice.look)
    endpoints = await _endpoints(state, principal, batch)
    remover = await _remover(state, principal, batch.fields)
    private = state.settings.webhook_allow_private
    requests = comparisons.read_requests(batch.fields, endpoints, private_webhooks=private, remover=remover)
    objects = objects_of(batch, state.settings.max_files)
    for one in requests:
        check_objects(one, objects)
    cut_out: set[str] = set()
    quotes = [await _quote(state, principal, one, objects, cut_out, advice.found) for one in requests]
    if len(quotes) == 1:
        return json_response(quotes[0])
    refusal = comparisons.refusal(requests, objects.good, dedupe=state.settings.dedupe)
    return json_response(compared(quotes, refusal))


async def _quote(
    state: JobsState,
    principal: Principal,
    request: BatchRequest,
    objects: Objects,
    cut_out: set[str],
    advice: Mapping[int, Advice],
) -> Quote:
    """`cut_out`: the digests of what is cut out for earlier requests of the same form; these are added."""
    owner, dedupe = principal.owner, state.settings.dedupe
    runs = run_digests(request, objects.good, owner=owner, dedupe=dedupe)
    cached = await reusable(state.redis, runs)
    to_run = {index for index, _ in runs.keys() - cached}
    views = {
        one.index: cutout_digests(request, one, owner=owner, dedupe=dedupe) * request.images(1)
        for one in objects.good
        if one.index in to_run
    }
    cutouts = await to_cut_out(state.redis, views, cut_out)
    return quote(request, objects, cached, cutouts, advice, dedupe=dedupe)


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
    return await _changed(request, principal, job)


async def _changed(
    request: Request, principal: Principal, job: JobSnapshot, headers: Mapping[str, str] | None = None
) -> Response:
    """202 with a job that goes on, or at its end, if the request prefers to wait for that."""
    waited = await wait.until_ended(request, principal, [job])
    return json_response(job_document(waited.jobs[0]), 202, {**(headers or {}), **waited.headers})


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
    return await _changed(request, principal, job)


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
    headers: Mapping[str, str] = {}
    name = request.headers.get("idempotency-key")
    async with idempotency.reserved(state.redis, principal.owner, name) as reservation:
        if isinstance(reservation, AcceptedResponse):
            job = await confirmation.replay(state.redis, principal.owner, mark, reservation)
            headers = idempotency.REPLAYED
        else:
            job = await confirmation.confirm(
                state.redis,
                principal.owner,
                job_id,
                image_id,
                accept=body.accept,
                record=confirmation.record_of(reservation, mark, job_id) if reservation else None,
            )
    return await _changed(request, principal, job, headers)


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
    if not picture.sha256:
        raise NotFound("This picture came as an address, and has not been fetched.")
    etag = f'"{picture.sha256[:32]}-{THUMBNAIL_SIDE}"'
    headers = {"ETag": etag, "Cache-Control": _THUMBNAIL_CACHE}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    data = await state.thumbnails.get(picture)
    return Response(data, media_type=thumbnails.MEDIA_TYPE, headers=headers)
