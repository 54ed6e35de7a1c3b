"""The files of the pages, read once at the start and kept in memory, also in compressed form."""

import asyncio
import gzip
import hashlib
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Final

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
VIEWER: Final = "vendor/model-viewer.min.js"
REFERENCE_VIEWER: Final = "vendor/swagger-ui/swagger-ui-bundle.js"
"""Both viewers exist only if Node was installed at set-up."""


class Asset:
    """One file. `path` is relative to the tree, with slashes."""

    def __init__(self, path: str, data: bytes) -> None:
        self.path = path
        self.data = data
        self._compressing = asyncio.Lock()
        self._compressed: bytes | None = None

    @property
    def media_type(self) -> str:
        """The media type by the file's extension."""
        return _TYPES.get(PurePosixPath(self.path).suffix, "application/octet-stream")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the content, shortened to 128 bits."""
        return hashlib.sha256(self.data).hexdigest()[:32]

    async def compressed(self) -> bytes:
        """The content compressed by gzip, in a thread when it is first needed."""
        async with self._compressing:
            if self._compressed is None:
                self._compressed = await asyncio.to_thread(gzip.compress, self.data, _LEVEL, mtime=0)
            return self._compressed


class Tree:
    """All files by path. `index` is the page at `/`, `reference` is the API reference page.

    The addresses of this version and the service's limit are filled in on both. Without its viewer,
    `reference` explains how to get it.
    """

    def __init__(self, files: dict[str, Asset], max_file_bytes: int) -> None:
        self.files = {path: asset for path, asset in files.items() if path not in _PAGES}
        self.version = _digest(self.files)
        self.index = Asset(_INDEX, _filled(files[_INDEX].data, self, max_file_bytes))
        reference = _REFERENCE if REFERENCE_VIEWER in self.files else _REFERENCE_MISSING
        self.reference = Asset(reference, _filled(files[reference].data, self, max_file_bytes))

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
    files = _read(_FOLDER / "static", "") | _read(_FOLDER / "vendor", "vendor/")
    client = _read(_FOLDER / "client/src", "client/", "*.js")
    ours = {path: one for path, one in client.items() if _name(path) not in _NOT_FOR_THE_PAGE}
    return Tree(files | ours, max_file_bytes)


def _name(path: str) -> str:
    return PurePosixPath(path).name


def _read(folder: Path, prefix: str, pattern: str = "*") -> dict[str, Asset]:
    found = sorted(path for path in folder.rglob(pattern) if path.is_file())
    paths = {path: prefix + path.relative_to(folder).as_posix() for path in found}
    return {name: Asset(name, path.read_bytes()) for path, name in paths.items()}


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
