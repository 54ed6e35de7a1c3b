"""Pictures, the service's double, and the command line as a process."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command import Done, run_command
from tests.support.service import Service, running_service

Cli = Callable[..., Done]
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

    def run(*arguments: object) -> Done:
        return run_command(*arguments, folder=tmp_path, **environment)

    return run
