"""Pictures, the service's double, the real service, and the command line as a process."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.support import forked
from tests.support.command import Done, run_command
from tests.support.emulator_process import KEY, EmulatorProcess, emulator_process
from tests.support.service import Service, running_service
from tests.support.up_process import Up
from tests.support.wait import wait_until

Cli = Callable[..., Done]
KilledSubmit = Callable[..., None]
Run = Callable[..., Done]
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


@pytest.fixture
def killed_submit(service: Service, environment: dict[str, str], tmp_path: Path) -> Callable[..., None]:
    """Runs `image2model submit ARGUMENTS`, and kills it between the arrival of its upload and the answer."""

    def run(*arguments: object) -> None:
        service.lose_replies = 1000
        command = ("image2model", "submit", *map(str, arguments))
        with Path(os.devnull).open("wb") as null:
            first = forked.start(command, environment, null, null, tmp_path)
        wait_until(lambda: len(service.uploads) > 0)
        first.kill()
        first.wait()
        service.lose_replies = 0

    return run


@pytest.fixture(scope="module")
def emulator() -> Iterator[EmulatorProcess]:
    with emulator_process("--latency", "200ms") as emulator:
        yield emulator


@pytest.fixture
def settings(emulator: EmulatorProcess) -> Iterator[dict[str, str]]:
    """Of a shell in which the service's URL is set, while the service runs."""
    emulator.reset(latency=0.2)
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        up = Up(
            Path(folder) / "data",
            "--port",
            "0",
            FAL_KEY=KEY,
            I2M_FAL_BASE_URL=emulator.url,
            I2M_MODELS="*",
            I2M_FETCH_ALLOW_PRIVATE="1",
        )
        try:
            url = up.ready().url
            wait_until(lambda: _source(url) == "fal", timeout=60)  # before that, some prices are unknown
            yield {"I2M_URL": url}
        finally:
            up.end()


def _source(url: str) -> object:
    """From where the service has its list of models."""
    return httpx.get(f"{url}/api/v1/models").raise_for_status().json()["source"]


@pytest.fixture
def run(settings: dict[str, str], tmp_path: Path) -> Run:
    def command(*arguments: object) -> Done:
        return run_command(*arguments, folder=tmp_path, **settings)

    return command


def draw(path: Path, seed: str, side: int = 64) -> None:
    """A picture of its own for each text, with a side of so many pixels."""
    pixels = np.random.default_rng([*seed.encode()]).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).resize((side, side)).save(path)


def models(folder: Path) -> dict[str, bytes]:
    """The bytes of each model, by its name."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.glb"))}
