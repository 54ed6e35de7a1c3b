"""The async client: one object for one service, used in `async with`.

Every call has a deadline. `patience` is how long a call or a lost stream is tried again before `Unreachable`;
see `transport` for the calls that may be repeated.
"""

import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeVar, Unpack
from urllib.parse import quote as escaped
from uuid import uuid4

import aiohttp
import msgspec

from image2model.client.addresses import has_addresses, json_call
from image2model.client.documents import (
    Comparison,
    ComparisonQuote,
    DeadPage,
    Download,
    Job,
    JobPage,
    Quote,
    Replayed,
)
from image2model.client.errors import BadDownload, ClientError, Unreachable
from image2model.client.events import Event, EventStream, OnConnection
from image2model.client.form import QuoteOptions, Source, UploadOptions, form
from image2model.client.model_documents import Model, ModelList
from image2model.client.multipart import Picture
from image2model.client.requests import BASE, StepOptions, multipart_call, second_step
from image2model.client.save import save
from image2model.client.transport import Call, OnTrouble, Patience, Reply, Transport
from image2model.domain import MetadataValue, metadata_text

_IDLE_DOWNLOAD: Final = 60.0

_T = TypeVar("_T")


class AsyncClient:
    """`url` such as http://127.0.0.1:8000; `key`: an API key; `patience` in seconds."""

    def __init__(self, url: str, key: str | None = None, *, patience: float = 60.0) -> None:
        self._transport = Transport(url, key, patience=patience)

    @property
    def url(self) -> str:
        """The service's URL, without a slash at the end."""
        return self._transport.url

    def on_trouble(self, on_trouble: OnTrouble) -> None:
        """Call `on_trouble` with the reason, in words, before a call is tried again."""
        self._transport.on_trouble = on_trouble

    hear_trouble = on_trouble  # the name before, for programs that use it

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.__aexit__()

    async def submit(
        self,
        pictures: Sequence[Source],
        *,
        model: str | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Job:
        """Upload one batch. A lost reply is recovered with the same idempotency key, never paid twice.

        Each of `pictures` becomes one model: a path, a `Picture`, an `Address`, or an `Object` of several
        views. With an `Address` among them all goes as JSON, of at most 64 MiB. Without a key a random one is
        made. `options`: see `UploadOptions`. Raises ApiError, Unreachable, ClientError,
        and ValueError for two objects of one name.
        """
        models = [model] if model else []
        return _decoded(
            await self._send("/upload/batch", pictures, models, options, _key(idempotency_key)), Job
        )

    async def compare(
        self,
        pictures: Sequence[Source],
        models: Sequence[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Comparison:
        """Upload one batch for two or more models: a job for each, by one decision and one key.

        `params` are common to all models, or one object for each model by its id. Otherwise as `submit`.
        """
        if len(models) < 2:
            raise ValueError("a comparison needs two models or more; use submit for one")
        reply = await self._send("/upload/batch", pictures, models, options, _key(idempotency_key))
        return _decoded(reply, Comparison)

    async def _send(
        self,
        path: str,
        pictures: Sequence[Source],
        models: Sequence[str],
        options: Mapping[str, object],
        headers: Mapping[str, str],
    ) -> Reply:
        """As a form, or as JSON where an address is among the pictures."""
        if has_addresses(pictures):
            call = await json_call(path, pictures, models, options, headers)
        else:
            call = multipart_call(path, form(pictures, models, options), headers)
        return await self._transport.send(call)

    async def quote(
        self, pictures: Sequence[Source], *, model: str | None = None, **options: Unpack[QuoteOptions]
    ) -> Quote:
        """What the same `submit` would cost, and what is wrong with each picture. It runs and keeps nothing.

        Raises ApiError where the whole upload would be refused, such as for an unknown model.
        """
        return _decoded(await self._send("/quote", pictures, [model] if model else [], options, {}), Quote)

    async def quote_comparison(
        self, pictures: Sequence[Source], models: Sequence[str], **options: Unpack[QuoteOptions]
    ) -> ComparisonQuote:
        """What the same `compare` would cost; see `quote`."""
        if len(models) < 2:
            raise ValueError("a comparison needs two models or more; use quote for one")
        return _decoded(await self._send("/quote", pictures, models, options, {}), ComparisonQuote)

    async def derive(
        self,
        job_id: str,
        image_id: str,
        *,
        model: str,
        picture: str | os.PathLike[str] | Picture | None = None,
        file: str | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[StepOptions],
    ) -> Job:
        """Run a second step on a finished image, by a model that takes a model: a new job of one image.

        `picture`: for models that take one too; otherwise the parent's. `file`: the kind of the parent's
        file to start from, by default its model. A lost reply is recovered with the same key, as in `submit`.
        Raises ApiError: `not_ready` for an image without a model, `expired` where the model is gone,
        `invalid_parameter` for a `model` that takes none; Unreachable, ClientError.
        """
        fields = {"model": model, "file": file, **options}
        call = second_step(f"{_image_path(job_id, image_id)}/derive", fields, picture, _key(idempotency_key))
        return _decoded(await self._transport.send(call), Job)

    async def confirm(self, job_id: str, image_id: str, *, accept: bool = True) -> Job:
        """Let an image go on that waits with its prepared pictures (`confirm_prepared`), or cancel it.

        Nothing is bought twice by a second confirmation. Raises ApiError: `not_ready` while the pictures are
        being prepared, `already_finished`.
        """
        path = f"{_image_path(job_id, image_id)}/confirm"
        return await self._post(path, {"accept": accept}, Job, safe=True)

    async def models(self) -> ModelList:
        """The models on offer, the default first, with their parameters and prices."""
        return await self._get("/models", ModelList)

    async def model(self, model_id: str) -> Model:
        """One model on offer. Raises ApiError `not_found`."""
        return await self._get(f"/models/{escaped(model_id, safe='/')}", Model)

    async def refresh_models(self) -> None:
        """Let the service read FAL's list of models now. For admins."""
        await self._transport.send(Call(method="POST", path=f"{BASE}/admin/models/refresh", safe=True))

    async def job(self, job_id: str) -> Job:
        """The job document."""
        return await self._get(f"/status/{escaped(job_id, safe='')}", Job)

    async def jobs(
        self,
        *,
        status: str | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
        comparison: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> JobPage:
        """One page of the caller's jobs, newest first. `comparison`: only those of this comparison.

        `metadata`: only jobs that have all of it, in their own metadata or in that of their images.
        """
        query = {"limit": str(limit), "status": status, "comparison": comparison, "cursor": cursor}
        given = {name: value for name, value in query.items() if value}
        for name, value in (metadata or {}).items():
            given[f"metadata.{name}"] = metadata_text(value)
        return await self._get("/jobs", JobPage, given)

    def events(
        self,
        job_id: str | None = None,
        *,
        last_event_id: str | None = None,
        on_connection: OnConnection | None = None,
    ) -> AsyncIterator[Event]:
        """One job's events, until it is complete, or (None) those of all the caller's jobs, without end.

        A lost connection is made again and resumes; `on_connection` is called with both changes.
        Raises ApiError, Unreachable.
        """
        path = "/events" if job_id is None else f"/status/stream/{escaped(job_id, safe='')}"
        stream = EventStream(
            self._transport,
            BASE + path,
            ends=job_id is not None,
            last_event_id=last_event_id,
            on_connection=on_connection,
        )
        return stream.events()

    async def downloads(self, job_id: str) -> tuple[Download, ...]:
        """The files of each image of a job."""
        listing = await self._get(f"/download/{escaped(job_id, safe='')}", _DownloadList)
        return listing.images

    async def download(
        self,
        job_id: str,
        image_id: str,
        target: str | os.PathLike[str],
        *,
        file: str = "model",
        size: int | None = None,
        part_dir: Path | None = None,
    ) -> int:
        """Save one file of an image at `target`, complete or not at all, and return its size.

        `size`: the size in the job document. Raises ApiError, Unreachable, BadDownload, OSError.
        """
        path = f"{BASE}/download/{escaped(job_id, safe='')}/{escaped(image_id, safe='')}?file={escaped(file)}"
        patience = Patience(self._transport.patience)
        while True:
            try:
                async with self._transport.stream(path, idle=_IDLE_DOWNLOAD) as response:
                    return await save(response, Path(target), size=size, part_dir=part_dir)
            except (aiohttp.ClientError, TimeoutError) as error:
                if not await patience.pause():
                    raise Unreachable(f"download of {Path(target).name} failed: {error}") from error
            except BadDownload:
                if not await patience.pause():
                    raise

    async def thumbnail(self, job_id: str, image_id: str) -> bytes:
        """The uploaded picture as a WebP of at most 256 px. Raises ApiError `not_found`."""
        path = f"{BASE}/images/{escaped(job_id, safe='')}/{escaped(image_id, safe='')}/thumbnail"
        return (await self._transport.send(Call(method="GET", path=path, safe=True))).body

    async def cancel(self, job_id: str) -> Job:
        """Cancel the unfinished images. Raises ApiError `already_finished` where there are none."""
        return await self._post(f"/jobs/{escaped(job_id, safe='')}/cancel", None, Job)

    async def retry(
        self, job_id: str, *, image_ids: Iterable[str] | None = None, params: Mapping[str, Any] | None = None
    ) -> Job:
        """Run failed images again, all or those named; each is a new paid attempt."""
        body = {"image_ids": list(image_ids) if image_ids is not None else None, "params": params}
        return await self._post(
            f"/jobs/{escaped(job_id, safe='')}/retry",
            {name: value for name, value in body.items() if value is not None},
            Job,
        )

    async def refresh_files(self, job_id: str, image_id: str) -> Job:
        """Fetch files again that were missing when the image succeeded: see its result's `warnings`.

        Raises ApiError `not_ready` for an image that has not succeeded.
        """
        path = f"{_image_path(job_id, image_id)}/files/refresh"
        return await self._post(path, None, Job)

    async def delete(self, job_id: str) -> None:
        """Erase a job; running images are cancelled first. A job that is already gone is no error."""
        call = Call(method="DELETE", path=f"{BASE}/jobs/{escaped(job_id, safe='')}", safe=True)
        await self._transport.send(call)

    async def dead(
        self, *, code: str = "", model: str = "", owner: str = "", limit: int = 20, cursor: str | None = None
    ) -> DeadPage:
        """One page of the images that failed for good, newest first. For admins."""
        query = {"code": code, "model": model, "owner": owner, "limit": str(limit), "cursor": cursor}
        return await self._get(
            "/admin/dead", DeadPage, {name: value for name, value in query.items() if value}
        )

    async def replay(self, image_id: str) -> Job:
        """Run one dead image of any owner again: a new paid attempt. For admins."""
        return await self._post(f"/admin/dead/{escaped(image_id, safe='')}/replay", None, Job)

    async def replay_many(
        self, *, code: str = "", model: str = "", owner: str = "", every: bool = False, limit: int = 20
    ) -> Replayed:
        """Run the dead images that match again, up to `limit`; with `every` no filter is needed."""
        body = {"code": code, "model": model, "owner": owner, "all": every, "limit": limit}
        return await self._post("/admin/dead/replay", body, Replayed)

    async def _get(self, path: str, kind: type[_T], query: dict[str, str] | None = None) -> _T:
        call = Call(method="GET", path=BASE + path, query=query or {}, safe=True)
        return _decoded(await self._transport.send(call), kind)

    async def _post(
        self, path: str, body: dict[str, Any] | None, kind: type[_T], *, safe: bool = False
    ) -> _T:
        headers = {"Content-Type": "application/json"} if body else {}
        data = msgspec.json.encode(body) if body else None
        call = Call(method="POST", path=BASE + path, headers=headers, body=data, safe=safe)
        return _decoded(await self._transport.send(call), kind)


class _DownloadList(msgspec.Struct, frozen=True):
    images: tuple[Download, ...] = ()


def _key(given: str | None) -> dict[str, str]:
    return {"Idempotency-Key": given or uuid4().hex}


def _image_path(job_id: str, image_id: str) -> str:
    return f"/jobs/{escaped(job_id, safe='')}/images/{escaped(image_id, safe='')}"


def _decoded(reply: Reply, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except msgspec.DecodeError as error:
        raise ClientError(f"the service's reply cannot be read: {error}") from error
