"""What `/metrics` shows beside counters: the store, its server, the fleet, unfinished work, FAL's account.

Each class is what one reading found, and collects itself for prometheus_client. Nothing here reads: see
`operations.metrics`.
"""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from image2model.catalogue.bills import Drift
from image2model.queue.window import Window
from image2model.store.server_load import ServerLoad


class StoreGauges(msgspec.Struct, kw_only=True, eq=False):
    """The store as this process sees it. `state` is one of `states`; `writable`: it accepts writes."""

    state: str
    states: Sequence[str]
    writable: bool

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's collector interface."""
        writable = "1 while the store accepts writes, as probed by this process."
        yield GaugeMetricFamily("image2model_store_writable", writable, value=int(self.writable))
        state = GaugeMetricFamily(
            "image2model_store_state",
            "1 for the current state of the store, 0 for all other states.",
            labels=["state"],
        )
        for name in self.states:
            state.add_metric([name], int(name == self.state))
        yield state


class ServerGauges(msgspec.Struct, kw_only=True, eq=False):
    """The store's server, as it says itself."""

    load: ServerLoad

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's collector interface."""
        for name, value, meaning in (
            ("memory_bytes", self.load.memory, "Memory that the store's data takes."),
            ("memory_limit_bytes", self.load.memory_limit, "The store's `maxmemory`; 0: it has none."),
            ("replicas", self.load.replicas, "Replicas that are connected to the store."),
        ):
            yield GaugeMetricFamily(f"image2model_store_{name}", meaning, value=value)
        yield CounterMetricFamily(
            "image2model_store_commands",
            "Commands that the store's server has run since its start.",
            value=self.load.commands,
        )


class QueueGauge(msgspec.Struct, frozen=True):
    """One queue: waiting tasks, age of the oldest in seconds, reasons of a pause."""

    queue: str
    waiting: int
    oldest_seconds: float
    paused: Sequence[str]


class SpendGauge(msgspec.Struct, frozen=True):
    """What keys spent on one model since midnight UTC, in dollars; `key` are the keys' names."""

    key: str
    model: str
    usd: float


class EndpointGauge(msgspec.Struct, frozen=True):
    """One of FAL's endpoints with an open circuit, and the images that wait for it."""

    model: str
    waiting: int


class AccountGauges(msgspec.Struct, kw_only=True, eq=False):
    """FAL's account and prices. `balance_usd` None: not read; `enough_for` None: not known."""

    drifts: Sequence[Drift]
    catalogue_updated_at: float
    balance_usd: float | None = None
    enough_for: int | None = None

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's collector interface."""
        drift = GaugeMetricFamily(
            "image2model_price_drift_ratio",
            "What FAL billed lately, relative to what was quoted: 0.1 is a tenth more.",
            labels=["model"],
        )
        for one in self.drifts:
            drift.add_metric([one.model], one.ratio)
        yield drift
        yield GaugeMetricFamily(
            "image2model_catalogue_updated_timestamp_seconds",
            "Time when FAL's list of models was read last (Unix time); 0: never.",
            value=self.catalogue_updated_at,
        )
        if self.balance_usd is not None:
            yield GaugeMetricFamily(
                "image2model_fal_balance_usd", "Balance of FAL's account in dollars.", value=self.balance_usd
            )
        if self.enough_for is not None:
            yield GaugeMetricFamily(
                "image2model_fal_balance_pictures",
                "Pictures that the balance pays for, at their mean cost of late.",
                value=self.enough_for,
            )


class FleetGauges(msgspec.Struct, kw_only=True, eq=False):
    """The fleet at one moment; `heartbeats` are (worker, Unix time of its last heartbeat)."""

    in_flight: int
    queues: Sequence[QueueGauge]
    heartbeats: Sequence[tuple[str, float]]
    spending: Sequence[SpendGauge]
    endpoints: Sequence[EndpointGauge] = ()
    workers_lost: int = 0
    deletions_pending: int = 0
    deletions_failing: int = 0
    admin_key_refused: bool = False
    window: Window | None = None

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's collector interface."""
        in_flight = "Images that hold a permit: FAL is working on them."
        yield GaugeMetricFamily("image2model_images_in_flight", in_flight, value=self.in_flight)
        yield from self._queues()
        yield from self._endpoints()
        yield from self._window()
        beats = GaugeMetricFamily(
            "image2model_worker_heartbeat_timestamp_seconds",
            "Time of a worker's last heartbeat (Unix time).",
            labels=["worker"],
        )
        for worker, at in self.heartbeats:
            beats.add_metric([worker], at)
        yield beats
        yield CounterMetricFamily(
            "image2model_workers_lost",
            "Workers that were lost without a clean stop: killed, crashed, or disconnected.",
            value=self.workers_lost,
        )
        yield from self._deletions()
        yield self._spending()

    def _deletions(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "image2model_fal_deletions_pending",
            "Requests that are to be deleted at FAL now.",
            value=self.deletions_pending,
        )
        yield GaugeMetricFamily(
            "image2model_fal_deletions_failing",
            "Those of them that were tried at least once.",
            value=self.deletions_failing,
        )
        yield GaugeMetricFamily(
            "image2model_fal_admin_key_refused",
            "1 while FAL refuses I2M_FAL_ADMIN_KEY, so that nothing is deleted there.",
            value=int(self.admin_key_refused),
        )

    def _endpoints(self) -> Iterator[Metric]:
        is_open = GaugeMetricFamily(
            "image2model_endpoint_circuit_open",
            "1 while this endpoint of FAL refuses or fails.",
            labels=["model"],
        )
        waiting = GaugeMetricFamily(
            "image2model_endpoint_waiting",
            "Images that wait for an endpoint with an open circuit.",
            labels=["model"],
        )
        for one in self.endpoints:
            is_open.add_metric([one.model], 1)
            waiting.add_metric([one.model], one.waiting)
        yield from (is_open, waiting)

    def _spending(self) -> Metric:
        spend = GaugeMetricFamily(
            "image2model_spend_usd",
            "Dollars spent since midnight UTC, by the name of the key.",
            labels=["key", "model"],
        )
        for one in self.spending:
            spend.add_metric([one.key, one.model], one.usd)
        return spend

    def _window(self) -> Iterator[Metric]:
        if self.window is None:
            return
        limit = GaugeMetricFamily(
            "image2model_fal_concurrency_limit",
            "How many requests FAL runs at once for the account, learned or set.",
            value=self.window.limit,
        )
        yield limit
        for name, value, meaning in (
            ("running", self.window.running, "Images that FAL is generating."),
            ("waiting", self.window.waiting, "Images that wait in FAL's own queue: the look-ahead."),
        ):
            yield GaugeMetricFamily(f"image2model_fal_{name}", meaning, value=value)

    def _queues(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("image2model_queue_depth", "Waiting tasks.", labels=["queue"])
        oldest = GaugeMetricFamily(
            "image2model_queue_oldest_seconds", "Age of the oldest waiting task.", labels=["queue"]
        )
        paused = GaugeMetricFamily(
            "image2model_queue_paused", "1 while a queue is paused.", labels=["queue", "reason"]
        )
        for one in self.queues:
            depth.add_metric([one.queue], one.waiting)
            oldest.add_metric([one.queue], one.oldest_seconds)
            for reason in one.paused:
                paused.add_metric([one.queue, reason], 1)
        yield from (depth, oldest, paused)


class WorkGauges(msgspec.Struct, kw_only=True, eq=False):
    """Unfinished work, read at `read_at` (Unix time). `images` has every state of `work.WorkState`."""

    images: Mapping[str, int]
    webhooks_due: int
    webhooks_later: int
    dead_letters: int
    read_at: float

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's collector interface."""
        images = GaugeMetricFamily(
            "image2model_unfinished_images",
            "Images that have no end yet, each in one state. With or without a worker.",
            labels=["state"],
        )
        for state, count in self.images.items():
            images.add_metric([state], count)
        yield images
        for name, value, meaning in (
            ("webhooks_due", self.webhooks_due, "Calls of webhooks, and ends of jobs, due or under way."),
            (
                "webhooks_retrying",
                self.webhooks_later,
                "Calls of webhooks that have failed and come again later.",
            ),
            ("dead_letters", self.dead_letters, "Images that have failed for good and can be run again."),
            (
                "work_read_timestamp_seconds",
                self.read_at,
                "Time when unfinished work was read last (Unix time): it stays while the store is away.",
            ),
        ):
            yield GaugeMetricFamily(f"image2model_{name}", meaning, value=value)


class StorageGauges(msgspec.Struct, kw_only=True, eq=False):
    """The disk of a storage in a folder, in bytes. Below `least` nothing new is accepted or bought."""

    free: int
    least: int

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's collector interface."""
        yield GaugeMetricFamily(
            "image2model_storage_free_bytes", "Free bytes on the disk of the storage.", value=self.free
        )
        yield GaugeMetricFamily(
            "image2model_storage_least_free_bytes",
            "Free bytes below which no upload is accepted, and nothing is sent to FAL.",
            value=self.least,
        )
