"""Where the embedded store's unix socket lies: in its folder, or in a short runtime folder.

A unix socket's path is limited to about 107 bytes (104 on macOS), whatever the file system allows. The
runtime folder's name follows from the data folder's, so that a later run finds and reuses it.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from image2model.up.errors import StartError

_LONGEST: Final = 100
_NAME: Final = "valkey.sock"


def socket_path(folder: Path) -> Path:
    """The socket's path for a store in `folder`; nothing is made."""
    inside = folder / _NAME
    return inside if len(os.fsencode(inside)) <= _LONGEST else _runtime_folder(folder) / _NAME


def prepare(path: Path, folder: Path) -> None:
    """Make the runtime folder where it is needed, and clear away an earlier server's socket."""
    if path.parent != folder:
        _make_private(path.parent)
    path.unlink(missing_ok=True)


def forget(path: Path, folder: Path) -> None:
    """Remove a socket that its server left behind, and the runtime folder made for it."""
    path.unlink(missing_ok=True)
    if path.parent != folder and path.parent.exists():
        path.parent.rmdir()


def _runtime_folder(folder: Path) -> Path:
    base = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    digest = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:12]
    return Path(base) / f"i2m-{os.getuid()}-{digest}"


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or folder.is_symlink():
        raise StartError(f"{folder} must be a folder of yours that nobody else can enter; remove it")
