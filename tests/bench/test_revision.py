"""The other revision of `make bench BESIDE=REV`: what it is made of, and that nothing of it stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import revision
from tests.bench.revision import ROOT, NoSuchRevision, checked_out, commit_of

pytestmark = pytest.mark.long

_HOLD = """
import sys, time
from pathlib import Path
from tests.bench.revision import checked_out
with checked_out(sys.argv[1], Path(sys.argv[2])) as sides:
    print(sides[1].product.parents[1], flush=True)
    time.sleep(100)
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """One commit with a package that says `old`, and a working tree where it says `new`."""
    root = tmp_path / "repository"
    package = root / "src" / "image2model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("says = 'old'\n")
    (root / "requirements.lock").write_text("a==1\n")
    _git(root, "init", "--quiet")
    _git(root, "add", ".")
    author = ("-c", "user.name=bench", "-c", "user.email=bench@example.com")
    _git(root, *author, "commit", "--quiet", "--no-gpg-sign", "-m", "one")
    (package / "__init__.py").write_text("says = 'new'\n")
    return root


def test_each_side_has_its_own_product_and_both_this_checkouts_emulator(repository: Path) -> None:
    program = "import image2model, fal_emulator; print(image2model.says, fal_emulator.__file__)"
    with checked_out(commit_of("HEAD", repository), repository) as sides:
        found = [
            subprocess.run(
                [side.python, "-c", program],
                env=side.environment(),
                capture_output=True,
                text=True,
                check=True,
            ).stdout.split()
            for side in sides
        ]
        assert sides[1].python == sys.executable
        emulators = {Path(emulator).resolve() for _, emulator in found}
    assert [product for product, _ in found] == ["new", "old"]
    assert emulators == {ROOT / "src/fal_emulator/__init__.py"}


def test_nothing_is_left_behind(repository: Path) -> None:
    with checked_out(commit_of("HEAD", repository), repository) as (_, there):
        folder = there.path.parent
        assert len(_worktrees(repository)) == 2
    assert not folder.exists()
    assert len(_worktrees(repository)) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_is_left_behind_when_it_is_interrupted(repository: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", _HOLD, commit_of("HEAD", repository), str(repository)]
    with subprocess.Popen(
        command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        tree = Path(process.stdout.readline().strip())
        assert tree.is_dir()
        process.send_signal(number)
        assert process.wait(60) != 0
    assert not tree.parent.exists()
    assert len(_worktrees(repository)) == 1


def test_other_packages_are_needed_only_where_the_products_lock_file_differs(repository: Path) -> None:
    with checked_out(commit_of("HEAD", repository), repository) as (_, there):
        tree = there.product.parents[1]
        assert not revision.needs_own_packages(repository, tree)
        (tree / "requirements-dev.lock").write_text("b==1\n")
        assert not revision.needs_own_packages(repository, tree)
        (tree / "requirements.lock").write_text("a==2\n")
        assert revision.needs_own_packages(repository, tree)


def test_a_revision_that_git_does_not_know_is_named(repository: Path) -> None:
    with pytest.raises(NoSuchRevision, match="nowhere"):
        commit_of("nowhere", repository)


def _worktrees(root: Path) -> list[str]:
    return _git(root, "worktree", "list").splitlines()


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True)
    return done.stdout
