"""A worker process: which functions run on which queue, the loops beside them, start and stop.

On SIGTERM or SIGINT it picks nothing more, releases every task and waits for submits under way, all within
I2M_SHUTDOWN_GRACE: only this process knows their request ids. What still hangs after the grace is cut off.
A process that is due to be replaced (`recycling`) ends in the same way, but lets what runs end first.
"""

import asyncio
import gc
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any, Final

import structlog
from arq.worker import Function
from prometheus_client import start_http_server
from redis.asyncio import Redis

from image2model.catalogue.refresh import Refresher
from image2model.decoding.memory import ByteBudget
from image2model.errors import ConfigurationError
from image2model.fal.endpoints import DEFAULT_MODEL
from image2model.fal.follow import FollowPace
from image2model.fal.gateway import FalGateway, other_hosts_session
from image2model.fal.hosts import FalHosts
from image2model.fal.privacy import fal_privacy
from image2model.fetching.fetch_pictures import PAUSES_S, fail_fetch, fetch_pictures
from image2model.fetching.session import fetch_session
from image2model.generation import costs, fal_deletions
from image2model.generation.context import GenerationContext, observe_fal_request
from image2model.generation.delete_at_fal import delete_at_fal
from image2model.generation.generate import generate_model
from image2model.generation.refresh import refresh_files
from image2model.generation.unexpected import fail_unexpected
from image2model.network.fetch import Fetcher
from image2model.operations.housekeeping import cleanup, schedule_cleanup
from image2model.operations.reconciler import RECONCILE_S, reconcile, schedule_reconcile
from image2model.queue import fleet
from image2model.queue.dispatch import LeasedWorker, arq_function
from image2model.queue.leases import LeaseRenewer
from image2model.queue.notifications import NotificationListener
from image2model.queue.probes import probe_forever
from image2model.queue.unexpected import GuardedTask, Work, no_cleanup
from image2model.settings import Settings
from image2model.storage.address import open_storage
from image2model.storage.objects import ObjectStorage
from image2model.store.connection import StoreOutage, connect
from image2model.store.identity import StoreWatch
from image2model.store.keys import Queue
from image2model.telemetry import metrics, tracing
from image2model.telemetry.tasks import count_tasks
from image2model.telemetry.unexpected import keep_running
from image2model.webhooks.deliver import (
    WebhookSender,
    announce_as_failed,
    deliver_webhook,
    end_as_failed,
    finish_batch,
)
from image2model.worker.recycling import Recycling

_log = structlog.get_logger(__name__)

_REPEAT_CANCEL_S: Final = 0.05
_ENDING_S: Final = 3.0
"""How long after the grace the process is cut off."""
_TASK_SLOTS: Final = {Queue.BATCH: 32, Queue.MAINTENANCE: 4, Queue.FETCH: 16}
"""Webhooks wait for slow receivers, which must not delay the end of the next batch."""
_COLLECT_AFTER: Final = (10_000, 20, 100)
"""New objects before a garbage collection, and collections of younger ones before one of older ones. What a
picture makes has few cycles: at Python's 700 a worker spent a twentieth of its time looking for them."""
_FETCHED_BYTES: Final = 256 << 20
"""Bytes of pictures that are held at once while they are fetched."""


class WorkerContext(GenerationContext):
    """What all tasks of a worker process share. The process opens `webhooks` and `fetched`."""

    fetch_pauses: tuple[float, ...] = PAUSES_S

    def __init__(self, settings: Settings, redis: Redis, storage: ObjectStorage, fal: FalGateway) -> None:
        super().__init__(settings, redis, storage, fal)
        self.webhooks = WebhookSender(allow_private=settings.webhook_allow_private)
        self.fetched = fetch_session(allow_private=settings.fetch_allow_private)
        room = ByteBudget(_FETCHED_BYTES)
        self.fetcher = Fetcher(self.fetched, most=settings.max_file_bytes, room=room.hold)


def _task(
    name: str, queue: Queue, work: Work[WorkerContext], give_up: Work[WorkerContext] = no_cleanup
) -> Function:
    return arq_function(GuardedTask(name, queue, work, give_up))


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
        _task("delete_at_fal", Queue.MAINTENANCE, delete_at_fal),
    ),
    Queue.FETCH: (_task("fetch_pictures", Queue.FETCH, fetch_pictures, fail_fetch),),
}


def run(settings: Settings, queues: Sequence[str] = tuple(Queue)) -> None:
    """Work until SIGTERM or SIGINT. Raises ConfigurationError before anything is opened."""
    if settings.redis_url is None:
        raise ConfigurationError(["I2M_REDIS_URL: must be set for a worker; `image2model up` brings its own"])
    if not settings.fal_key and not settings.fal_base_url:
        raise ConfigurationError(["FAL_KEY: must be set for a worker, or I2M_FAL_BASE_URL for the emulator"])
    tracing.start(settings.otel_endpoint, process="worker")
    try:
        _run_loop(_main(settings, tuple(map(Queue, queues))))
    finally:
        tracing.stop()


def _run_loop(main: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _main(settings: Settings, queues: tuple[Queue, ...]) -> None:
    gc.set_threshold(*_COLLECT_AFTER)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    if settings.worker_metrics_port is not None:
        start_http_server(settings.worker_metrics_port, registry=metrics.REGISTRY)
    async with _opened(settings) as context:
        process = WorkerProcess(context, queues)
        await process.run(stopping)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[WorkerContext]:
    assert settings.redis_url is not None  # noqa: S101 - checked by `run`
    redis = connect(settings.redis_url)
    storage = open_storage(settings.storage_url)
    fal = FalGateway(
        settings.fal_key or "emulator:emulator",
        FalHosts.at(settings.fal_base_url),
        observer=observe_fal_request,
        pace=FollowPace(grace=settings.unconfirmed_grace),
        other_hosts=other_hosts_session(allow_private=settings.webhook_allow_private),
        privacy=fal_privacy(settings),
    )
    async with redis, fal:
        context = WorkerContext(settings, redis, storage, fal)
        costs.initialise_counters([DEFAULT_MODEL])
        try:
            async with context.webhooks, context.fetched:
                yield context
        finally:
            context.close()
            await context.hazard.aclose()


class WorkerProcess:
    """The dispatchers, lease renewer, notification listener and heartbeat of one process."""

    def __init__(self, context: WorkerContext, queues: tuple[Queue, ...]) -> None:
        self._context = context
        self.worker_id = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._started_at = int(time.time() * 1000)
        self._lease_renewer = LeaseRenewer(context, queues)
        self._workers = {queue: self._dispatcher(queue) for queue in queues}
        self._store = StoreWatch(context.redis, self.worker_id)
        self._refresher = Refresher(
            context.redis,
            context.catalogue,
            context.fal,
            context.fal.hosts,
            context.settings.fal_admin_key,
        )
        self._recycling = Recycling(context.settings)
        context.on_image_end = self._recycling.note_end
        self._listener = NotificationListener(
            context, self._workers, self._store, context.catalogue.notify, worker_id=self.worker_id
        )

    def _dispatcher(self, queue: Queue) -> LeasedWorker:
        slots = _TASK_SLOTS.get(queue, self._context.settings.worker_concurrency)
        return LeasedWorker(
            queue, FUNCTIONS[queue], self._context, self._lease_renewer, worker_id=self.worker_id, slots=slots
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set or the process is due to be replaced, then release everything within
        the grace.

        Raises ConfigurationError for a store that a newer release writes.
        """
        with suppress(StoreOutage):  # the loops wait for a store that is away
            await self._store.refresh()
        background = [asyncio.create_task(keep_running(name, loop)) for name, loop in self._loops()]
        _log.info("worker_ready", worker=self.worker_id, queues=[queue.value for queue in self._workers])
        stopped, due = asyncio.create_task(stopping.wait()), asyncio.create_task(self._recycling.due())
        await asyncio.wait([stopped, due, *background], return_when=asyncio.FIRST_COMPLETED)
        if due.done():
            _log.info("worker_recycled", worker=self.worker_id, **due.result())
            await self._drain(stopped)
        for one in (stopped, due):
            one.cancel()
        broken = [running for running in background if running.done()]
        exit_after(self._context.settings.shutdown_grace + _ENDING_S)
        await self._release_all()
        await end_other_tasks()
        for running in broken:
            running.result()  # it failed again and again: the process exits, and its supervisor restarts it

    def _loops(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """The loops that run beside the tasks, by name. None of them ends by itself."""
        yield "store", self._store.run
        yield "leases", self._lease_renewer.run
        yield "queue_notifications", self._listener.run
        yield "heartbeat", self._heartbeat_forever
        yield "housekeeping", self._schedule_maintenance
        yield "probe", partial(probe_forever, self._context)
        yield "tasks", partial(count_tasks, "worker")
        yield "catalogue", self._context.catalogue.run
        if Queue.MAINTENANCE in self._workers:
            yield "catalogue_refresh", self._refresher.run
        for queue, worker in self._workers.items():
            yield f"dispatch:{queue.value}", partial(self._supervise, worker)

    async def _supervise(self, worker: LeasedWorker) -> None:
        """Restart ARQ's loop, which ends when the connection to the store is lost."""
        while True:
            try:
                await worker.async_run()
            except StoreOutage as error:
                _log.warning("dispatcher_lost_store", error=str(error))
            await asyncio.sleep(0.5)

    async def _drain(self, stopped: asyncio.Task[Any]) -> None:
        """Start nothing more, and let what runs end, for as long as a stop may take: nobody is in a hurry."""
        draining = asyncio.gather(*(worker.drain() for worker in self._workers.values()))
        grace = self._context.settings.shutdown_grace
        await asyncio.wait([draining, stopped], timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        draining.cancel()

    async def _release_all(self) -> None:
        """Release every task, then wait for the submits under way, whose ids only this process knows."""
        _log.info(
            "releasing_tasks", running=len(self._context.running), submits=len(self._context.submissions)
        )
        try:
            async with asyncio.timeout(self._context.settings.shutdown_grace):
                await asyncio.gather(*(worker.stop() for worker in self._workers.values()))
                while self._context.submissions:
                    await asyncio.wait(list(self._context.submissions))
                await fleet.leave(self._context.redis, self.worker_id)
        except (TimeoutError, StoreOutage) as error:
            _log.warning("tasks_not_released_in_time", error=repr(error))

    async def _heartbeat_forever(self) -> None:
        while True:
            try:
                beat = await fleet.heartbeat(self._context.redis, self._heartbeat())
                self._context.activity.workers = beat.workers
                for lost in beat.lost:
                    _log.error("worker_lost", lost=lost, advice="its host's kernel log may say why")
            except StoreOutage as error:
                _log.warning("heartbeat_not_sent", error=str(error))
            await asyncio.sleep(fleet.HEARTBEAT_SECONDS)

    def _heartbeat(self) -> fleet.Heartbeat:
        return fleet.Heartbeat(
            worker_id=self.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=tuple(queue.value for queue in self._workers),
            running=len(self._context.running),
            slots=self._context.settings.worker_concurrency,
            started_at=self._started_at,
        )

    async def _schedule_maintenance(self) -> None:
        at_start = True
        while True:
            try:
                await schedule_reconcile(self._context.redis, at_start=at_start)
                at_start = False
                await schedule_cleanup(self._context.redis)
                await fal_deletions.schedule(self._context.redis)
            except StoreOutage as error:
                _log.warning("maintenance_not_scheduled", error=str(error))
            await asyncio.sleep(RECONCILE_S / 3)


async def end_other_tasks() -> None:
    """Cancel every other task of this loop, repeatedly until all have ended.

    Once is not enough: Python 3.11's `wait_for`, in which redis-py sends, swallows a cancellation that
    arrives together with its result (bpo-37658), and a task group passes on only the first one.
    """
    this = asyncio.current_task()
    while others := {task for task in asyncio.all_tasks() if task is not this}:
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=_REPEAT_CANCEL_S)


def exit_after(seconds: float) -> None:
    """Set the hard deadline: a process that still hangs then exits with 1."""
    deadline = threading.Timer(seconds, os._exit, (1,))
    deadline.daemon = True
    deadline.start()
