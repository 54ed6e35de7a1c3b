"""Makes what a generation asks for: reads the pictures, makes the files in a thread, and files them.

Opened by the studio with the first generation: what decodes and draws takes a third of the start, and of the
memory of an emulator that has nothing to do.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from urllib.parse import urlsplit
from zlib import crc32

import msgspec

from fal_emulator import refusals
from fal_emulator.config import Config
from fal_emulator.cutouts import cut_out, size_of
from fal_emulator.faults import Fault
from fal_emulator.files import Files, StoredFile
from fal_emulator.generation import Answer, Generation, Phase
from fal_emulator.loading import Loaded, LoadError, load
from fal_emulator.making import Job, altered_format, build
from fal_emulator.model_files import OCTETS, ModelFile, ModelFiles
from fal_emulator.outputs import Part, Run, file_object, filled, layout, parts
from fal_emulator.picture import PictureError
from fal_emulator.picture_size import SizeError
from fal_emulator.relations import Origins, OutputFile, mark_of, sha256
from fal_emulator.validation import InputError, accept

_TRANSFERS = (Fault.FILE_SLOW, Fault.FILE_STUCK, Fault.FILE_EMPTY, Fault.FILE_HTML, Fault.FILE_REDIRECT)

_CONTENT_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp", "gif": "image/gif"}
_LEVELS = {"low": 128, "medium": 512, "high": 1024}
"""Triangles by `face_level`."""
_MAX_OBJECTS = 8
_RECENT = 32
"""Results whose files are kept to be handed out again, some 70 KB each."""


class _Made(msgspec.Struct, frozen=True):
    """One file of a result; a caller's own file has a content type of its own."""

    data: bytes | memoryview
    sha256: str
    content_type: str = ""


class Workshop:
    """`model_files` are handed out in place of what would be made, where there are any. `thread`: one
    thread, in which models are made one after the other."""

    def __init__(
        self, files: Files, origins: Origins, model_files: ModelFiles, config: Config, thread: Executor
    ) -> None:
        self._files = files
        self._origins = origins
        self._model_files = model_files
        self._config = config
        self._thread = thread
        self._recent: OrderedDict[tuple[object, ...], dict[str, _Made]] = OrderedDict()

    async def answer(self, generation: Generation) -> Answer:
        """The result, or what FAL says of an input of which nothing can be made."""
        try:
            generation.input = accept(generation.endpoint, generation.input)
            return await self._make(generation)
        except InputError as error:
            return refusals.invalid_fields(error.mistakes)
        except SizeError as error:
            return refusals.invalid_input(
                str(error), error.kind, ("body", *error.loc), error.given, error.ctx
            )
        except LoadError as error:
            return refusals.invalid_input(str(error), error.kind, ("body", *error.loc), error.given)
        except PictureError as error:
            return refusals.invalid_input(
                f"Failed to load the image: {error}", "image_load_error", *refusals.picture_field(generation)
            )

    async def _make(self, generation: Generation) -> Answer:
        loaded = await load(generation, self._files, self._origins)
        given = None if generation.endpoint.removes_background else self._model_files.next()
        run = _run(generation, given, loaded.pictures[0])
        result = layout(run)
        wanted = {part.name: part for part in parts(result) if given is None or part != run.model}
        job = Job(
            pictures=loaded.pictures,
            shape=loaded.shape,
            mark=_mark(run, loaded),
            parts=tuple(sorted(wanted.values(), key=lambda part: part.use != "model")),
            faults=generation.faults,
            limit=_limit(run),
            grid=self._config.grid,
            texture=self._config.texture,
        )
        make = cut_out if generation.endpoint.removes_background else build
        made = await asyncio.get_running_loop().run_in_executor(self._thread, self._made, make, job, given)
        if generation.phase is Phase.COMPLETED:
            return refusals.cancelled()
        return Answer(200, filled(result, self._filing(generation, made)))

    def _made(
        self, make: Callable[[Job], dict[str, bytes]], job: Job, given: ModelFile | None
    ) -> dict[str, _Made]:
        """Every file of the result by its name. Runs in the thread.

        What was made last is kept, because a benchmark sends the same few pictures over and over, and the
        service under test shares the cores.
        """
        key = (job.mark, job.parts, job.limit)  # the mark stands for the endpoint and its input
        made = None if job.faults else self._recent.pop(key, None)
        if made is None:
            made = {name: _Made(data, sha256(data)) for name, data in make(job).items()}
        if not job.faults:
            self._recent[key] = made
            if len(self._recent) > _RECENT:
                self._recent.popitem(last=False)
        if given is None:
            return made
        return made | {given.name: _Made(given.data, self._model_files.digest(given), given.content_type)}

    def _filing(
        self, generation: Generation, made: Mapping[str, _Made]
    ) -> Callable[[Part], dict[str, object]]:
        """Stores each file of the result once, and says FAL's File of it."""
        stored: dict[str, dict[str, object]] = {}

        def file(part: Part) -> dict[str, object]:
            if part.name not in stored:
                stored[part.name] = self._put(generation, part, made[part.name])
            return stored[part.name]

        return file

    def _put(self, generation: Generation, part: Part, made: _Made) -> dict[str, object]:
        if part.use == "model":
            said = self._put_model(generation, part, made)
        elif part.use == "preview":
            said = self._put_preview(generation, made)
        else:
            said = self._put_side(generation, part, made)
        if generation.endpoint.removes_background:
            width, height = size_of(bytes(made.data))
            said |= {"width": width, "height": height}
        return said

    def _put_model(self, generation: Generation, part: Part, made: _Made) -> dict[str, object]:
        """The model; one that is cut is announced with its whole size."""
        data, faults = made.data, generation.faults
        if Fault.MODEL_TRUNCATED in faults:
            data = data[: len(data) // 2]
        kind = made.content_type or _CONTENT_TYPES.get(part.format, OCTETS)
        file = StoredFile(kind, part.name, transfer=_transfer(generation, "model"), data=data)
        file.shared = isinstance(data, memoryview)
        if Fault.MODEL_MISSING not in faults:
            self._store(generation, file, made.sha256 if data is made.data else sha256(data))
        return _object(generation, file, generation.base_url, len(made.data))

    def _put_preview(self, generation: Generation, made: _Made) -> dict[str, object]:
        transfer = _transfer(generation, "preview")
        file = StoredFile("image/jpeg", "preview.jpg", transfer=transfer, data=made.data)
        elsewhere = Fault.PREVIEW_ELSEWHERE in generation.faults
        file.partner = elsewhere
        if (late := generation.faults.get(Fault.PREVIEW_LATE)) is not None:
            file.visible_at = time.monotonic() + float(late)
        if Fault.PREVIEW_MISSING not in generation.faults:
            self._store(generation, file, made.sha256)
        return _object(generation, file, self._elsewhere(generation) if elsewhere else generation.base_url)

    def _put_side(self, generation: Generation, part: Part, made: _Made) -> dict[str, object]:
        kind = _CONTENT_TYPES.get(part.format, OCTETS)
        file = StoredFile(kind, part.name, transfer=_transfer(generation, "all"), data=made.data)
        self._store(generation, file, made.sha256)
        return _object(generation, file, generation.base_url)

    def _store(self, generation: Generation, file: StoredFile, digest: str) -> None:
        self._origins.add(digest, generation.request_id)
        generation.entry.outputs += (OutputFile(file.name, digest, len(file.data)),)
        path = _path(generation, file.name)
        file.request_id = generation.request_id
        file.acl = generation.lifecycle.acl
        file.expires_at = generation.lifecycle.expires_at()
        file.used_at = time.monotonic()
        self._files.put(path, file)

    def _elsewhere(self, generation: Generation) -> str:
        if self._config.elsewhere is None:
            return generation.base_url
        host, port = self._config.elsewhere
        host = host or urlsplit(generation.base_url).hostname or "127.0.0.1"
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _mark(run: Run, loaded: Loaded) -> str:
    """Another one for each endpoint, input file and parameter, the seed included; the same for the same."""
    fields = run.endpoint.parameters
    given = {name: value for name, value in run.arguments.items() if name in fields}
    return mark_of(run.endpoint.id, given, loaded.digests)


def _run(generation: Generation, given: ModelFile | None, picture: bytes) -> Run:
    """What is made, from the input with all defaults."""
    endpoint = generation.endpoint
    arguments = {**endpoint.defaults, **generation.input}
    kind = endpoint.file_format(arguments)
    if not endpoint.removes_background:
        kind = altered_format(generation.faults) or kind
    name = f"{'image' if endpoint.removes_background else 'model'}.{kind}"
    if given is not None:
        name, kind = given.name, given.name.rpartition(".")[2].lower()
    seed = arguments.get("seed")
    prompts = [arguments.get(field) for field in ("mask_urls", "point_prompts", "box_prompts")]
    return Run(
        endpoint=endpoint,
        model=Part(name, kind, "model"),
        arguments=arguments,
        request_id=generation.request_id,
        seconds=generation.latency,
        seed=seed if isinstance(seed, int) else crc32(picture),
        objects=min(_MAX_OBJECTS, max([1, *(len(found) for found in prompts if isinstance(found, list))])),
        null_mesh=Fault.NULL_MESH in generation.faults,
    )


def _limit(run: Run) -> int | None:
    """How many triangles the input allows; a row's default is far more than any relief has."""
    if (level := run.arguments.get("face_level")) is not None:
        return _LEVELS.get(str(level))
    limit = run.arguments.get(run.endpoint.limit) if run.endpoint.limit else None
    return limit if isinstance(limit, int) else None


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
