"""What `up` will run: the settings and every child's command line and environment.

Who calls it: `run`. Ports are checked here, before a file is touched or a process started.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from image2model.settings import Settings, load
from image2model.settings.parse import is_loopback
from image2model.up.errors import StartError
from image2model.up.ports import free_port

# glibc gives buffers of this size back to the kernel and asks for them again, which halves an upload's
# speed. 32 MiB is the most that it accepts for the first.
_MALLOC: Final = {"MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2), "MALLOC_TRIM_THRESHOLD_": str(128 * 1024**2)}
_EMULATOR_HOST: Final = "127.0.0.1"
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """The flags of `up`; None: as the environment says."""

    host: str | None = None
    port: int | None = None
    workers: int = 1
    emulator_port: int = 8001
    latency: str = "3s"
    concurrency: int = 1000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Checked and ready to run. `emulator_port` is None where FAL itself is used."""

    settings: Settings
    environment: dict[str, str]
    workers: int
    emulator_port: int | None
    latency: str
    concurrency: int

    @property
    def url(self) -> str:
        """Where this machine reaches the API."""
        host = _ANY.get(self.settings.host, self.settings.host)
        shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"http://{shown}:{self.settings.port}"

    @property
    def data_dir(self) -> Path:
        """Where everything is kept."""
        return self.settings.data_dir

    @property
    def embeds_store(self) -> bool:
        """Whether `up` runs a store of its own."""
        return self.settings.redis_url is None

    def emulator(self) -> list[str]:
        """The emulator's command line."""
        return [
            *(sys.executable, "-m", "fal_emulator", "--exit-with-parent", "--host", _EMULATOR_HOST),
            *("--port", str(self.emulator_port), "--latency", self.latency),
            *("--concurrency", str(self.concurrency)),
        ]

    def command(self, name: str) -> list[str]:
        """The command line of one of our own processes."""
        return [sys.executable, "-m", "image2model", name]


def make_plan(wishes: Wishes, environment: Mapping[str, str] = os.environ) -> Plan:
    """Raises ConfigurationError for wrong settings, StartError for a port that is taken."""
    settings = load(environment, **_overrides(wishes, environment))
    port = free_port(settings.host, settings.port, "--port")
    emulates = settings.fal_key is None and settings.fal_base_url is None
    emulator_port = free_port(_EMULATOR_HOST, wishes.emulator_port, "--emulator-port") if emulates else None
    if port == emulator_port:
        raise StartError(f"the API and the emulator cannot both use port {port}; change --emulator-port")
    settings = msgspec.structs.replace(settings, port=port)
    return Plan(
        settings=settings,
        environment=_child_environment(settings, environment, emulator_port),
        workers=wishes.workers,
        emulator_port=emulator_port,
        latency=wishes.latency,
        concurrency=wishes.concurrency,
    )


def metrics_folder(data_dir: Path) -> Path:
    """Where the processes of one run share their counts, so that the API's `/metrics` shows them all."""
    return data_dir / "metrics"


def _overrides(wishes: Wishes, environment: Mapping[str, str]) -> dict[str, str]:
    host = wishes.host or environment.get("I2M_HOST", "").strip() or "127.0.0.1"
    given = {"host": wishes.host, "port": None if wishes.port is None else str(wishes.port)}
    if not environment.get("I2M_AUTH", "").strip() and is_loopback(host):
        given["auth"] = "none"
    return {name: value for name, value in given.items() if value}


def _child_environment(
    settings: Settings, environment: Mapping[str, str], emulator_port: int | None
) -> dict[str, str]:
    ours = {
        "I2M_HOST": settings.host,
        "I2M_PORT": str(settings.port),
        "I2M_AUTH": settings.auth,
        "I2M_DATA_DIR": str(settings.data_dir),
        "PROMETHEUS_MULTIPROC_DIR": str(metrics_folder(settings.data_dir)),
    }
    if emulator_port is not None:
        ours["I2M_FAL_BASE_URL"] = f"http://{_EMULATOR_HOST}:{emulator_port}"
        ours["FAL_KEY"] = "emulator:emulator"
    return {**_MALLOC, **environment, **ours}
