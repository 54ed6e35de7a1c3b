"""Pictures, the service's double, and the command line as a process."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.service import Service, running_service

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
MakePicture = Callable[..., Path]


@pytest.fixture
def service() -> Iterator[Service]:
    with running_service() as service:
        yield service


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "my photos"
    folder.mkdir()
    return folder


@pytest.fixture
def picture(photos: Path) -> MakePicture:
    """Makes a file that begins as a PNG does; `content` makes it differ."""

    def make(name: str, content: str | None = None) -> Path:
        path = photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + (content or name).encode())
        return path

    return make


@pytest.fixture
def environment(service: Service) -> dict[str, str]:
    return {**os.environ, "I2M_URL": service.url}


@pytest.fixture
def cli(environment: dict[str, str], tmp_path: Path) -> Cli:
    """Runs `image2model ARGUMENTS` to its end, in the temporary folder."""

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "image2model", *map(str, arguments)]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run
