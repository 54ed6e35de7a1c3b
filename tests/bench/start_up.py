"""Rows: `up` to ready, and the command line's help, beside importing what the service is made of.

Who calls it: the bench. The data folder exists: the first start of all is not measured.
"""

import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.row import Row, ratio_at_most
from tests.support.ports import free_port

_IMPORT = "import starlette.applications, arq, redis, aiohttp, fal_client, PIL.Image"
_PYTHON = sys.executable


def run(quick: bool) -> list[Row]:
    """Two rows."""
    imports, helps, ups = [], [], []
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        _up(Path(folder))
        for _ in range(2 if quick else 5):
            imports.append(_command("-c", _IMPORT))
            helps.append(_command("-m", "image2model", "--help"))
            ups.append(_up(Path(folder)))
    imported = statistics.median(imports)
    return [
        ratio_at_most("`up` to ready", statistics.median(ups), imported, 5, "s"),
        ratio_at_most("`--help`", statistics.median(helps), imported, 0.6, "s"),
    ]


def _command(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([_PYTHON, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _up(folder: Path) -> float:
    port = free_port()
    command = [_PYTHON, "-m", "image2model", "up", "--port", str(port), "--emulator-port", "0"]
    own = {"FAL_KEY", "I2M_REDIS_URL", "I2M_FAL_BASE_URL"}
    environment = {name: value for name, value in os.environ.items() if name not in own}
    environment["I2M_DATA_DIR"] = str(folder)
    if own_path := os.environ.get("BENCH_UP_PATH"):
        environment["PYTHONPATH"] = own_path
    with (folder / "log").open("ab") as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            while not _is_ready(port):
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.005)
            return time.perf_counter() - began
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/api/v1/health/ready")
        return bool(json.loads(connection.getresponse().read()).get("status") == "ready")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
