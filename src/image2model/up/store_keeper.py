"""Keeps the embedded store running: whatever killed it, it is started again.

Who calls it: the supervisor. How long a store has lived says nothing about whether it can start: on a quick
machine everything is ready, and the store killed, within a second. It cannot where it ends by itself, before
it has ever answered, again and again.
"""

from typing import Final

from image2model.up import plan
from image2model.up.children import Restarts, cause, count_death
from image2model.up.guard import Guard
from image2model.up.plan import StartError
from image2model.up.store import EmbeddedStore

_EARLIER_RUN_SECONDS: Final = 6.0  # a killed `up` is followed by its children within 5 s
_HOPELESS_DEATHS: Final = 3
_STARTING: Final = 0.02


class StoreKeeper:
    """One store, from `start` to `stop`."""

    def __init__(self, store: EmbeddedStore, guard: Guard) -> None:
        self._store = store
        self._guard = guard
        self._restarts = Restarts()
        self._pid: int | None = None
        self._has_answered = False

    @property
    def url(self) -> str:
        """Where it listens. Raises RuntimeError before `start`."""
        return self._store.url

    @property
    def due_in(self) -> float | None:
        """Seconds until `tend` has something to do again; None: once a signal tells of a death."""
        if self._pid is None:
            return self._restarts.due_in
        return None if self._has_answered else _STARTING

    def start(self) -> None:
        """Fork it and return at once. Raises StartError."""
        self._pid = self._store.spawn(patience=_EARLIER_RUN_SECONDS)
        self._restarts.began()
        self._has_answered = False
        self._guard.watch(self._pid, "store")

    def is_ready(self) -> bool:
        """Whether it answers after the first start. Raises StartError if it has ended."""
        self._has_answered = self._store.is_ready()
        return self._has_answered

    def tend(self) -> None:
        """Notice its death, or start it again once that is due. Raises StartError where that is hopeless."""
        status = self._store.ended
        if self._pid is not None and status is not None:
            self._bury(status)
        if self._pid is None:
            if self._restarts.due_in == 0:
                self.start()
        elif not self._has_answered:
            self._has_answered = self._store.answers()

    def stop(self) -> None:
        """Stop it and wait until it is gone."""
        self._store.stop()
        self._forget()

    def _bury(self, status: int) -> None:
        self._forget()
        self._restarts.died()
        if status >= 0 and not self._has_answered and self._restarts.deaths >= _HOPELESS_DEATHS:
            raise StartError(f"the store ends as soon as it is started; see {self._store.log_path}")
        count_death("store", status)
        plan.say(f"the store has ended ({cause(status)}); again in {self._restarts.due_in:.1f} s")

    def _forget(self) -> None:
        pid, self._pid = self._pid, None
        if pid is not None:
            self._guard.forget(pid)
