"""A caller's own files, handed out as the model of each result in turn: for trying any GLB or other file.

Filled by `--model-file` and by `POST /_emulator/model-files`, read by the studio.
"""

import mimetypes
import mmap
import re
from pathlib import Path
from typing import Final

import msgspec

from fal_emulator.relations import sha256

OCTETS: Final = "application/octet-stream"
"""What FAL often says of a GLB."""

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")
_TYPES: Final = {".glb": "model/gltf-binary", ".gltf": "model/gltf+json", ".usdz": "model/vnd.usdz+zip"}


class ModelFile(msgspec.Struct, frozen=True):
    """One file: its name, its content type, its bytes."""

    name: str
    content_type: str
    data: bytes | memoryview


def read_model_file(path: Path) -> ModelFile:
    """The file as it is, not read into memory. Raises OSError."""
    kind = _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0] or OCTETS
    with path.open("rb") as file:
        size = path.stat().st_size
        data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) if size else b""
    return ModelFile(file_name(path.name), kind, data)


def file_name(text: str) -> str:
    """The last part of a path, in characters that are safe in a URL."""
    return _UNSAFE.sub("_", text.rsplit("/", 1)[-1]).lstrip(".") or "upload.bin"


class ModelFiles:
    """The files, and whose turn it is."""

    def __init__(self, files: tuple[ModelFile, ...]) -> None:
        self._files = list(files)
        self._turn = 0
        self._digests: dict[int, str] = {}

    def add(self, file: ModelFile) -> None:
        """One more."""
        self._files.append(file)

    def clear(self) -> None:
        """None: models are made."""
        self._files, self._turn, self._digests = [], 0, {}

    def digest(self, file: ModelFile) -> str:
        """The file's SHA-256, computed once: it may be large."""
        found = self._digests.get(id(file)) or sha256(file.data)
        if any(one is file for one in self._files):
            self._digests[id(file)] = found
        return found

    def names(self) -> list[str]:
        """Their names, in their order."""
        return [file.name for file in self._files]

    def next(self) -> ModelFile | None:
        """The next one's turn; None where there are none."""
        if not self._files:
            return None
        self._turn += 1
        return self._files[(self._turn - 1) % len(self._files)]
