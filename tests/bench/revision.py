"""Another revision of the product, checked out in a temporary folder, and gone afterwards.

Who calls it: `tests.bench.beside`. The harness and the emulator are always this checkout's: only the product
differs, by the PYTHONPATH of the processes that measure.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).resolve().parents[2]
_LOCK: Final = "requirements.lock"
_BROWSER_PARTS: Final = "src/image2model/web/vendor"


class Side(msgspec.Struct, frozen=True):
    """One of the two that are measured: what runs it, and where the product's package is."""

    name: str
    python: str
    product: Path
    path: Path
    up_path: Path

    def environment(self) -> dict[str, str]:
        """Of the process that runs a row; what that starts inherits it.

        `path` has this product and this checkout's emulator; `up_path` has the emulator that belongs to the
        product, for the row of `up`, which starts both.
        """
        return {**os.environ, "PYTHONPATH": str(self.path), "BENCH_UP_PATH": str(self.up_path)}


class NoSuchRevision(Exception):
    """Git does not know it."""


def commit_of(revision: str, root: Path = ROOT) -> str:
    """The commit's full id. Raises NoSuchRevision."""
    found = _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if found.returncode:
        raise NoSuchRevision(f"git knows no commit {revision!r}")
    return found.stdout.strip()


@contextmanager
def checked_out(commit: str, root: Path = ROOT) -> Iterator[tuple[Side, Side]]:
    """This checkout, and the commit in a worktree of its own; nothing of it is left behind.

    SIGTERM and SIGHUP end the block as Ctrl-C does. Raises CalledProcessError where a step of it fails.
    """
    before = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    folder = Path(tempfile.mkdtemp(prefix="i2m-beside-"))
    tree = folder / "tree"
    try:
        _run("git", "-C", str(root), "worktree", "add", "--quiet", "--detach", str(tree), commit)
        _copy_browser_parts(root, tree)
        for source in (root / "src", tree / "src"):
            _run(sys.executable, "-m", "compileall", "-q", str(source))
        python = own_python(folder, tree) if needs_own_packages(root, tree) else sys.executable
        yield (
            side("here", sys.executable, folder / "here", root / "src"),
            side(commit[:7], python, folder / "there", tree / "src"),
        )
    finally:
        with _undisturbed():
            _git(root, "worktree", "remove", "--force", str(tree))
            shutil.rmtree(folder, ignore_errors=True)
        for number, handler in before.items():
            signal.signal(number, handler)


def needs_own_packages(root: Path, tree: Path) -> bool:
    """Whether the product there runs on other packages than here. Those of the tests do not count."""
    return (tree / _LOCK).read_bytes() != (root / _LOCK).read_bytes()


def own_python(folder: Path, tree: Path) -> str:
    """A virtual environment from the lock file of that revision; its Python."""
    _run(sys.executable, "-m", "venv", str(folder / "venv"))
    python = str(folder / "venv" / "bin" / "python")
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
    _run(*pip, "--require-hashes", "-r", str(tree / "requirements-dev.lock"))
    _run(*pip, "--no-build-isolation", "--no-deps", str(tree))
    return python


def side(name: str, python: str, path: Path, source: Path) -> Side:
    """A folder for PYTHONPATH with the product of `source` and this checkout's emulator, by links."""
    path.mkdir()
    (path / "image2model").symlink_to(source / "image2model")
    (path / "fal_emulator").symlink_to(ROOT / "src" / "fal_emulator")
    return Side(name, python, source / "image2model", path, source)


def _copy_browser_parts(root: Path, tree: Path) -> None:
    """They are not in git, and the API reads them when it starts."""
    if (root / _BROWSER_PARTS).is_dir() and not (tree / _BROWSER_PARTS).exists():
        shutil.copytree(root / _BROWSER_PARTS, tree / _BROWSER_PARTS)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


@contextmanager
def _undisturbed() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _git(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    # a session of its own: a second Ctrl-C in the terminal must not stop the removal
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, start_new_session=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, cwd=ROOT)
