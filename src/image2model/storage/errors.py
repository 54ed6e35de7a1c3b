"""What storage raises beside `DiskFull`.

::

    Image2ModelError
    └── StorageError        the storage refused, failed, or did not answer in time
        └── ObjectMissing   there is no object of that key
"""

from image2model.errors import Image2ModelError


class StorageError(Image2ModelError):
    """The storage refused, failed, or did not answer in time. The same call may work later."""


class ObjectMissing(StorageError):
    """There is no object of that key."""
