"""What storage raises beside `DiskFull`.

::

    Image2ModelError
    └── StorageError        the storage refused, failed, or did not answer in time
        └── ObjectMissing   there is no object of that key
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from obstore.exceptions import BaseError

from image2model.errors import DiskFull, Image2ModelError


class StorageError(Image2ModelError):
    """The storage refused, failed, or did not answer in time. The same call may work later."""


class ObjectMissing(StorageError):
    """There is no object of that key."""


# ENOSPC and EDQUOT in Rust's io::Error and in Python's OSError, and MinIO's code for a full drive.
_FULL: Final = re.compile(r"\(os error (28|122)\)|^\[Errno (28|122)\]|XMinioStorageFull")

_NO_BUCKET: Final = re.compile(r"ContainerNotFound|NoSuchBucket|specified (container|bucket) does not exist")

# The codes of S3, Azure and Google, and of obstore's own search for credentials, with what to do about them.
_ADVICE: Final = (
    (_NO_BUCKET, "the bucket or container of I2M_STORAGE_URL does not exist; create it, or correct the name"),
    (
        re.compile(
            r"RequestTimeTooSkewed|Request date header too old|not within the required time|invalid_grant"
        ),
        "the clock of this machine is wrong; set it by NTP",
    ),
    (
        re.compile(r"169\.254\.169\.254|metadata\.google\.internal|CredentialsProvider|[Nn]o credential"),
        "no credentials were found; set the environment variables of this cloud (docs/howto/grow.md)",
    ),
    (
        re.compile(
            r"InvalidAccessKeyId|SignatureDoesNotMatch|AuthenticationFailed|AuthorizationFailure|InvalidToken"
            r"|ExpiredToken|NoAuthenticationInformation|AuthenticationRequired|InvalidSecurity|401 Unauthori"
        ),
        "the storage does not accept the credentials; check account, key and this machine's clock",
    ),
    (
        re.compile(
            r"AccessDenied|AuthorizationPermissionMismatch|InsufficientAccountPermissions|403 Forbidden"
        ),
        "the credentials may not do this; they need to read, write, list and delete objects",
    ),
    (
        re.compile(r"dns error|failed to lookup address|Connection refused|error trying to connect"),
        "the storage cannot be reached; check its address, the account's name and the network",
    ),
)
_QUERY: Final = re.compile(r"(https?://[^\s?]+)\?[^\s,)]+")  # it has the signature of a SAS token


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise DiskFull, ObjectMissing or StorageError for whatever obstore raises in the block."""
    try:
        yield
    except FileNotFoundError as error:
        raise _missing(what, str(error)) from error
    except TimeoutError as error:
        raise StorageError(f"{what}: the storage did not answer in time") from error
    except (BaseError, OSError, NotImplementedError) as error:
        raise _failure(what, str(error)) from error


def bucket_missing(error: Exception) -> bool:
    """Whether obstore found not even the bucket or container: it raises the same as for a missing object."""
    return _NO_BUCKET.search(str(error)) is not None


def _missing(what: str, message: str) -> StorageError:
    if _NO_BUCKET.search(message):
        return StorageError(f"{what}: {_described(message)}")
    return ObjectMissing(f"{what}: there is no such object")


def _failure(what: str, message: str) -> DiskFull | StorageError:
    if _FULL.search(message):
        return DiskFull("The storage is full. Free some space, or let the oldest jobs expire, and try again.")
    return StorageError(f"{what}: {_described(message)}")


def _described(message: str) -> str:
    """What to do, where the message says that, and its first line without the queries of URLs."""
    first = _QUERY.sub(r"\1", message.partition("\n")[0])
    advice = next((advice for pattern, advice in _ADVICE if pattern.search(message)), None)
    return f"{advice} ({first})" if advice else first
