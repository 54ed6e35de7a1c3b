"""Keeps the embedded store running: it restarts the store after any death.

The time that a store has run does not show whether it can start: on a fast machine it may be ready, and be
killed, within a second. A store cannot start if it ends by itself, before it has ever answered, several times
in a row.
"""

from typing import Final

from image2model.up.children import Restarts, count_death, describe_exit
from image2model.up.errors import StartError
from image2model.up.guard import Guard
from image2model.up.plan import print_line
from image2model.up.store import EmbeddedStore

_EARLIER_RUN_SECONDS: Final = 6.0  # the children of a killed `up` end within 5 s
_HOPELESS_DEATHS: Final = 3
_STARTING: Final = 0.02


class StoreSupervisor:
    """One store, from `start` to `stop`."""

    def __init__(self, store: EmbeddedStore, guard: Guard) -> None:
        self._store = store
        self._guard = guard
        self._restarts = Restarts()
        self._pid: int | None = None
        self._has_answered = False

    @property
    def url(self) -> str:
        """Its URL. Raises RuntimeError before `start`."""
        return self._store.url

    @property
    def due_in(self) -> float | None:
        """Seconds until `check` has something to do again; None: only after a signal of a death."""
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

    def check(self) -> None:
        """Note its death, or restart it once that is due. Raises StartError where it cannot start."""
        status = self._store.ended
        if self._pid is not None and status is not None:
            self._note_death(status)
        if self._pid is None:
            if self._restarts.due_in == 0:
                self.start()
        elif not self._has_answered:
            self._has_answered = self._store.answers()

    def stop(self) -> None:
        """Stop it and wait until it is gone."""
        self._store.stop()
        self._forget()

    def _note_death(self, status: int) -> None:
        self._forget()
        self._restarts.died()
        if status >= 0 and not self._has_answered and self._restarts.deaths >= _HOPELESS_DEATHS:
            raise StartError(f"the store ends as soon as it is started; see {self._store.log_path}")
        count_death("store", status)
        print_line(
            f"the store has ended ({describe_exit(status)}); it restarts in {self._restarts.due_in:.1f} s"
        )

    def _forget(self) -> None:
        pid, self._pid = self._pid, None
        if pid is not None:
            self._guard.forget(pid)
