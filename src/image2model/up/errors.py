"""Why `up` cannot start. The command prints the message and exits with 1."""

from image2model.errors import Image2ModelError


class StartError(Image2ModelError):
    """`up` or its store cannot run here; the message gives the reason and what to do."""


class FolderInUse(StartError):
    """Another process holds the lock on the folder."""
