"""Saves a download: into a temporary file beside its target, checked, then renamed into place.

A target is complete or absent, never in between.
"""

import os
import secrets
from pathlib import Path
from typing import BinaryIO

import aiohttp

from image2model.client.errors import BadDownload
from image2model.shielded import in_thread


async def save(
    response: aiohttp.ClientResponse, target: Path, *, size: int | None, part_dir: Path | None
) -> int:
    """Write the body to `target` (folders are made) and return its size.

    `size`: as the service announced it, if at all. `part_dir`: a folder for the unfinished file, on the same
    file system; default: the target's own. Raises BadDownload, OSError.
    """
    folder = part_dir or target.parent
    part = (
        folder / f".{secrets.token_hex(8)}.part"
    )  # without the target's name, which may be too long already
    await in_thread(_make_folders, folder, target.parent)
    try:
        written = await _receive(response, part)
        _check(written, response.content_length, size, target)
        await in_thread(part.replace, target)
    finally:
        await in_thread(part.unlink, missing_ok=True)
    return written


def _make_folders(*folders: Path) -> None:
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)


async def _receive(response: aiohttp.ClientResponse, part: Path) -> int:
    written = 0
    with await in_thread(part.open, "xb") as file:
        async for chunk in response.content.iter_chunked(256 * 1024):
            written += await in_thread(file.write, chunk)
        await in_thread(_flush, file)
    return written


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _check(written: int, announced: int | None, size: int | None, target: Path) -> None:
    for expected in (announced, size):
        if expected is not None and written != expected:
            raise BadDownload(f"{target.name} arrived with {written} bytes instead of {expected}")
