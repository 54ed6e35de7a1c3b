"""Judges what the clients were told beside what happened: nothing lacks, nothing comes twice, in order.

Who calls it: the verdict. States of one image within one status may have been merged, and then the last one
of them must have come; every change of status, and every `complete`, must.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby

from tests.chaos.history import Change, JobHistory
from tests.chaos.listener import Listener, Reset, State

OWNER_HISTORY = 20_000
"""How many events an owner's stream goes back over: the service's own number."""


class Heard:
    """One client's account. `missed`: how many states it lacks; `faults`: sentences."""

    def __init__(self, listener: Listener, truth: dict[str, JobHistory]) -> None:
        self.missed = 0
        self.faults = list(listener.faults)
        self._listener = listener
        self._truth = truth
        if listener.begun_at is None:
            self.faults.append(f"{listener.name} never heard anything")
        self._check_resets()
        self._check_images()
        self._check_completed()

    def _check_resets(self) -> None:
        self.faults += [
            f"{self._listener.name} was told that history does not reach from {reset.at} to {reset.after}"
            for reset in self._listener.resets
            if not self._is_due(reset)
        ]

    def _is_due(self, reset: Reset) -> bool:
        slow = self._listener.is_owner and self._listener.manner.bytes_per_s is not None
        return slow and reset.at - reset.after >= OWNER_HISTORY

    def _check_images(self) -> None:
        known: set[str] = set()
        for history in self._truth.values():
            known.update(history.images)
            for image_id, changes in history.images.items():
                self._check_image(image_id, changes)
        for image_id in self._listener.heard.keys() - known:
            self.faults.append(f"{self._listener.name} was told of image {image_id}, which nobody knows")

    def _check_image(self, image_id: str, changes: list[Change]) -> None:
        expected = last_of_each_status(self._since_the_beginning(changes))
        heard = last_of_each_status(self._listener.heard.get(image_id, []))
        if heard == expected:
            return
        if self._listener.resets and is_part(heard, expected):
            return
        missed = [state for state in expected if state not in heard]
        self.missed += len(missed)
        what = f"missed {len(missed)} states, such as {missed[0]}" if missed else "was told in another order"
        happened, told = ([state.status for state in states] for states in (expected, heard))
        self.faults.append(f"{self._listener.name} {what}, of image {image_id}: {told} of {happened}")

    def _since_the_beginning(self, changes: list[Change]) -> list[State]:
        """What was to be told: for a job's client from the state of its snapshot on."""
        begun = self._listener.begun_at
        if self._listener.is_owner or begun is None:
            return [change.state for change in changes]
        before = [change.state for change in changes if change.version <= begun]
        return before[-1:] + [change.state for change in changes if change.version > begun]

    def _check_completed(self) -> None:
        for job_id, history in self._truth.items():
            begun = 0 if self._listener.is_owner else self._listener.begun_at or 0
            expected = sum(version > begun for version in history.completed)
            told = self._listener.completed[job_id]
            if told != expected and not (self._listener.resets and told < expected):
                self.faults.append(
                    f"{self._listener.name} was told {told} times that job {job_id} is complete, "
                    f"which it was {expected} times"
                )


def last_of_each_status(states: Iterable[State]) -> list[State]:
    """One state for each run of the same status: its last, which none may replace."""
    return [list(run)[-1] for _, run in groupby(states, key=lambda state: state.status)]


def is_part(some: Sequence[State], of: Sequence[State]) -> bool:
    """Whether these states come in this order among the others."""
    rest = iter(of)
    return all(state in rest for state in some)


def streams(listeners: Iterable[Listener], truth: dict[str, JobHistory]) -> tuple[int, list[str]]:
    """How many states were missed by all clients together, and what was wrong.

    A job's client is judged by its job, an owner's by all of them. The faults of one client are summed up.
    """
    missed, faults = 0, []
    for listener in listeners:
        job_id = listener.path.rpartition("/")[2]
        account = Heard(listener, truth if listener.is_owner else {job_id: truth[job_id]})
        missed += account.missed
        faults += account.faults[:3]
        if len(account.faults) > 3:
            faults.append(f"{listener.name}: {len(account.faults) - 3} more such faults")
    return missed, faults
