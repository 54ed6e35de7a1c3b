"""What `up` will run: flags and settings, checked, with the ports and the environment of the children.

Everything that can be wrong is reported here, before anything starts.
"""

import errno
import os
import random
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from image2model.settings import Settings, load
from image2model.settings.parse import is_loopback
from image2model.up.errors import StartError

# glibc returns larger buffers to the kernel and allocates them anew, which halves an upload's speed. 32 MiB
# is the largest value that it accepts for the first.
_MALLOC: Final = {"MALLOC_MMAP_THRESHOLD_": str(32 * 1024**2), "MALLOC_TRIM_THRESHOLD_": str(128 * 1024**2)}
_EMULATOR_HOST: Final = "127.0.0.1"
_BELOW_THE_SYSTEMS: Final = (20_000, 32_000)
"""Linux gives ports from 32,768 up to connections, other systems from 49,152 up."""
_TRIES: Final = 50
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - compared, not bound


class UpOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The flags of `up`; None: as in the environment."""

    host: str | None = None
    port: int | None = None
    workers: str | None = None
    emulator_port: int = 8001
    latency: str = "3s"
    concurrency: int = 1000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Checked and ready to run. `emulator_port` is None where the real FAL is used."""

    settings: Settings
    environment: dict[str, str]
    workers: int
    emulator_port: int | None
    latency: str
    concurrency: int

    @property
    def url(self) -> str:
        """The API's address on this machine."""
        host = _ANY.get(self.settings.host, self.settings.host)
        shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
        return f"http://{shown}:{self.settings.port}"

    @property
    def data_dir(self) -> Path:
        """The folder of all data."""
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


def make_plan(options: UpOptions, environment: Mapping[str, str] = os.environ) -> Plan:
    """Raises ConfigurationError for wrong settings, StartError for a port that is taken."""
    settings = load(environment, **_overrides(options, environment))
    port = free_port(settings.host, settings.port, "--port")
    emulates = settings.fal_key is None and settings.fal_base_url is None
    emulator_port = free_port(_EMULATOR_HOST, options.emulator_port, "--emulator-port") if emulates else None
    if port == emulator_port:
        raise StartError(f"the API and the emulator cannot both use port {port}; change --emulator-port")
    settings = msgspec.structs.replace(settings, port=port)
    return Plan(
        settings=settings,
        environment=_child_environment(settings, environment, emulator_port),
        workers=settings.workers,
        emulator_port=emulator_port,
        latency=options.latency,
        concurrency=options.concurrency,
    )


def metrics_folder(data_dir: Path) -> Path:
    """The folder in which all processes of one run keep their counts for the API's `/metrics`."""
    return data_dir / "metrics"


def _overrides(options: UpOptions, environment: Mapping[str, str]) -> dict[str, str]:
    host = options.host or environment.get("I2M_HOST", "").strip() or "127.0.0.1"
    given = {
        "host": options.host,
        "port": None if options.port is None else str(options.port),
        "workers": options.workers,
    }
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


def free_port(host: str, port: int, flag: str) -> int:
    """`port`, or any free one for 0. Raises StartError, which names `flag` to choose another.

    The port is bound again only seconds later, by a child. The system gives those of its own range to
    connections meanwhile, so one below that range is chosen.
    """
    if port == 0:
        draw = random.SystemRandom()
        for _ in range(_TRIES):
            with suppress(StartError):
                return free_port(host, draw.randrange(*_BELOW_THE_SYSTEMS), flag)
    family, address = _resolved(host, port)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            raise StartError(_port_problem(error, host, port, flag)) from error
        bound: int = probe.getsockname()[1]
    return bound


def _resolved(host: str, port: int) -> tuple[socket.AddressFamily, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise StartError(f"{host} is not an address of this machine: {error.strerror or error}") from error
    family, _, _, _, address = found[0]
    return family, (str(address[0]), int(address[1]))


def _port_problem(error: OSError, host: str, port: int, flag: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use; stop what listens there, or choose another with {flag}"
    if error.errno == errno.EACCES:
        return f"port {port} may not be used by this user; choose one above 1023 with {flag}"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"


def require_a_key(redis_url: str, host: str) -> None:
    """Raises StartError where no key exists."""
    import asyncio  # importing these two takes as long as all the rest

    from image2model.store.connection import StoreOutage

    try:
        found = asyncio.run(_has_valid_key(redis_url))
    except StoreOutage as error:
        raise StartError(f"I2M_REDIS_URL: the store does not answer: {error}") from error
    if not found:
        raise StartError(
            f"no API key exists, and {host} is open to the network. Set I2M_ADMIN_KEY to a long "
            "random text, which becomes the first admin key, or run `up` on 127.0.0.1 and make a key with "
            "`image2model keys create`"
        )


async def _has_valid_key(redis_url: str) -> bool:
    from image2model.access import keys
    from image2model.store.connection import connect

    async with connect(redis_url) as redis:
        return await keys.any_valid(redis)


def print_banner(plan: Plan) -> None:
    """Its address, its data folder, and what a person should know before using it."""
    settings = plan.settings
    print_line(f"image2model   {plan.url}")
    print_line(f"data          {plan.data_dir}")
    if plan.emulator_port is not None:
        print_line(
            f"FAL emulator  http://127.0.0.1:{plan.emulator_port}  no FAL_KEY is set, nothing is paid for"
        )
    if settings.auth == "none":
        reach = "this machine" if settings.on_loopback else f"the network of {settings.host}"
        print_line(f"no keys       I2M_AUTH=none: anyone who reaches {reach} may use it")


def print_line(text: str) -> None:
    """One line on standard output, flushed."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
