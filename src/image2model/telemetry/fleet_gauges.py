"""Gauges of what no process owns: queues, permits, workers, spending. They are read when somebody scrapes.

Who calls it: `/metrics`, with what the store says at that moment. Nothing is kept between two scrapes, so
a worker or a pause that is gone is gone from here too.
"""

from collections.abc import Iterator, Sequence

import msgspec
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily


class QueueGauge(msgspec.Struct, frozen=True):
    """One queue: tasks waiting, age of the oldest in seconds, why it is paused."""

    queue: str
    waiting: int
    oldest_seconds: float
    paused: Sequence[str]


class SpendGauge(msgspec.Struct, frozen=True):
    """What keys, told by their names, spent on one model since midnight UTC, in dollars."""

    key: str
    model: str
    usd: float


class EndpointGauge(msgspec.Struct, frozen=True):
    """One of FAL's endpoints whose circuit is open, and the images that wait for it."""

    model: str
    waiting: int


class FleetGauges(msgspec.Struct, kw_only=True, eq=False):
    """A reading of the fleet; `heartbeats` is (worker, Unix time of its last beat)."""

    in_flight: int
    queues: Sequence[QueueGauge]
    heartbeats: Sequence[tuple[str, float]]
    spending: Sequence[SpendGauge]
    endpoints: Sequence[EndpointGauge] = ()
    workers_lost: int = 0

    def collect(self) -> Iterator[Metric]:
        """prometheus_client's collector interface."""
        in_flight = "Images that hold a permit: in FAL's hands."
        yield GaugeMetricFamily("image2model_images_in_flight", in_flight, value=self.in_flight)
        yield from self._queues()
        yield from self._endpoints()
        beats = GaugeMetricFamily(
            "image2model_worker_heartbeat_timestamp_seconds",
            "When a worker last showed life (Unix time).",
            labels=["worker"],
        )
        for worker, at in self.heartbeats:
            beats.add_metric([worker], at)
        yield beats
        yield CounterMetricFamily(
            "image2model_workers_lost",
            "Workers that vanished without a goodbye: killed, crashed, or cut off.",
            value=self.workers_lost,
        )
        yield self._spending()

    def _endpoints(self) -> Iterator[Metric]:
        is_open = GaugeMetricFamily(
            "image2model_endpoint_circuit_open",
            "1 while FAL refuses this endpoint, or while it fails.",
            labels=["model"],
        )
        waiting = GaugeMetricFamily(
            "image2model_endpoint_waiting",
            "Images that wait for an endpoint whose circuit is open.",
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

    def _queues(self) -> Iterator[Metric]:
        depth = GaugeMetricFamily("image2model_queue_depth", "Tasks waiting.", labels=["queue"])
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
