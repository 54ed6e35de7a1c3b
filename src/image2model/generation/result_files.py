"""The files of a result: the model, and the files beside it.

The model is tried for as long as FAL may have it. Files beside it must not delay the image for long. A file
that could not be fetched is named in the result's warnings; it never fails an image that has a model.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

import msgspec
import structlog

from image2model.decoding.memory import ByteBudget
from image2model.domain import ImageResult, Mesh, MissingFile, ResultWarning, WarningCode
from image2model.errors import FalResultGone, ImageFailure
from image2model.fal.errors import FalAddressRefused, FalUnreachable
from image2model.fal.files import MODEL, FalFile, model_rank
from image2model.generation.context import GenerationContext
from image2model.generation.fetch_file import Fetched, NoStopwatch, Stopwatch, fetch_file
from image2model.generation.suspects import Suspect
from image2model.media.model_probe import NotAModel
from image2model.queue.retry import full_jitter
from image2model.storage.errors import StorageError
from image2model.storage.layout import ResultNames

_log: Final = structlog.get_logger(__name__)


class NotFetched(msgspec.Struct, frozen=True):
    """A file that could not be fetched."""

    file: FalFile
    code: WarningCode
    reason: str

    def warning(self, remark: str = "") -> ResultWarning:
        """The client's warning about it."""
        name = self.file.field or self.file.kind
        return ResultWarning(
            self.code, self.file.kind, f"FAL's {name} was not fetched: {self.reason}.{remark}"
        )

    def source(self) -> MissingFile:
        """What a refresh needs to try again."""
        file = self.file
        return MissingFile(file.kind, file.url, file.file_name, file.content_type, file.file_size)


Fetching = asyncio.Task[Fetched | NotFetched]


class ResultFetcher:
    """Fetches the files of one image's result."""

    def __init__(
        self, context: GenerationContext, names: ResultNames, suspect: Suspect | None = None
    ) -> None:
        self._suspect = suspect
        self._context = context
        self._patience = context.patience
        self._names = names

    async def fetch(self, files: Sequence[FalFile]) -> ImageResult:
        """Fetch all of them; the first is the model.

        Raises ImageFailure if no model can be fetched: `result_expired`; `result_invalid` if each is at an
        address that must not be called; `storage_failed`.
        """
        async with _tasks([self.fetch_side_file(file) for file in files[1:]]) as others:
            model = await self.fetch_model(files[0], others)
            sides = await asyncio.gather(*others)
        if isinstance(model, Fetched):
            return _assemble(model, sides)
        return await self._substitute(model, sides)

    async def fetch_model(self, file: FalFile, others: Sequence["Fetching"] = ()) -> Fetched | NotFetched:
        """Try a model for as long as FAL may have it; less long once one of the `others` is a model too.

        Raises ImageFailure `storage_failed`.
        """
        began = time.monotonic()
        denied_at: float | None = None
        for tries in count(1):
            try:
                async with self._context.fetches:
                    found = await self._fetch(file, NoStopwatch(), self._context.result_bytes)
                if (
                    found.measured is None
                    or not found.measured.truncated
                    or tries >= self._patience.cut_tries
                ):
                    return found
                reason, until = f"{found.measured.remark}", began + self._patience.model
            except FalAddressRefused as error:
                return _not_fetched(file, WarningCode.FILE_REFUSED, error)
            except (FalResultGone, NotAModel) as error:
                denied_at = time.monotonic() if denied_at is None else denied_at
                reason, until = _reason(file, error), denied_at + self._patience.grace
            except FalUnreachable as error:
                patience = self._patience.grace if _any_model(others) else self._patience.model
                reason, until = _reason(file, error), began + patience
            except StorageError as error:
                if time.monotonic() > began + self._patience.model:
                    raise _not_stored(error) from error
                reason, until = str(error), began + self._patience.model + 1
            if time.monotonic() >= until:
                return NotFetched(file, WarningCode.FILE_MISSING, reason)
            _log.warning("model_not_fetched_yet", image_id=self._names.image_id, reason=reason, tries=tries)
            await asyncio.sleep(full_jitter(tries, cap_s=self._patience.longest_pause))
        raise AssertionError("unreachable: the loop has no end")

    async def fetch_side_file(self, file: FalFile) -> Fetched | NotFetched:
        """Fetch a file beside the model. Give up if it brings no byte for `silence`, or has no end."""
        async with self._context.side_fetches:
            silence = self._patience.silence
            longest = self._patience.side
            try:
                async with asyncio.timeout(longest) as whole:
                    async with asyncio.timeout(silence) as limit:
                        return await self._try_side_file(file, _Silence(limit, silence))
            except TimeoutError:
                why = (
                    f"was not whole after {longest:g} s"
                    if whole.expired()
                    else f"brought no byte for {silence:g} s"
                )
                return NotFetched(file, WarningCode.FILE_MISSING, f"it {why}")

    async def _try_side_file(self, file: FalFile, stopwatch: "_Silence") -> Fetched | NotFetched:
        for tries in count(1):
            try:
                return await self._fetch(file, stopwatch, self._context.side_bytes)
            except FalAddressRefused as error:
                return _not_fetched(file, WarningCode.FILE_REFUSED, error)
            except (FalResultGone, NotAModel) as error:
                if tries > 1:
                    return _not_fetched(file, WarningCode.FILE_MISSING, error)
            except (FalUnreachable, StorageError) as error:
                if tries >= self._patience.side_tries:
                    return _not_fetched(file, WarningCode.FILE_MISSING, error)
            await asyncio.sleep(full_jitter(tries, cap_s=self._patience.longest_pause))
        raise AssertionError("unreachable: the loop has no end")

    async def _substitute(self, preferred: NotFetched, sides: Sequence[Fetched | NotFetched]) -> ImageResult:
        """The result with its best other model, and a warning that names the one that is missing."""
        rest = list(sides)
        if not any(isinstance(one, Fetched) and _is_model(one) for one in rest):
            async with _tasks([self._retry_as_model(one) for one in rest]) as trying:
                rest = await asyncio.gather(*trying)
        models = [one for one in rest if isinstance(one, Fetched) and _is_model(one)]
        if not models:
            raise _no_model(preferred, rest)
        return _assemble(models[0], rest, preferred)

    async def _retry_as_model(self, one: Fetched | NotFetched) -> Fetched | NotFetched:
        """Try a file that may be a model for as long as a model, now that one is needed."""
        if isinstance(one, NotFetched) and one.file.rank is not None:
            return await self.fetch_model(one.file)
        return one

    async def _fetch(self, file: FalFile, stopwatch: Stopwatch, memory: ByteBudget) -> Fetched:
        return await fetch_file(self._context, self._names, file, stopwatch, self._suspect, memory)


class _Silence:
    """A stopwatch that lets a timeout run only while the host is waited for."""

    def __init__(self, limit: asyncio.Timeout, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds

    def host(self) -> None:
        """Start the timeout anew."""
        self._move(asyncio.get_running_loop().time() + self._seconds)

    def paused(self) -> None:
        """Stop it."""
        self._move(None)

    def _move(self, when: float | None) -> None:
        if not self._limit.expired():
            self._limit.reschedule(when)


def _assemble(
    model: Fetched, sides: Sequence[Fetched | NotFetched], preferred: NotFetched | None = None
) -> ImageResult:
    """The result, with the model first. A model that replaces the `preferred` keeps its own entry too."""
    stored = [one for one in sides if isinstance(one, Fetched)]
    missing = [one for one in sides if isinstance(one, NotFetched)]
    warnings = [warning for one in (model, *stored) for warning in remarks(one)]
    if preferred is not None:
        remark = (
            f" The file {model.file.kind!r} is delivered in its place; a refresh may fetch the better one."
        )
        warnings = [preferred.warning(remark), *warnings[len(remarks(model)) :]]
        missing = [preferred, *missing]
    first = msgspec.structs.replace(model.file, kind=MODEL)
    return ImageResult(
        files=(first, *(one.file for one in stored)),
        mesh=mesh_of(model),
        warnings=(*warnings, *(one.warning() for one in missing if one is not preferred)),
        missing=tuple(one.source() for one in missing),
    )


def mesh_of(found: Fetched) -> Mesh | None:
    """The measures of a model, if there are any."""
    mesh = found.measured.mesh if found.measured is not None else None
    return Mesh(mesh.triangles, mesh.vertices, mesh.textures, mesh.bounds) if mesh is not None else None


def remarks(found: Fetched) -> list[ResultWarning]:
    """The client's warnings about a file that was fetched."""
    file = found.file
    if not found.known:
        name = f" {file.name!r}" if file.name else ""
        text = f"FAL's file{name} is in no format that this service knows; it is kept as it came."
        return [ResultWarning(WarningCode.FILE_UNKNOWN_FORMAT, file.kind, text)]
    if found.measured is not None and found.measured.remark is not None:
        text = f"The model was not checked in full: {found.measured.remark}. It is kept as it came."
        return [ResultWarning(WarningCode.FILE_NOT_CHECKED, file.kind, text)]
    return []


@asynccontextmanager
async def _tasks(
    work: Sequence[Coroutine[None, None, Fetched | NotFetched]],
) -> AsyncIterator[Sequence[Fetching]]:
    """Run the work concurrently; none of it outlives the block."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_model(found: Fetched) -> bool:
    """Whether a stored file may replace the model."""
    return model_rank(found.file.format) is not None


def _any_model(others: Sequence["Fetching"]) -> bool:
    done = [
        task.result() for task in others if task.done() and not task.cancelled() and task.exception() is None
    ]
    return any(isinstance(one, Fetched) and _is_model(one) for one in done)


def _not_fetched(file: FalFile, code: WarningCode, error: Exception) -> NotFetched:
    return NotFetched(file, code, _reason(file, error))


def _reason(file: FalFile, error: Exception) -> str:
    return str(error).replace(file.url[:200], "its URL").rstrip(".")


def _not_stored(error: Exception) -> ImageFailure:
    return ImageFailure("storage_failed", f"The result could not be stored: {error}", retryable=True)


def _no_model(preferred: NotFetched, others: Sequence[Fetched | NotFetched]) -> ImageFailure:
    missing = [
        preferred,
        *(one for one in others if isinstance(one, NotFetched) and one.file.rank is not None),
    ]
    reasons = "; ".join(f"{one.file.field or one.file.kind}: {one.reason}" for one in missing[:5])
    if all(one.code is WarningCode.FILE_REFUSED for one in missing):
        return ImageFailure("result_invalid", f"FAL's model must not be fetched: {reasons}.", retryable=True)
    return ImageFailure("result_expired", f"FAL's model could not be fetched: {reasons}.", retryable=True)
