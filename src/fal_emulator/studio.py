"""Does the work of a generation: fetches the picture, makes the model in a worker thread, files the result.

Called by the runners when a generation starts; its answer becomes the generation's at the end of the latency.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit
from zlib import crc32

from fal_emulator import refusals
from fal_emulator.config import Config
from fal_emulator.faults import Fault
from fal_emulator.files import Files, StoredFile
from fal_emulator.generation import Answer, Generation, Phase
from fal_emulator.making import Built, build
from fal_emulator.model_files import OCTETS, ModelFile, ModelFiles
from fal_emulator.outputs import Made, file_object
from fal_emulator.picture import PictureError
from fal_emulator.source import SourceError, load_picture
from fal_emulator.validation import InputError, check_input, picture_urls

_BREATH = 1.0
"""Seconds, at most, before the work begins: a burst of submits is answered before models are made."""

_TRANSFERS = (Fault.FILE_SLOW, Fault.FILE_STUCK, Fault.FILE_EMPTY, Fault.FILE_HTML, Fault.FILE_REDIRECT)


class Studio:
    """`model_files` are handed out in place of what would be made, where there are any."""

    def __init__(self, files: Files, model_files: ModelFiles, config: Config) -> None:
        self._files = files
        self._model_files = model_files
        self._config = config
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="relief")
        self._tasks: set[asyncio.Task[Answer]] = set()

    def close(self) -> None:
        """Drop all work; a model that is being made is left to end by itself."""
        for task in self._tasks:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def work(self, generation: Generation) -> asyncio.Future[Answer]:
        """Start the work; the future never fails, a failure is an answer too."""
        task = asyncio.create_task(self._answer(generation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _answer(self, generation: Generation) -> Answer:
        await asyncio.sleep(min(generation.latency / 4, _BREATH))
        if generation.phase is Phase.COMPLETED:
            return refusals.cancelled()
        failure = _fated_failure(generation)
        if failure is not None:
            return failure
        try:
            check_input(generation.endpoint, generation.input)
            return await self._make(generation)
        except InputError as error:
            return refusals.invalid_input(error.message, error.kind, ("body", *error.loc), error.given)
        except (SourceError, PictureError) as error:
            return refusals.invalid_input(
                f"Failed to load the image: {error}", "image_load_error", *_picture_field(generation)
            )

    async def _make(self, generation: Generation) -> Answer:
        url = picture_urls(generation.endpoint, generation.input)[0]
        data = await load_picture(url, self._files, generation.base_url)
        built = await asyncio.get_running_loop().run_in_executor(self._threads, self._build, generation, data)
        if generation.phase is Phase.COMPLETED:
            return refusals.cancelled()
        return Answer(200, generation.endpoint.output(self._file(generation, built)))

    def _build(self, generation: Generation, data: bytes) -> Built:
        return build(
            generation.endpoint,
            generation.input,
            generation.faults,
            data,
            grid=self._config.grid,
            texture=self._config.texture,
        )

    def _file(self, generation: Generation, built: Built) -> Made:
        given = self._model_files.next()
        model = ModelFile(f"model.{built.kind}", OCTETS, built.model) if given is None else given
        kind = built.kind if given is None else model.name.rpartition(".")[2].lower()
        seed = generation.input.get("seed")
        return Made(
            model=self._put_model(generation, model),
            image=self._put_preview(generation, built.image),
            splat=self._put_side(generation, "splat.ply", built.splat) if built.splat else None,
            archive=self._put_side(generation, "artifacts.zip", built.archive) if built.archive else None,
            variants={
                name: self._put_side(generation, f"model.{name}", data)
                for name, data in built.variants.items()
                if name != kind
            },
            request_id=generation.request_id,
            seconds=generation.latency,
            seed=seed if isinstance(seed, int) else crc32(built.image),
            format=kind,
            pbr=generation.input.get("pbr") is True or generation.input.get("enable_pbr") is True,
            textured=generation.input.get("should_texture") is not False,
            null_mesh=Fault.NULL_MESH in generation.faults,
        )

    def _put_model(self, generation: Generation, model: ModelFile) -> dict[str, object]:
        """The model; one that is cut is announced with its whole size."""
        data, faults = model.data, generation.faults
        if Fault.MODEL_TRUNCATED in faults:
            data = data[: len(data) // 2]
        file = StoredFile(data, model.content_type, model.name, transfer=_transfer(generation, "model"))
        file.shared = isinstance(data, memoryview)
        if Fault.MODEL_MISSING not in faults:
            self._store(generation, file)
        return _object(generation, file, generation.base_url, len(model.data))

    def _put_preview(self, generation: Generation, data: bytes) -> dict[str, object]:
        transfer = _transfer(generation, "preview")
        file = StoredFile(data, "image/jpeg", "preview.jpg", transfer=transfer)
        elsewhere = Fault.PREVIEW_ELSEWHERE in generation.faults
        file.partner = elsewhere
        if (late := generation.faults.get(Fault.PREVIEW_LATE)) is not None:
            file.visible_at = time.monotonic() + float(late)
        if Fault.PREVIEW_MISSING not in generation.faults:
            self._store(generation, file)
        return _object(generation, file, self._elsewhere(generation) if elsewhere else generation.base_url)

    def _put_side(self, generation: Generation, name: str, data: bytes) -> dict[str, object]:
        file = StoredFile(data, OCTETS, name, transfer=_transfer(generation, "all"))
        self._store(generation, file)
        return _object(generation, file, generation.base_url)

    def _store(self, generation: Generation, file: StoredFile) -> None:
        path = _path(generation, file.name)
        file.request_id = generation.request_id
        file.acl = generation.lifecycle.acl
        file.expires_at = generation.lifecycle.expires_at()
        self._files.put(path, file)
        self._files.mark_used(path)

    def _elsewhere(self, generation: Generation) -> str:
        if self._config.elsewhere is None:
            return generation.base_url
        host, port = self._config.elsewhere
        host = host or urlsplit(generation.base_url).hostname or "127.0.0.1"
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _path(generation: Generation, name: str) -> str:
    return f"files/{generation.request_id}/{name}"


def _object(
    generation: Generation, file: StoredFile, base_url: str, size: int | None = None
) -> dict[str, object]:
    url = f"{base_url}/{_path(generation, file.name)}"
    return file_object(url, file.name, len(file.data) if size is None else size, file.content_type)


def _transfer(generation: Generation, which: str) -> Fault | None:
    """The fault that the transfer of the model, of the preview, or of the other files (`all`) meets."""
    for fault in _TRANSFERS:
        if generation.faults.get(fault) in {which, "all"}:
            return fault
    return None


def _fated_failure(generation: Generation) -> Answer | None:
    faults = generation.faults
    if Fault.RUNNER_503 in faults:
        return refusals.runner_unreachable()
    if Fault.SERVER_ERROR in faults or faults.get(Fault.ENDPOINT_DOWN) == "result":
        return refusals.internal_error()
    if Fault.INVALID in faults:
        message = "The model could not make anything of this image"
        return refusals.model_error(message, "no_media_generated", *_picture_field(generation))
    if Fault.SAFETY in faults:
        return refusals.unsafe(*_picture_field(generation))
    if faults.get(Fault.STATUS_FAILED) == "failure":
        return refusals.failed()
    if faults.get(Fault.STATUS_CANCELLED) == "failure":
        return refusals.cancelled()
    if Fault.RESULT_ERROR in faults:
        return Answer(200, {"error": "The model ended without an output: out of memory"})
    return None


def _picture_field(generation: Generation) -> tuple[tuple[str | int, ...], object]:
    """Where the picture is in the input, and what was given there."""
    name, recorded = generation.endpoint.picture, generation.entry.input
    return ("body", name), recorded.get(name) if isinstance(recorded, dict) else None
