"""What `doctor` says about the storage: it puts an object, reads it, also as clients do, and deletes it."""

import secrets
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from image2model.cli.commands.doctor_findings import Finding, broken, ok, warning
from image2model.errors import ConfigurationError, DiskFull
from image2model.storage.address import open_storage
from image2model.storage.errors import StorageError
from image2model.storage.objects import ObjectStorage

_STORAGE: Final = "storage"
_LOW_DISK_BYTES: Final = 2 * 1024**3
_PROBE_SECONDS: Final = 10.0


async def check_storage(url: str) -> list[Finding]:
    """Puts a small object, reads it back and deletes it."""
    try:
        storage = open_storage(url)
        signed = await _round_trip(storage)
        free = await storage.free_bytes()
    except (ConfigurationError, StorageError, DiskFull, OSError, TimeoutError) as error:
        return [broken(_STORAGE, f"{url}: {error}", "make it writable, or correct I2M_STORAGE_URL")]
    findings = [ok(_STORAGE, f"{url} can be written and read"), *signed]
    if free is not None and free < _LOW_DISK_BYTES:
        findings.append(warning(_STORAGE, f"only {free / 1024**3:.1f} GiB are left", "free some disk space"))
    return findings


async def _round_trip(storage: ObjectStorage) -> list[Finding]:
    """What to say about signed addresses. Raises StorageError, DiskFull."""
    key, written = f"doctor/{secrets.token_hex(8)}", secrets.token_bytes(64)
    await storage.put(key, written, content_type="application/octet-stream")
    try:
        if await storage.get(key) != written:
            raise StorageError(f"{key} was read back with different bytes")
        return await _signed_address(storage, key, written) if storage.is_remote else []
    finally:
        await storage.delete([key])


async def _signed_address(storage: ObjectStorage, key: str, written: bytes) -> list[Finding]:
    """Whether a client can read by the address that a download redirects to."""
    address = await storage.presign(key, 60)
    if address is None:
        return [ok(_STORAGE, "downloads pass through the service, because nobody signs addresses")]
    host = urlsplit(address).netloc
    try:
        timeout = aiohttp.ClientTimeout(total=_PROBE_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.get(URL(address, encoded=True)) as answer,
        ):
            if answer.status == 200 and await answer.read() == written:
                return [ok(_STORAGE, f"downloads redirect to signed addresses of {host}")]
            reason = f"HTTP {answer.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = str(error) or type(error).__name__
    advice = "check the credentials, this machine's clock, and that clients reach the host"
    return [warning(_STORAGE, f"a signed address of {host} cannot be read: {reason}", advice)]
