"""How many files and sockets the service's processes may hold open.

Who calls it: the commands that serve. A shell's usual 1,024 are fewer than the streams that one API process
serves, and than the FAL calls that one worker follows.
"""

import resource
from contextlib import suppress
from typing import Final

MOST: Final = 65_536


def allow_many() -> None:
    """Raise this process's soft limit as far as the hard one lets it; its children inherit that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(MOST, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):  # a kernel may allow less than the hard limit says
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
