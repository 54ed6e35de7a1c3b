"""What each process of the service does to itself before it serves: open files, and the garbage collector."""

import gc
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

MAX_OPEN_FILES: Final = 65_536


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
def without_collections() -> Iterator[None]:
    """For imports: nothing that they make is garbage, and looking for it takes a tenth of their time.

    What there is at the end is left out of all later collections too.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
