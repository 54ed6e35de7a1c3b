"""Google Cloud Storage. Credentials: `GOOGLE_*`, or the service account of the machine or container.

A service account's key signs URLs here. Without one, Google signs them, if the account may (the role "Service
Account Token Creator" on itself). obstore signs for Google's own host only, so nothing is signed for another
endpoint.
"""

from collections.abc import Mapping
from typing import Final

from obstore.exceptions import BaseError
from obstore.store import GCSStore

from image2model.errors import ConfigurationError
from image2model.storage.remote import RETRIES, bucket_of, client_options

_HOST: Final = "https://storage.googleapis.com"
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
    """The hosts of its signed URLs; empty where there are none."""
    return (_HOST,) if signs(environment) else ()


def signs(environment: Mapping[str, str]) -> bool:
    """Whether its URLs can be signed, if the credentials can."""
    return _endpoint(environment) in ("", _HOST)


def _endpoint(environment: Mapping[str, str]) -> str:
    return (environment.get("GOOGLE_BASE_URL") or "").rstrip("/")
