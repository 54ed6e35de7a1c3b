"""What the storages in the clouds share: how a URL names a bucket, and how long a request may take."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from image2model.errors import ConfigurationError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

# Shorter than the deadline of `objects`, so that obstore's own error comes first.
_REQUEST_TIMEOUT: Final = timedelta(seconds=30)
_CONNECT_TIMEOUT: Final = timedelta(seconds=5)

RETRIES: Final["RetryConfig"] = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}

_PLAIN_PREFIX: Final = re.compile(r"[A-Za-z0-9._/-]*", re.ASCII)


class Bucket(NamedTuple):
    """A bucket or container, and the prefix of all keys in it; None: no prefix."""

    name: str
    prefix: str | None

    @property
    def has_plain_prefix(self) -> bool:
        """Whether the prefix reads the same in a URL: no character of it is percent-encoded there."""
        return _PLAIN_PREFIX.fullmatch(self.prefix or "") is not None


def bucket_of(url: str, advice: str) -> Bucket:
    """What a URL like `s3://bucket/prefix` names. Raises ConfigurationError with the advice."""
    parts = urlsplit(url)
    if not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError([f"I2M_STORAGE_URL: {advice}"])
    return Bucket(parts.netloc, unquote(parts.path).strip("/") or None)


def client_options(endpoint: str) -> "ClientConfig":
    """The options of obstore's HTTP client. Plain HTTP is allowed only if the endpoint itself is."""
    return {
        "allow_http": endpoint.startswith("http://"),
        "timeout": _REQUEST_TIMEOUT,
        "connect_timeout": _CONNECT_TIMEOUT,
    }


def origin_of(url: str) -> tuple[str, ...]:
    """The origin of a URL, as in a content security policy; empty if it has none."""
    parts = urlsplit(url)
    return (f"{parts.scheme}://{parts.netloc}",) if parts.netloc else ()
