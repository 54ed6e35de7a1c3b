"""Finds the bytes behind a submitted picture URL: a data URI, one of our own files, or http on loopback.

Called by the studio. It goes to no other host, so that the emulator can never be used to reach one. An
address of pictures.example.com stands for any picture on the internet: it is answered without a network.
"""

import asyncio
import base64
import binascii
import io
from functools import cache
from urllib.parse import unquote_to_bytes, urlsplit

from PIL import Image

from fal_emulator.files import Files
from fal_emulator.input_urls import own_path
from fal_emulator.outbound import OutboundError, get_loopback

_EXAMPLE_HOST = "pictures.example.com"


class SourceError(Exception):
    """Nothing could be fetched from the URL; the message says why."""


async def load_picture(url: str, files: Files, base_url: str) -> bytes:
    """The picture's bytes. Raises SourceError."""
    if url.startswith("data:"):
        return await asyncio.to_thread(decode_data_uri, url)
    own = own_path(url, base_url)
    if own is not None:
        return _own_file(own, files)
    if urlsplit(url).hostname == _EXAMPLE_HOST:
        return _example_picture()
    try:
        return await asyncio.to_thread(get_loopback, url)
    except OutboundError as error:
        raise SourceError(str(error)) from error


@cache
def _example_picture() -> bytes:
    data = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(data, "PNG")
    return data.getvalue()


def _own_file(path: str, files: Files) -> bytes:
    file = files.get(path)
    if file is None:
        raise SourceError("there is no such file")
    files.mark_used(path)
    return bytes(file.data)


def decode_data_uri(uri: str) -> bytes:
    """The bytes in a `data:` URI (RFC 2397). Raises SourceError if it is not one."""
    head, comma, body = uri.partition(",")
    if not comma:
        raise SourceError("the data URI has no comma")
    if not head.endswith(";base64"):
        return unquote_to_bytes(body)
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SourceError("the data URI is not base64") from error
