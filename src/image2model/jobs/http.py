"""`POST /upload/batch`: the multipart stream on one side, the acceptance of a batch on the other.

Who calls it: the router. It decides nothing about jobs: it reads, hands on, and answers.
"""

from functools import partial
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from image2model.access import accounts, lookup
from image2model.access.principal import Principal
from image2model.access.state import AccessState, state_of
from image2model.domain import RejectedFile
from image2model.errors import NotFound
from image2model.http.answers import json_answer, read_json
from image2model.http.documents import JobDocument, job_document
from image2model.http.upload import ReceivedBatch, read_batch
from image2model.http.upload.reader import forget
from image2model.http.upload.received import Sink
from image2model.jobs import accept, downloads, idempotency, lifecycle, models
from image2model.jobs import listing as job_list
from image2model.jobs import thumbnails as pictures
from image2model.jobs.batch_request import read_fields
from image2model.jobs.idempotency import Answered, Reservation
from image2model.jobs.quote import BadPicture, quote, reusable
from image2model.jobs.state import JobsState
from image2model.jobs.thumbnails import MEDIA_TYPE
from image2model.media.inspect import inspect
from image2model.media.preflight import THUMBNAIL_SIDE
from image2model.store.connection import reach


async def upload_batch(request: Request) -> Response:
    """202 with the job's document, or the first answer of its idempotency key."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    await state.gate.count(request.scope, principal)
    await reach(state.redis)  # a store that is away refuses before the pictures have travelled,
    await state.write_probe.require()  # and so does one that takes no writes
    key = request.headers.get("idempotency-key")
    async with idempotency.held(state.redis, principal.owner, key) as reservation:
        if isinstance(reservation, Answered):
            document = await _replay(request, state, principal, reservation)
        else:
            await accounts.check_usage(state.redis, principal.owner, principal.allowance)
            document = await _accept(request, state, principal, reservation)
    headers = {"Location": document.links.self}
    if isinstance(reservation, Answered):
        headers["Idempotent-Replayed"] = "true"
    return json_answer(document, 202, headers)


async def _accept(
    request: Request, state: JobsState, principal: Principal, reservation: Reservation | None
) -> JobDocument:
    async with state.lost_replies.originals() as originals:
        submission = await _read(request, state, principal, originals.put)
        return await accept.create(
            state.redis, state.lost_replies, originals, submission, reservation, ttl_s=state.settings.job_ttl
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


class RetryBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be said with a retry; what is left out is as before."""

    image_ids: list[str] | None = None
    params: dict[str, object] | None = None


_body: Final = msgspec.json.Decoder(RetryBody)


_EXAMPLE: Final = '{"image_ids": ["…"], "params": {}}'


async def list_jobs(request: Request) -> Response:
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


_CACHE: Final = {"Cache-Control": "private, no-store"}


async def list_files(request: Request) -> Response:
    """One entry for each image, with its files."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    job = await lookup.snapshot(state.redis, principal.owner, request.path_params["job_id"])
    return json_answer(downloads.listing(job))


async def download_file(request: Request) -> Response:
    """307 to the file: the storage's own signed URL, ours, or under `redirect` FAL's."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    job = await lookup.snapshot(state.redis, principal.owner, request.path_params["job_id"])
    kind = request.query_params.get("file", "model")
    found = downloads.locate(job, request.path_params["image_id"], kind, state.hosts)
    if not isinstance(found, str):
        found = await downloads.link(state.storage, await state.signing.get(), found)
    return Response(status_code=307, headers={"Location": found, **_CACHE})


_THUMBNAIL_CACHE: Final = "private, max-age=604800, immutable"


async def show_thumbnail(request: Request) -> Response:
    """200 with a WebP of at most 256 pixels, or 304."""
    state = state_of(request, JobsState)
    principal = await state.authenticate(request.scope)
    job_id, image_id = request.path_params["job_id"], request.path_params["image_id"]
    await lookup.access(state.redis, principal.owner, job_id)
    picture = await pictures.source_of(state.redis, job_id, image_id)
    if picture is None:
        raise NotFound("This job has no such image.")
    etag = f'"{picture.sha256[:32]}-{THUMBNAIL_SIDE}"'
    headers = {"ETag": etag, "Cache-Control": _THUMBNAIL_CACHE}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    data = await state.thumbnails.get(picture)
    return Response(data, media_type=MEDIA_TYPE, headers=headers)


async def list_models(request: Request) -> Response:
    """Every model with its parameters and prices."""
    state = state_of(request, JobsState)
    await state.authenticate(request.scope)
    live = await state.fal_catalogue.models()
    return json_answer(models.listing(live), headers={"Cache-Control": "private, max-age=60"})
