"""Google Cloud Storage. Credentials: `GOOGLE_*`, or the service account of the machine or container.

A service account's key signs URLs here. Without one, Google signs them, if the account may (the role "Service
Account Token Creator" on itself).
"""

from collections.abc import Mapping
from typing import Final

from obstore.exceptions import BaseError
from obstore.store import GCSStore

from image2model.errors import ConfigurationError
from image2model.storage.remote import RETRIES, bucket_of, client_options, origin_of

_ADVICE: Final = "write gs://bucket/prefix; credentials come from GOOGLE_*"
_NO_CREDENTIALS: Final = (
    "I2M_STORAGE_URL: the credentials of gs:// cannot be used: set GOOGLE_APPLICATION_CREDENTIALS to the "
    "JSON file of a service account, and no other of them"
)


def open_bucket(url: str, environment: Mapping[str, str]) -> GCSStore:
    """The store that `gs://bucket/prefix` names. May read a file. Raises ConfigurationError."""
    bucket = bucket_of(url, _ADVICE)
    try:
        return GCSStore(
            bucket.name,
            prefix=bucket.prefix,
            client_options=client_options(_endpoint(environment)),
            retry_config=RETRIES,
        )
    except BaseError as error:
        reason = str(error).partition("\n")[0]
        raise ConfigurationError([f"{_NO_CREDENTIALS} ({reason})"]) from error


def origins(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts of its signed URLs."""
    return origin_of(_endpoint(environment)) or ("https://storage.googleapis.com",)


def _endpoint(environment: Mapping[str, str]) -> str:
    return environment.get("GOOGLE_BASE_URL") or ""
