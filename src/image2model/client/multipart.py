"""Writes a multipart/form-data body with a known length, its files read while they are sent.

Who calls it: `AsyncClient.submit`. Names go out as browsers send them: UTF-8, with quotes and line ends
percent-encoded (WHATWG HTML, "multipart/form-data encoding algorithm").
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence

from image2model.client.picture import Picture


class MultipartBody:
    """Text fields first, then `files` parts. It may be sent any number of times."""

    def __init__(self, fields: Mapping[str, str], pictures: Sequence[Picture]) -> None:
        self._boundary = secrets.token_hex(16)
        self._fields = b"".join(self._field(name, value) for name, value in fields.items())
        self._parts = [(self._file_head(picture.name), picture) for picture in pictures]
        self._end = f"--{self._boundary}--\r\n".encode()

    @property
    def content_type(self) -> str:
        """The request's content type, with the boundary."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def length(self) -> int:
        """The body's bytes."""
        files = sum(len(head) + picture.size + 2 for head, picture in self._parts)
        return len(self._fields) + files + len(self._end)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, piece by piece; one file is open at a time."""
        if self._fields:
            yield self._fields
        for head, picture in self._parts:
            yield head
            async for chunk in picture.chunks():
                yield chunk
            yield b"\r\n"
        yield self._end

    def _field(self, name: str, value: str) -> bytes:
        head = f'--{self._boundary}\r\nContent-Disposition: form-data; name="{_escaped(name)}"\r\n\r\n'
        return f"{head}{value}\r\n".encode()

    def _file_head(self, filename: str) -> bytes:
        return (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="files"; filename="{_escaped(filename)}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode(errors="replace")


def _escaped(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
