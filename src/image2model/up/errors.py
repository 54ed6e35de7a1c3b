"""Why the supervisor could not start, in words for the person at the terminal.

Who calls it: the modules of `up`; the command line prints the message and exits with 1.
"""

from image2model.errors import Image2ModelError


class StartError(Image2ModelError):
    """`up` or its store cannot run here; the message says why and what to do."""


class FolderInUse(StartError):
    """Somebody else holds the lock on the folder."""
