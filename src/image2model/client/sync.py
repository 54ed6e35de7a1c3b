"""The same client for programs without an event loop: a private loop runs in a thread.

Each method blocks for as long as its async counterpart runs.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, TypeVar

from image2model.client.aio import AsyncClient
from image2model.client.documents import Comparison, ComparisonQuote, Download, Job, JobPage, Quote
from image2model.client.events import Event
from image2model.client.form import Source
from image2model.client.model_documents import Model, ModelList
from image2model.client.transport import OnTrouble

_T = TypeVar("_T")


class Client:
    """See `AsyncClient`; use it in `with`, or call `close`."""

    def __init__(self, url: str, key: str | None = None, *, patience: float = 60.0) -> None:
        self._client = AsyncClient(url, key, patience=patience)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="image2model-client", daemon=True)
        self._thread.start()
        self._run(self._client.__aenter__())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections and end the thread."""
        if self._loop.is_closed():
            return
        self._run(self._client.__aexit__())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def on_trouble(self, on_trouble: OnTrouble) -> None:
        """Call `on_trouble` with the reason, in the client's thread, before a call is tried again."""
        self._client.on_trouble(on_trouble)

    hear_trouble = on_trouble  # the name before, for programs that use it

    def submit(self, pictures: Sequence[Source], **options: Any) -> Job:
        """Upload one batch; `options` are those of `AsyncClient.submit`."""
        return self._run(self._client.submit(pictures, **options))

    def quote(self, pictures: Sequence[Source], **options: Any) -> Quote:
        """What a `submit` would cost; `options` are those of `AsyncClient.quote`."""
        return self._run(self._client.quote(pictures, **options))

    def compare(self, pictures: Sequence[Source], models: Sequence[str], **options: Any) -> Comparison:
        """Upload one batch for several models; see `AsyncClient.compare`."""
        return self._run(self._client.compare(pictures, models, **options))

    def quote_comparison(
        self, pictures: Sequence[Source], models: Sequence[str], **options: Any
    ) -> ComparisonQuote:
        """What a `compare` would cost; see `AsyncClient.quote_comparison`."""
        return self._run(self._client.quote_comparison(pictures, models, **options))

    def derive(self, job_id: str, image_id: str, **options: Any) -> Job:
        """Run a second step on a finished image; see `AsyncClient.derive`."""
        return self._run(self._client.derive(job_id, image_id, **options))

    def confirm(self, job_id: str, image_id: str, *, accept: bool = True) -> Job:
        """Let an image go on with its prepared pictures, or cancel it; see `AsyncClient.confirm`."""
        return self._run(self._client.confirm(job_id, image_id, accept=accept))

    def models(self) -> ModelList:
        """The models on offer, with their parameters and prices."""
        return self._run(self._client.models())

    def model(self, model_id: str) -> Model:
        """One model on offer."""
        return self._run(self._client.model(model_id))

    def refresh_models(self) -> None:
        """Let the service read FAL's list of models now. For admins."""
        self._run(self._client.refresh_models())

    def job(self, job_id: str) -> Job:
        """The job document."""
        return self._run(self._client.job(job_id))

    def jobs(self, **options: Any) -> JobPage:
        """One page of the caller's jobs, newest first; `options` are those of `AsyncClient.jobs`."""
        return self._run(self._client.jobs(**options))

    def events(self, job_id: str | None = None, *, last_event_id: str | None = None) -> Iterator[Event]:
        """Events of one job or of all, as they come."""
        events = self._client.events(job_id, last_event_id=last_event_id)
        try:
            while (event := self._run(_next(events))) is not None:
                yield event
        finally:
            self._run(_close(events))

    def downloads(self, job_id: str) -> tuple[Download, ...]:
        """The files of each image of a job."""
        return self._run(self._client.downloads(job_id))

    def thumbnail(self, job_id: str, image_id: str) -> bytes:
        """The uploaded picture as a WebP of at most 256 px."""
        return self._run(self._client.thumbnail(job_id, image_id))

    def download(
        self, job_id: str, image_id: str, target: str | os.PathLike[str], *, file: str = "model"
    ) -> int:
        """Save one file of an image; see `AsyncClient.download`."""
        return self._run(self._client.download(job_id, image_id, target, file=file))

    def cancel(self, job_id: str) -> Job:
        """Cancel the unfinished images."""
        return self._run(self._client.cancel(job_id))

    def retry(
        self, job_id: str, *, image_ids: Iterable[str] | None = None, params: Mapping[str, Any] | None = None
    ) -> Job:
        """Run failed images again."""
        return self._run(self._client.retry(job_id, image_ids=image_ids, params=params))

    def refresh_files(self, job_id: str, image_id: str) -> Job:
        """Fetch an image's missing files again; see `AsyncClient.refresh_files`."""
        return self._run(self._client.refresh_files(job_id, image_id))

    def delete(self, job_id: str) -> None:
        """Erase a job."""
        self._run(self._client.delete(job_id))

    def _run(self, call: Coroutine[Any, Any, _T]) -> _T:
        future = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)


async def _close(events: AsyncIterator[Event]) -> None:
    close = getattr(events, "aclose", None)
    if close is not None:
        await close()
