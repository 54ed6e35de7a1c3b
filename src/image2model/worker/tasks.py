"""Which tasks a worker runs, from which queue, and what is done about one that is given up.

Who calls it: the process.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from arq.worker import Function

from image2model.store.keys import Queue
from image2model.worker.context import WorkerContext
from image2model.worker.deliver import deliver_webhook, end_as_failed
from image2model.worker.dispatch import task
from image2model.worker.finish_batch import announce_as_failed, finish_batch
from image2model.worker.generate import generate_model
from image2model.worker.given_up import fail_unexpected
from image2model.worker.house import cleanup
from image2model.worker.reconcile import reconcile
from image2model.worker.refresh import refresh_files
from image2model.worker.unexpected import Guarded, Work, nothing_to_undo


def _task(
    name: str, queue: Queue, work: Work[WorkerContext], give_up: Work[WorkerContext] = nothing_to_undo
) -> Function:
    return task(Guarded(name, queue, work, give_up))


FUNCTIONS: Final[Mapping[Queue, Sequence[Function]]] = {
    Queue.GENERATION: (_task("generate_model", Queue.GENERATION, generate_model, fail_unexpected),),
    Queue.BATCH: (
        _task("finish_batch", Queue.BATCH, finish_batch, announce_as_failed),
        _task("deliver_webhook", Queue.BATCH, deliver_webhook, end_as_failed),
        _task("refresh_files", Queue.BATCH, refresh_files),
    ),
    Queue.MAINTENANCE: (
        _task("reconcile", Queue.MAINTENANCE, reconcile),
        _task("cleanup", Queue.MAINTENANCE, cleanup),
    ),
}
