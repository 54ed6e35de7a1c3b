"""The files of the pages: ours are read once at the start and kept in memory, the viewers stay on disk."""

import asyncio
import gzip
import hashlib
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from typing import Final

from image2model.errors import NotFound

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".txt": "text/plain; charset=utf-8",
}
_LEVEL: Final = 9
_MEGABYTE: Final = 1 << 20
_FOLDER: Final = Path(__file__).parent
_INDEX: Final = "index.html"
_REFERENCE: Final = "reference.html"
_REFERENCE_MISSING: Final = "reference-missing.html"
_PAGES: Final = frozenset({_INDEX, _REFERENCE, _REFERENCE_MISSING})
_EAGER: Final = ("js/", "client/")
_LATER: Final = "js/later/"
_NOT_FOR_THE_PAGE: Final = frozenset({"index.js", "node.js"})
"""The entry points of the JavaScript client's package."""
EVENT_WORKER: Final = "js/later/event-worker.js"
"""The script of the shared worker that holds the connection to `/events`."""
VIEWER: Final = "vendor/model-viewer.min.js"
REFERENCE_VIEWER: Final = "vendor/swagger-ui/swagger-ui-bundle.js"
"""Both viewers exist only if Node was installed at set-up."""
_GONE: Final = "The service is being upgraded. Reload the page."


class Asset(ABC):
    """One file. `path` is relative to the tree, with slashes; `size` in bytes; `digest` is the SHA-256 of the
    content, shortened to 128 bits."""

    def __init__(self, path: str, size: int, digest: str) -> None:
        self.path = path
        self.size = size
        self.digest = digest[:32]
        self._compressing = asyncio.Lock()
        self._compressed: bytes | None = None

    @property
    def media_type(self) -> str:
        """The media type by the file's extension."""
        return _TYPES.get(PurePosixPath(self.path).suffix, "application/octet-stream")

    @abstractmethod
    async def content(self) -> bytes:
        """The content. Raises NotFound where it is there no more."""

    async def compressed(self) -> bytes:
        """The content compressed by gzip, in a thread when it is first needed. Raises NotFound."""
        async with self._compressing:
            if self._compressed is None:
                data = await self.content()
                self._compressed = await asyncio.to_thread(gzip.compress, data, _LEVEL, mtime=0)
            return self._compressed


class HeldAsset(Asset):
    """A file in memory."""

    def __init__(self, path: str, data: bytes) -> None:
        super().__init__(path, len(data), hashlib.sha256(data).hexdigest())
        self.data = data

    async def content(self) -> bytes:
        """The content."""
        return self.data


class StoredAsset(Asset):
    """A file on the disk, which is read when a browser asks for it: the viewers have megabytes.

    Its content is checked, because an upgrade may replace it while this process still runs.
    """

    def __init__(self, path: str, file: Path) -> None:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        super().__init__(path, file.stat().st_size, digest)
        self._file = file

    async def content(self) -> bytes:
        """The content. Raises NotFound where it is another one by now."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes:
        try:
            data = self._file.read_bytes()
        except OSError as error:
            raise NotFound(_GONE) from error
        if hashlib.sha256(data).hexdigest()[:32] != self.digest:
            raise NotFound(_GONE)
        return data


class Tree:
    """All files by path. `index` is the page at `/`, `reference` is the API reference page.

    The addresses of this version and the service's limit are filled in on both. Without its viewer,
    `reference` explains how to get it.
    """

    def __init__(self, held: dict[str, HeldAsset], viewers: dict[str, StoredAsset], max_bytes: int) -> None:
        ours = {path: asset for path, asset in held.items() if path not in _PAGES}
        self.files: dict[str, Asset] = {**ours, **viewers}
        self.version = _digest(self.files)
        self.index = HeldAsset(_INDEX, _filled(held[_INDEX].data, self, max_bytes))
        reference = _REFERENCE if REFERENCE_VIEWER in viewers else _REFERENCE_MISSING
        self.reference = HeldAsset(reference, _filled(held[reference].data, self, max_bytes))

    @property
    def base(self) -> str:
        """The path under which the files are served."""
        return f"/assets/{self.version}/"

    def eager(self) -> list[str]:
        """The modules that the page needs when it loads."""
        return [path for path in self.files if path.startswith(_EAGER) and not path.startswith(_LATER)]


def load(max_file_bytes: int) -> Tree:
    """Read the files of the pages, and of the viewers if they are installed.

    `max_file_bytes`: what the page says of the largest picture that the service takes.
    """
    held = _found(_FOLDER / "static", "")
    client = _found(_FOLDER / "client/src", "client/", "*.js")
    held |= {path: file for path, file in client.items() if file.name not in _NOT_FOR_THE_PAGE}
    viewers = _found(_FOLDER / "vendor", "vendor/")
    return Tree(
        {path: HeldAsset(path, file.read_bytes()) for path, file in held.items()},
        {path: StoredAsset(path, file) for path, file in viewers.items()},
        max_file_bytes,
    )


def _found(folder: Path, prefix: str, pattern: str = "*") -> dict[str, Path]:
    """The files below a folder, by their paths in the tree."""
    files = sorted(path for path in folder.rglob(pattern) if path.is_file())
    return {prefix + file.relative_to(folder).as_posix(): file for file in files}


def _digest(files: dict[str, Asset]) -> str:
    whole = hashlib.sha256()
    for path, asset in sorted(files.items()):
        whole.update(f"{path} {asset.digest}\n".encode())
    return whole.hexdigest()[:16]


def _filled(page: bytes, tree: Tree, max_file_bytes: int) -> bytes:
    preloads = "\n".join(f'<link rel="modulepreload" href="{tree.base}{path}">' for path in tree.eager())
    viewer = "yes" if VIEWER in tree.files else "no"
    text = page.decode().replace("{{preloads}}", preloads).replace("{{base}}", tree.base)
    text = text.replace("{{max_file_bytes}}", str(max_file_bytes))
    text = text.replace("{{file_limit}}", f"{max_file_bytes / _MEGABYTE:.3g} MB")
    return text.replace("{{viewer}}", viewer).encode()
