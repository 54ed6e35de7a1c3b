"""What each process of the service does to itself before it serves: open files, and how it imports."""

import gc
import resource
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Final

MAX_OPEN_FILES: Final = 65_536
_ABSENT: Final = ("rich", "pygments", "greenlet")
"""What structlog and httpx import if it is there, for consoles and for another kind of threads: 5 MiB. Our
log's renderers get tracebacks as text."""
_REPLACED: Final = {
    "jwt": SimpleNamespace(),
    "uvicorn.supervisors": SimpleNamespace(ChangeReload=None, Multiprocess=None),
}
"""What redis-py imports for a way to sign in that is not ours, and uvicorn to restart programs. The first
brings `cryptography`, 10 MiB and a twentieth of the start, the second `multiprocessing` and `watchfiles`."""


def raise_open_file_limit() -> None:
    """Raise this process's soft limit as far as the hard limit allows; child processes inherit it.

    A shell's usual limit of 1,024 is less than the streams of one API process, or the FAL calls of a worker.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        with suppress(ValueError, OSError):  # some kernels allow less than the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


@contextmanager
def lean_imports() -> Iterator[None]:
    """For the imports of a process that serves: without what it never uses, and without garbage collections.

    Nothing that imports make is garbage, and looking for it takes a tenth of their time. What there is at the
    end is left out of all later collections too.
    """
    gc.disable()
    try:
        with _replaced({**dict.fromkeys(_ABSENT), **_REPLACED}):
            yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _replaced(modules: Mapping[str, SimpleNamespace | None]) -> Iterator[None]:
    """Let imports find these modules, or (None) fail as if there were none. What is loaded already stays."""
    ours = {name: module for name, module in modules.items() if name not in sys.modules}
    sys.modules.update(ours)  # type: ignore[arg-type]  # None is what the import system takes for "none"
    try:
        yield
    finally:
        for name in ours:
            del sys.modules[name]
