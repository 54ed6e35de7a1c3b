"""S3 and what speaks its protocol. Credentials: `AWS_*`, or the role of the machine or container."""

from collections.abc import Mapping
from typing import Final

from obstore.store import S3Store

from image2model.storage.remote import RETRIES, bucket_of, client_options, origin_of

_ADVICE: Final = "write s3://bucket/prefix; credentials come from AWS_*"


def open_bucket(url: str, environment: Mapping[str, str]) -> S3Store:
    """The store that `s3://bucket/prefix` names. Raises ConfigurationError."""
    bucket = bucket_of(url, _ADVICE)
    return S3Store(
        bucket.name,
        prefix=bucket.prefix,
        client_options=client_options(_endpoint(environment)),
        retry_config=RETRIES,
    )


def origins(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts of its signed URLs."""
    return origin_of(_endpoint(environment)) or ("https://*.amazonaws.com",)


def _endpoint(environment: Mapping[str, str]) -> str:
    return environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
