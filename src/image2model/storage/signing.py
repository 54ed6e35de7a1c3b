"""Signed URLs of the storages in the clouds, where the credentials can sign.

A key signs here. An identity (a role, a managed identity, a service account without its key) asks the cloud,
which may refuse, and a SAS token signs nothing. Then the caller serves the file itself.
"""

import asyncio
import time
from datetime import timedelta
from typing import Final

import obstore
import structlog
from obstore.store import AzureStore, GCSStore, LocalStore, MemoryStore, S3Store

from image2model.storage.errors import StorageError, translated

RemoteStore = S3Store | AzureStore | GCSStore
Store = LocalStore | MemoryStore | RemoteStore

_DEADLINE_S: Final = 10.0
_PAUSE_S: Final = 300.0
"""After a refusal nobody is asked for so long: the cloud would be asked with each download."""

_log: Final = structlog.get_logger(__name__)


class UrlSigner:
    """Signs URLs of one storage that read an object."""

    def __init__(self, store: RemoteStore, deadline_s: float) -> None:
        self._store = store
        self._deadline_s = min(deadline_s, _DEADLINE_S)
        self._paused_until = 0.0

    async def sign(self, key: str, expires_s: int) -> str | None:
        """A URL for `expires_s` seconds; None if nobody signs one, now or for the next five minutes."""
        if time.monotonic() < self._paused_until:
            return None
        try:
            with translated(f"sign {key}"):
                async with asyncio.timeout(self._deadline_s):
                    return await obstore.sign_async(self._store, "GET", key, timedelta(seconds=expires_s))
        except StorageError as error:
            self._paused_until = time.monotonic() + _PAUSE_S
            _log.warning("downloads_not_signed", reason=str(error))
            return None
