"""Can files be written, read and deleted, and is there room for more?

Who calls it: the examination.
"""

import secrets
from typing import Final

from image2model.cli.doctor.finding import Finding, broken, ok, warning
from image2model.errors import ConfigurationError, DiskFull
from image2model.storage.address import open_storage
from image2model.storage.errors import StorageError
from image2model.storage.objects import ObjectStorage

_PART: Final = "storage"
_LITTLE: Final = 2 * 1024**3


async def check_storage(url: str) -> list[Finding]:
    """Puts a small object, reads it back and deletes it."""
    try:
        storage = open_storage(url)
        await _round_trip(storage)
        free = await storage.free_bytes()
    except (ConfigurationError, StorageError, DiskFull, OSError, TimeoutError) as error:
        return [broken(_PART, f"{url}: {error}", "make it writable, or correct I2M_STORAGE_URL")]
    findings = [ok(_PART, f"{url} can be written and read")]
    if free is not None and free < _LITTLE:
        findings.append(warning(_PART, f"only {free / 1024**3:.1f} GiB are left", "make room"))
    return findings


async def _round_trip(storage: ObjectStorage) -> None:
    key, written = f"doctor/{secrets.token_hex(8)}", secrets.token_bytes(64)
    await storage.put(key, written, content_type="application/octet-stream")
    try:
        if await storage.get(key) != written:
            raise StorageError(f"{key} was read back with other bytes")
    finally:
        await storage.delete([key])
