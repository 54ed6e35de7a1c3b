"""Does the work of a generation: fetches the picture, makes the model in a worker thread, files the result.

Called by the runners when a generation starts; its answer becomes the generation's at the end of the latency.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

import msgspec

from fal_emulator.faults import Fault
from fal_emulator.fbx import write_fbx
from fal_emulator.files import Files, StoredFile
from fal_emulator.formats import write_obj, write_splat, write_stl
from fal_emulator.generation import Answer, Generation, Phase
from fal_emulator.glb import write_glb
from fal_emulator.outputs import Made, file_object
from fal_emulator.picture import PictureError, read_picture
from fal_emulator.refusals import cancelled, internal_error, model_error, runner_unreachable
from fal_emulator.relief import make_relief
from fal_emulator.source import SourceError, load_picture
from fal_emulator.validation import InputError, check_input, picture_urls

_BREATH = 1.0
"""Seconds, at most, before the work begins: a burst of submits is answered before models are made."""

_CONTENT_TYPE = "application/octet-stream"  # what FAL often says of a GLB


class _Built(msgspec.Struct, frozen=True):
    """The files of one generation."""

    model: bytes
    image: bytes
    splat: bytes | None


class Studio:
    """`grid` cells on a relief's long side, `texture` pixels on its texture's."""

    def __init__(self, files: Files, grid: int, texture: int) -> None:
        self._files = files
        self._grid = grid
        self._texture = texture
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
            return cancelled()
        failure = _fated_failure(generation)
        if failure is not None:
            return failure
        try:
            check_input(generation.endpoint, generation.input)
            return await self._make(generation)
        except InputError as error:
            return model_error(error.message, error.kind, ("body", *error.loc), error.given)
        except (SourceError, PictureError) as error:
            message = f"Failed to load the image: {error}"
            loc = ("body", generation.endpoint.picture)
            given = generation.entry.input
            return model_error(message, "image_load_error", loc, _field(given, generation.endpoint.picture))

    async def _make(self, generation: Generation) -> Answer:
        url = picture_urls(generation.endpoint, generation.input)[0]
        data = await load_picture(url, self._files, generation.base_url)
        loop = asyncio.get_running_loop()
        built = await loop.run_in_executor(self._threads, self._build, generation, data)
        if generation.phase is Phase.COMPLETED:
            return cancelled()
        return Answer(200, self._file(generation, built))

    def _build(self, generation: Generation, data: bytes) -> _Built:
        endpoint, arguments = generation.endpoint, generation.input
        picture = read_picture(data, self._texture)
        limit = arguments.get(endpoint.limit) if endpoint.limit else None
        relief = make_relief(picture, self._grid, limit if isinstance(limit, int) else None)
        writers = {"glb": write_glb, "obj": write_obj, "stl": write_stl, "fbx": write_fbx}
        model = writers[endpoint.file_format(arguments)](relief)
        splat = write_splat(relief, picture.texture) if endpoint.id == "fal-ai/sam-3/3d-objects" else None
        return _Built(model, relief.jpeg, splat)

    def _file(self, generation: Generation, built: _Built) -> dict[str, object]:
        kind = generation.endpoint.file_format(generation.input)
        model = built.model
        if generation.fate is Fault.MODEL_TRUNCATED:
            model = model[: len(model) // 2]
        seed = generation.input.get("seed")
        made = Made(
            model=self._put(generation, f"model.{kind}", model, _CONTENT_TYPE),
            image=self._put(generation, "preview.jpg", built.image, "image/jpeg"),
            splat=self._put(generation, "splat.ply", built.splat, _CONTENT_TYPE) if built.splat else None,
            request_id=generation.request_id,
            seconds=generation.latency,
            seed=seed if isinstance(seed, int) else crc32(built.image),
            format=kind,
            pbr=generation.input.get("pbr") is True,
            null_mesh=generation.fate is Fault.NULL_MESH,
        )
        if generation.fate is Fault.MODEL_MISSING:
            self._files.remove(f"files/{generation.request_id}/model.{kind}")
        return generation.endpoint.output(made)

    def _put(self, generation: Generation, name: str, data: bytes, content_type: str) -> dict[str, object]:
        path = f"files/{generation.request_id}/{name}"
        self._files.put(path, StoredFile(data, content_type, name))
        self._files.mark_used(path)
        return file_object(f"{generation.base_url}/{path}", name, len(data), content_type)


def _fated_failure(generation: Generation) -> Answer | None:
    if generation.fate is Fault.RUNNER_503:
        return runner_unreachable()
    if generation.fate is Fault.SERVER_ERROR:
        return internal_error()
    if generation.fate is Fault.INVALID:
        field = generation.endpoint.picture
        message = "The model could not make anything of this image"
        return model_error(
            message, "no_media_generated", ("body", field), _field(generation.entry.input, field)
        )
    return None


def _field(recorded: object, name: str) -> object:
    return recorded.get(name) if isinstance(recorded, dict) else None
