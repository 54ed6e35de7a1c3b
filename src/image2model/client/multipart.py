"""The multipart body of an upload: files on disk, read while they are sent, or bytes in memory."""

import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from image2model.client.errors import ClientError
from image2model.domain import MetadataValue
from image2model.shielded import in_thread

_CHUNK: Final = 256 * 1024


class Picture(msgspec.Struct, frozen=True):
    """`name` is for display; the bytes come from `path`, or else are `data`. `size` in bytes.

    `metadata`: the caller's own data on this picture.
    """

    name: str
    size: int
    path: Path | None = None
    data: bytes = b""
    metadata: Mapping[str, MetadataValue] = {}

    @classmethod
    def from_path(
        cls,
        path: str | os.PathLike[str],
        name: str | None = None,
        *,
        metadata: Mapping[str, MetadataValue] | None = None,
    ) -> Self:
        """A file on disk. Raises FileNotFoundError and the like."""
        path = Path(path)
        return cls(name=name or path.name, size=path.stat().st_size, path=path, metadata=metadata or {})

    @classmethod
    def from_bytes(
        cls, name: str, data: bytes, *, metadata: Mapping[str, MetadataValue] | None = None
    ) -> Self:
        """Bytes in memory."""
        return cls(name=name, size=len(data), data=data, metadata=metadata or {})

    async def chunks(self) -> AsyncIterator[bytes]:
        """Exactly `size` bytes, piece by piece. Raises ClientError if the file's length has changed."""
        if self.path is None:
            yield self.data
            return
        sent = 0
        with await in_thread(self.path.open, "rb") as file:
            while chunk := await in_thread(file.read, _CHUNK):
                sent += len(chunk)
                if sent > self.size:
                    break
                yield chunk
        if sent != self.size:
            raise ClientError(f"{self.path} changed while it was being sent; submit it again")


class Address(msgspec.Struct, frozen=True):
    """A picture on the web, which the service fetches: http or https, public, without a login.

    It may be signed: the service shows it nowhere. `name`: by default the address's last segment.
    `metadata`: the caller's own data on this picture.
    """

    url: str
    name: str = ""
    metadata: Mapping[str, MetadataValue] = {}

    def __repr__(self) -> str:
        return f"Address(…, name={self.name!r})"


class Part(msgspec.Struct, frozen=True):
    """A picture under its name in the form, such as `files`."""

    name: str
    picture: Picture


class MultipartBody:
    """Text fields first, then the files. It may be sent any number of times."""

    def __init__(self, fields: Sequence[tuple[str, str]], parts: Sequence[Part]) -> None:
        self._boundary = secrets.token_hex(16)
        self._fields = b"".join(self._field(name, value) for name, value in fields)
        self._parts = [(self._file_head(part), part.picture) for part in parts]
        self._end = f"--{self._boundary}--\r\n".encode()

    @property
    def content_type(self) -> str:
        """The request's content type, with the boundary."""
        return f"multipart/form-data; boundary={self._boundary}"

    @property
    def length(self) -> int:
        """The body's length in bytes."""
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

    def _file_head(self, part: Part) -> bytes:
        name, filename = _escaped(part.name), _escaped(part.picture.name)
        return (
            f"--{self._boundary}\r\n"
            f'Content-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode(errors="replace")


def _escaped(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
