"""Turns signals into something to wait for: a request to stop, or a child that has ended.

Use it in the main thread. A handler only takes a note; the supervisor acts, so a signal in the middle of a
start or a stop breaks nothing.
"""

import os
import select
import signal
import time
from types import FrameType
from typing import Any, Final, Self

_STOPS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SAME_KEYSTROKE: Final = 1.0


class Signals:
    """Within `with`: SIGINT, SIGTERM and SIGHUP request a stop, SIGCHLD ends a `wait`."""

    def __init__(self) -> None:
        self._requests: list[float] = []
        self._before: dict[int, Any] = {}
        self._woken, self._waker = os.pipe()
        self._wakeup_before = -1

    def __enter__(self) -> Self:
        for end in (self._woken, self._waker):
            os.set_blocking(end, False)
        self._wakeup_before = signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in _STOPS:
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                self._before[number] = signal.signal(number, self._note)
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._woken)
        os.close(self._waker)

    @property
    def stop_requested(self) -> bool:
        """Whether a signal has requested a stop."""
        return bool(self._requests)

    @property
    def stop_requested_again(self) -> bool:
        """Whether a second request came, not counting one that the same keystroke sent to the whole group."""
        return any(at - self._requests[0] > _SAME_KEYSTROKE for at in self._requests)

    def wait(self, seconds: float) -> None:
        """Until a signal comes, at most `seconds`."""
        ready, _, _ = select.select([self._woken], [], [], max(0.0, seconds))
        if ready:
            os.read(self._woken, 4096)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self._requests.append(time.monotonic())
