"""Opens the storage that a URL names.

Credentials never stand in the URL: for S3 they come from the usual `AWS_*` environment, or from the role of
the machine or container.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from obstore.store import LocalStore, MemoryStore, S3Store

from image2model.errors import ConfigurationError
from image2model.storage.local_folder import LocalFolder
from image2model.storage.objects import DEADLINE_S, ObjectStorage

# Shorter than the deadline of `objects`, so that obstore's own error comes first.
_REQUEST_TIMEOUT = timedelta(seconds=30)
_CONNECT_TIMEOUT = timedelta(seconds=5)
_RETRIES = 3
_RETRY_TIMEOUT = timedelta(seconds=20)


def open_storage(url: str, *, deadline_s: float = DEADLINE_S) -> ObjectStorage:
    """`file:///abs/path` (created if missing), `s3://bucket/prefix` or `memory://`. May touch the disk.

    A path may be percent-encoded, as `Path.as_uri()` does, or plain. `deadline_s` seconds bound each
    call. Raises ConfigurationError.
    """
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if scheme == "file":
        return _open_folder(url, deadline_s)
    if scheme == "s3":
        return _open_bucket(url, os.environ, deadline_s)
    if scheme == "memory":
        return ObjectStorage(MemoryStore(), deadline_s=deadline_s)
    raise ConfigurationError(
        ["I2M_STORAGE_URL must be file:///absolute/path, s3://bucket/prefix or memory://"]
    )


def _open_folder(url: str, deadline_s: float) -> ObjectStorage:
    host, slash, rest = url[len("file://") :].partition("/")
    if host not in ("", "localhost") or not slash or not rest.strip("/"):
        raise ConfigurationError(["I2M_STORAGE_URL: a file URL needs an absolute path: file:///var/lib/i2m"])
    root = Path(unquote("/" + rest))
    try:
        root.mkdir(parents=True, exist_ok=True)
        root = root.resolve(strict=True)
    except OSError as error:
        raise ConfigurationError([f"I2M_STORAGE_URL: the folder cannot be created: {error}"]) from error
    if not os.access(root, os.W_OK | os.X_OK):
        raise ConfigurationError([f"I2M_STORAGE_URL: {root} is not writable by this user"])
    store = LocalStore(root, automatic_cleanup=True)
    return ObjectStorage(store, folder=LocalFolder(root), deadline_s=deadline_s)


def _open_bucket(url: str, environment: Mapping[str, str], deadline_s: float) -> ObjectStorage:
    parts = urlsplit(url)
    if not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
        raise ConfigurationError(["I2M_STORAGE_URL: write s3://bucket/prefix; credentials come from AWS_*"])
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or ""
    store = S3Store(
        parts.netloc,
        prefix=unquote(parts.path).strip("/") or None,
        client_options={
            "allow_http": endpoint.startswith("http://"),
            "timeout": _REQUEST_TIMEOUT,
            "connect_timeout": _CONNECT_TIMEOUT,
        },
        retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_TIMEOUT},
    )
    return ObjectStorage(store, deadline_s=deadline_s)
