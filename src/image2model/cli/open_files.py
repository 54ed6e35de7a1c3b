"""Raises the number of files and sockets that the service's processes may hold open.

A shell's usual limit of 1,024 is less than the streams of one API process, or the FAL calls of one worker.
"""

import resource
from contextlib import suppress
from typing import Final

MAX_OPEN_FILES: Final = 65_536


def raise_open_file_limit() -> None:
    """Raise this process's soft limit as far as the hard limit allows; child processes inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MAX_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        with suppress(ValueError, OSError):  # some kernels allow less than the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
