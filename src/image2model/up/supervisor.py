"""Starts the parts in their order, restarts what dies, and stops them in reverse order.

The store starts first and stops last; the API and the workers stop while the emulator still answers them. The
supervisor must never talk to the store or to FAL itself.
"""

import time
from typing import Final

from image2model.up.children import Child, count_death, describe_exit
from image2model.up.errors import StartError
from image2model.up.guard import Guard
from image2model.up.plan import Plan, metrics_folder, print_line, require_a_key
from image2model.up.readiness import readiness
from image2model.up.signals import Signals
from image2model.up.store import EmbeddedStore, store_folder
from image2model.up.store_supervision import StoreSupervisor

_HOPELESS_DEATHS: Final = 3
_WRONG_SETTINGS: Final = 2
_EMULATOR_GRACE: Final = 5.0
_GRACE_MARGIN: Final = 5.0
_IDLE: Final = 1.0
_STARTING: Final = 0.02
_READINESS_EVERY: Final = 5.0


class Supervisor:
    """One run of `up`."""

    def __init__(self, plan: Plan, signals: Signals, guard: Guard) -> None:
        self._plan = plan
        self._signals = signals
        self._guard = guard
        embedded = EmbeddedStore(store_folder(plan.data_dir)) if plan.embeds_store else None
        self._store = StoreSupervisor(embedded, guard) if embedded else None
        self._environment = dict(plan.environment)
        self._emulator: list[Child] = []
        self._service: list[Child] = []
        self._ready = False
        self._store_problem = ""
        self._next_readiness = 0.0

    def run(self) -> None:
        """Run until a stop is requested, then stop everything. Raises StartError."""
        try:
            self._start()
            while not self._signals.stop_requested:
                self._check()
                self._signals.wait(self._pause())
        finally:
            self._stop()

    def _start(self) -> None:
        if self._store:
            self._store.start()
            self._environment["I2M_REDIS_URL"] = self._store.url
        if self._plan.emulator_port is not None:
            self._emulator = [self._child("emulator", self._plan.emulator())]
        while self._store and not self._store.is_ready() and not self._signals.stop_requested:
            self._signals.wait(0.002)
        if self._signals.stop_requested:
            return
        self._check_keys()
        names = ["api", *["worker"] * self._plan.workers]
        self._service = [self._child(name, self._plan.command(name)) for name in names]

    def _check_keys(self) -> None:
        settings = self._plan.settings
        if settings.on_loopback or settings.auth == "none" or settings.admin_key:
            return
        require_a_key(settings.redis_url or self._environment["I2M_REDIS_URL"], settings.host)

    def _child(self, name: str, command: list[str]) -> Child:
        child = Child(name, command, self._environment)
        self._guard.watch(child.spawn(), name)
        return child

    def _check(self) -> None:
        if self._store:
            self._store.check()
        for child in (*self._emulator, *self._service):
            self._check_child(child)
        self._report_readiness()

    def _report_readiness(self) -> None:
        """Print when the API is ready, and what is wrong with its store, from time to time."""
        if self._ready and time.monotonic() < self._next_readiness:
            return
        self._next_readiness = time.monotonic() + _READINESS_EVERY
        found = readiness(self._plan.url)
        if found is None:
            return
        if found.status == "ready" and not self._ready:
            self._ready = True
            print_line("ready")
        if found.store != self._store_problem:
            self._store_problem = found.store
            print_line(found.store or "the store works again")

    def _check_child(self, child: Child) -> None:
        pid = child.pid
        status = child.ended()
        if pid is not None and status is not None:
            self._forget(pid)
            self._handle_death(child, status)
        if child.pid is None and child.due_in == 0:
            self._guard.watch(child.spawn(), child.name)

    def _handle_death(self, child: Child, status: int) -> None:
        if status == 0:
            print_line(f"the {child.name} has ended in good order; a new one starts")
            return
        hopeless = status == _WRONG_SETTINGS or child.deaths >= _HOPELESS_DEATHS
        if hopeless and not self._ready:
            raise StartError(
                f"the {child.name} cannot start ({describe_exit(status)}); its own message is above"
            )
        count_death(child.name, status)
        print_line(
            f"the {child.name} has ended ({describe_exit(status)}); it restarts in {child.due_in:.1f} s"
        )

    def _pause(self) -> float:
        if not self._ready:
            return _STARTING
        due = [child.due_in for child in (*self._emulator, *self._service) if child.pid is None]
        if self._store and self._store.due_in is not None:
            due.append(self._store.due_in)
        return min([_IDLE, *due])

    def _stop(self) -> None:
        self._end(self._service, self._plan.settings.shutdown_grace + _GRACE_MARGIN)
        self._end(self._emulator, _EMULATOR_GRACE)
        if self._store:
            self._store.stop()

    def _end(self, children: list[Child], grace: float) -> None:
        for child in children:
            child.terminate()
        deadline = time.monotonic() + grace
        while running := [child for child in children if not self._has_ended(child)]:
            if time.monotonic() > deadline or self._signals.stop_requested_again:
                for child in running:
                    child.kill()
            self._signals.wait(0.05)

    def _has_ended(self, child: Child) -> bool:
        pid = child.pid
        if pid is not None and child.ended() is not None:
            self._forget(pid)
        return child.pid is None

    def _forget(self, pid: int) -> None:
        self._guard.forget(pid)
        from prometheus_client.multiprocess import mark_process_dead

        folder = str(metrics_folder(self._plan.data_dir))
        mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]  # prometheus_client has no types here
