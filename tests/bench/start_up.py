"""Rows: `up` to ready, and the command line's help, beside importing what the service is made of.

Who calls it: the bench. The data folder exists: the first start of all is not measured.
"""

import asyncio
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from tests.bench.row import Row, ratio_at_most
from tests.support.ports import free_port

_IMPORT = "import starlette.applications, arq, redis, aiohttp, fal_client, PIL.Image"
_PYTHON = sys.executable
_MODELS = 500


def run(quick: bool) -> list[Row]:
    """Three rows; two of a revision whose models are a table."""
    imports, helps, ups, full = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder, tempfile.TemporaryDirectory() as other:
        _up(Path(folder))
        has_models = find_spec("image2model.catalogue") is not None
        if has_models:
            _up(Path(other), with_models=_MODELS)
        for _ in range(2 if quick else 5):
            imports.append(_command("-c", _IMPORT))
            helps.append(_command("-m", "image2model", "--help"))
            ups.append(_up(Path(folder)))
            if has_models:
                full.append(_up(Path(other)))
    imported, up = statistics.median(imports), statistics.median(ups)
    many = f"`up` to ready with {_MODELS} models"
    return [
        ratio_at_most("`up` to ready", up, imported, 1.3, "s"),
        *([ratio_at_most(many, statistics.median(full), up, 1.05, "s")] if full else []),
        ratio_at_most("`--help`", statistics.median(helps), imported, 0.13, "s"),
    ]


def _command(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([_PYTHON, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _up(folder: Path, *, with_models: int = 0) -> float:
    """Seconds to ready. `with_models`: so many are in its store then."""
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
            took = time.perf_counter() - began
            if with_models:
                asyncio.run(_fill(folder, with_models))
            return took
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


async def _fill(folder: Path, count: int) -> None:
    """FAL's list has so many models, and the store has them."""
    from image2model.catalogue import stored
    from image2model.store.connection import connect  # an older revision has none of this
    from image2model.up.store import socket_path, store_folder
    from tests.support.catalogue import ListedFal, refresh

    async with connect(f"unix://{socket_path(store_folder(folder))}") as redis:
        while not (body := (await stored.read(redis))[1]):  # the worker reads FAL right after the start
            await asyncio.sleep(0.05)
        known = [schema.id for schema in stored.decode(body).schemas]
        fal = ListedFal(*known, *(f"fal-ai/{number}" for number in range(count)))
        while not await refresh(redis, fal):
            await asyncio.sleep(0.05)


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/api/v1/health/ready")
        return bool(json.loads(connection.getresponse().read()).get("status") == "ready")
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
