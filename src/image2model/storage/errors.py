"""What storage raises beside `DiskFull`.

::

    Image2ModelError
    └── StorageError        the storage refused, failed, or did not answer in time
        └── ObjectMissing   there is no object of that key
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError

from image2model.errors import DiskFull, Image2ModelError


class StorageError(Image2ModelError):
    """The storage refused, failed, or did not answer in time. The same call may work later."""


class ObjectMissing(StorageError):
    """There is no object of that key."""


# ENOSPC and EDQUOT in Rust's io::Error and in Python's OSError, and MinIO's code for a full drive.
_FULL = re.compile(r"\(os error (28|122)\)|^\[Errno (28|122)\]|XMinioStorageFull")


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise DiskFull, ObjectMissing or StorageError for whatever obstore raises in the block."""
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissing(f"{what}: there is no such object") from error
    except TimeoutError as error:
        raise StorageError(f"{what}: the storage did not answer in time") from error
    except (BaseError, OSError, NotImplementedError) as error:
        raise _failure(what, str(error)) from error


def _failure(what: str, message: str) -> DiskFull | StorageError:
    if _FULL.search(message):
        return DiskFull("The storage is full. Free some space, or let the oldest jobs expire, and try again.")
    return StorageError(f"{what}: {message.split(chr(10), 1)[0]}")
