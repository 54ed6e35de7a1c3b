"""When the work of a generation begins, and what becomes of one that is fated to fail.

Called by the runners when a generation starts; its answer becomes the generation's at the end of the latency.
The work itself is the workshop's.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from fal_emulator import refusals
from fal_emulator.config import Config
from fal_emulator.faults import Fault
from fal_emulator.files import Files
from fal_emulator.generation import Answer, Generation, Phase
from fal_emulator.model_files import ModelFiles
from fal_emulator.relations import Origins

if TYPE_CHECKING:
    from fal_emulator.workshop import Workshop

_BREATH = 1.0
"""Seconds, at most, before the work begins: a burst of submits is answered before models are made."""


class Studio:
    """`model_files` are handed out in place of what would be made, where there are any."""

    def __init__(self, files: Files, origins: Origins, model_files: ModelFiles, config: Config) -> None:
        self._files = files
        self._origins = origins
        self._model_files = model_files
        self._config = config
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="relief")
        self._tasks: set[asyncio.Task[Answer]] = set()
        self._workshop: Workshop | None = None

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
        workshop = self._workshop
        if workshop is None:
            workshop = await asyncio.get_running_loop().run_in_executor(self._threads, self._open_workshop)
        return await workshop.answer(generation)

    def _open_workshop(self) -> "Workshop":
        """Runs in the one thread, because its modules take a while to import."""
        if self._workshop is None:
            from fal_emulator.workshop import Workshop

            self._workshop = Workshop(
                self._files, self._origins, self._model_files, self._config, self._threads
            )
        return self._workshop


def _fated_failure(generation: Generation) -> Answer | None:
    faults = generation.faults
    if Fault.RUNNER_503 in faults:
        return refusals.runner_unreachable()
    if Fault.SERVER_ERROR in faults or faults.get(Fault.ENDPOINT_DOWN) == "result":
        return refusals.internal_error()
    if Fault.INVALID in faults:
        message = "The model could not make anything of this image"
        return refusals.model_error(message, "no_media_generated", *refusals.picture_field(generation))
    if Fault.SAFETY in faults:
        return refusals.unsafe(*refusals.picture_field(generation))
    if faults.get(Fault.STATUS_FAILED) == "failure":
        return refusals.failed()
    if faults.get(Fault.STATUS_CANCELLED) == "failure":
        return refusals.cancelled()
    if Fault.RESULT_ERROR in faults:
        return Answer(200, {"error": "The model ended without an output: out of memory"})
    return None
