"""The wheel of this checkout, and a person's machine that has nothing else of it.

The machine: an empty home, a PATH without Node, another working directory. Package installers keep the
settings and the caches of the machine that the tests run on: nothing is downloaded twice.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.support.sketches import picture
from tests.web.conftest import browser

__all__ = ["browser"]

ROOT: Final = Path(__file__).parents[2]
BIN: Final = Path(sys.executable).parent
INSTALL_SECONDS: Final = 500
_SHELL: Final = ("dirname", "realpath")
"""What the starter that uv writes asks of the system."""
_INSTALLERS: Final = ("PIP_", "UV_", "SSL_", "REQUESTS_", "HTTP_", "HTTPS_", "http_", "https_", "NO_PROXY")


def build(source: Path, out: Path, *, target: str = "wheel", epoch: str = "") -> Path:
    """Build a wheel or an sdist, as `make wheel` does. Raises CalledProcessError."""
    environment = os.environ | ({"SOURCE_DATE_EPOCH": epoch} if epoch else {})
    command = [str(BIN / "hatchling"), "build", "-t", target, "-d", str(out)]
    subprocess.run(
        command, cwd=source, env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    (made,) = out.iterdir()
    return made


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@dataclass(frozen=True)
class Machine:
    """Where a person works: `home` is also the working directory."""

    home: Path
    path: Path
    """All that PATH names."""

    def run(self, *command: str | Path, seconds: float = INSTALL_SECONDS, **settings: str) -> str:
        """Run a command to its good end; return its standard output."""
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self.environment(**settings),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, f"{command} {done.stdout[-2000:]} {done.stderr[-2000:]}"
        return done.stdout

    def environment(self, **settings: str) -> dict[str, str]:
        """What a program sees here."""
        kept = {name: value for name, value in os.environ.items() if name.startswith(_INSTALLERS)}
        caches = {
            "PIP_CACHE_DIR": _cache("pip", "cache", "dir"),
            "UV_CACHE_DIR": _cache("uv", "cache", "dir"),
        }
        # Compiling all packages in advance takes longer than the session.
        own = {"HOME": str(self.home), "PATH": str(self.path), "LANG": "C.UTF-8", "PIP_NO_COMPILE": "1"}
        return {**caches, **kept, **own, **settings}


def _cache(*command: str) -> str:
    asked = [str(BIN / command[0]), *command[1:]]
    return subprocess.run(asked, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine that has Python, and no Node."""
    path = tmp_path / "bin"
    path.mkdir()
    (path / "python3").symlink_to(sys.executable)
    for name in _SHELL:
        (path / name).symlink_to(shutil.which(name) or name)
    found = Machine(tmp_path / "home", path)
    found.home.mkdir()
    assert shutil.which("node", path=str(path)) is None
    return found


@dataclass
class Service:
    """`up`, as it said."""

    url: str
    lines: list[str] = field(default_factory=list)


@contextmanager
def running(machine: Machine, image2model: Sequence[str | Path]) -> Iterator[Service]:
    """`image2model up` on free ports, until the block ends."""
    with subprocess.Popen(
        [*image2model, "up", "--port", "0", "--emulator-port", "0"],
        cwd=machine.home,
        env=machine.environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as up:
        try:
            assert up.stdout is not None
            service = Service("")
            for line in up.stdout:
                service.lines.append(line)
                if line.startswith("ready"):
                    break
            else:
                raise AssertionError(f"it ended: {service.lines}")
            service.url = next(line.split()[-1] for line in service.lines if line.startswith("image2model"))
            yield service
        finally:
            up.terminate()
            assert up.wait(60) in (0, -15)


def first_model(machine: Machine, image2model: Sequence[str | Path], service: Service) -> bytes:
    """What a person does first: send a picture, and get its model."""
    (machine.home / "chair.jpg").write_bytes(picture(fmt="JPEG", seed=1))
    said = machine.run(*image2model, "submit", "chair.jpg", "--out", "models", I2M_URL=service.url)
    assert re.search(r"1 model saved", said), said
    return (machine.home / "models" / "chair.glb").read_bytes()
