"""Opens the storage that a URL names.

Credentials never stand in the URL: they come from the environment variables that each cloud's own tools read
(`AWS_*`, `AZURE_STORAGE_*`, `GOOGLE_*`), or from the role of the machine or container.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from obstore.store import LocalStore, MemoryStore

from image2model.errors import ConfigurationError
from image2model.storage import amazon, azure, google
from image2model.storage.local_folder import LocalFolder
from image2model.storage.objects import DEADLINE_S, ObjectStorage

_ADVICE: Final = (
    "I2M_STORAGE_URL must be file:///absolute/path, s3://bucket/prefix, az://container/prefix, "
    "gs://bucket/prefix or memory://"
)


def open_storage(url: str, *, deadline_s: float = DEADLINE_S) -> ObjectStorage:
    """`file:///abs/path` (created if missing), `s3://…`, `az://…`, `gs://…` or `memory://`.

    May touch the disk. A path may be percent-encoded, as `Path.as_uri()` does, or plain. `deadline_s`
    seconds bound each call. Raises ConfigurationError.
    """
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    if scheme == "file":
        return _open_folder(url, deadline_s)
    if scheme == "s3":
        return ObjectStorage(amazon.open_bucket(url, os.environ), deadline_s=deadline_s)
    if scheme == "az":
        return ObjectStorage(azure.open_container(url, os.environ), deadline_s=deadline_s)
    if scheme == "gs":
        bucket = google.open_bucket(url, os.environ)
        return ObjectStorage(bucket, deadline_s=deadline_s, signs=google.signs(os.environ))
    if scheme == "memory":
        return ObjectStorage(MemoryStore(), deadline_s=deadline_s)
    raise ConfigurationError([_ADVICE])


def download_origins(url: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The hosts that signed URLs of this storage may name; empty where there are none.

    `environment` has the endpoint, as for the storage itself. Raises ConfigurationError.
    """
    match url.partition("://")[0].lower():
        case "s3":
            return amazon.origins(environment)
        case "az":
            return azure.origins(environment)
        case "gs":
            return google.origins(environment)
        case _:
            return ()


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
