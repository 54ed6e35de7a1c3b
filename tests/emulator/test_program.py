"""`python -m fal_emulator` as a program: ready line, clean ends, and wrong usage."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from fal_emulator.faults import Fault
from tests.support.emulator import AUTHORIZATION, TRIPO
from tests.support.sketches import picture

COMMAND = (sys.executable, "-m", "fal_emulator")
WRAPPER = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-m", "fal_emulator", "--port", "0", "--exit-with-parent"])
print(child.pid, flush=True)
time.sleep(60)
"""


@contextlib.asynccontextmanager
async def _started(*command: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _url(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    found = re.fullmatch(r"fal emulator ready on (http://127\.0\.0\.1:\d+)\n", line)
    assert found is not None, line
    return found[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signal_ends_it_at_once_with_0_although_streams_are_open(number: int) -> None:
    async with (
        _started(*COMMAND, "--port", "0", "--latency", "60s") as process,
        httpx.AsyncClient(base_url=await _url(process), headers=AUTHORIZATION) as http,
    ):
        submitted = (await http.post(f"/{TRIPO}", json={"image_url": "data:,x"})).json()
        headers = {"X-Emulator-Fault": "hang"}
        hung = asyncio.ensure_future(http.post(f"/{TRIPO}", json={}, headers=headers))
        async with http.stream("GET", f"{submitted['status_url']}/stream") as stream:
            lines = stream.aiter_lines()
            assert (await anext(lines)).startswith("data: ")
            process.send_signal(number)
            async with asyncio.timeout(60):
                assert await process.wait() == 0
        with pytest.raises(httpx.HTTPError):
            await hung
        assert process.stderr is not None
        assert await process.stderr.read() == b""


async def test_idle_emulator_loads_nothing_that_only_pictures_and_webhooks_need() -> None:
    command = (sys.executable, "-X", "importtime", "-m", "fal_emulator", "--port", "0")
    async with _started(*command) as process:
        await _url(process)
        process.send_signal(signal.SIGTERM)
        _, errors = await process.communicate()
    loaded = {line.rpartition("|")[2].strip() for line in errors.decode().splitlines()}
    assert "uvloop" in loaded
    later = {"PIL.Image", "sqlite3", "cryptography", "fal_emulator.workshop"}
    never = {"watchfiles", "websockets", "multiprocessing"}
    assert not loaded & (later | never)


async def test_flags_take_effect() -> None:
    flags = (
        *("--port", "0", "--latency", "50ms", "--concurrency", "3"),
        *("--fault", "429=1", "--schema-seed", "7"),
    )
    async with (
        _started(*COMMAND, *flags) as process,
        httpx.AsyncClient(base_url=await _url(process), headers=AUTHORIZATION) as http,
    ):
        settings = (await http.get("/_emulator/settings")).json()
        health = (await http.get("/_emulator/health")).json()
        endpoints = (await http.get("/_emulator/endpoints")).json()

        assert process.stdout is not None
        assert await process.stdout.readline() == b"schema seed 7\n"
        assert endpoints["schema_seed"] == 7
        assert (settings["latency"], settings["concurrency"]) == (0.05, 3)
        assert health.pop("tasks") >= 1
        assert health == {"status": "ok", "in_flight": 0}
        assert (await http.post(f"/{TRIPO}", json={})).status_code == 429


async def test_own_model_file_and_second_address(tmp_path: Path) -> None:
    path = tmp_path / "chair.splat"
    path.write_bytes(b"splat")
    flags = ("--port", "0", "--latency", "10ms", "--model-file", str(path), "--fault", "preview_elsewhere")
    async with (
        _started(*COMMAND, *flags) as process,
        httpx.AsyncClient(base_url=await _url(process), headers=AUTHORIZATION) as http,
    ):
        upload = await http.post("/files/upload", content=picture(), headers={"X-Fal-File-Name": "a.png"})
        submitted = (await http.post(f"/{TRIPO}", json={"image_url": upload.json()["access_url"]})).json()
        async with http.stream("GET", f"{submitted['status_url']}/stream") as stream:
            await stream.aread()
        output = (await http.get(submitted["response_url"])).json()
        model, preview = [await http.get(output[name]["url"]) for name in ("model_mesh", "rendered_image")]

        assert (output["model_mesh"]["file_name"], model.content) == ("chair.splat", b"splat")
        assert preview.url.port != http.base_url.port
        assert preview.headers["content-type"] == "image/jpeg"


async def test_help_names_every_fault_and_its_value() -> None:
    async with _started(*COMMAND, "--help") as process:
        out, _ = await process.communicate()

        assert process.returncode == 0
        assert [fault for fault in Fault if str(fault).encode() not in out] == []
        assert b"endpoint_down=post|result" in out


async def test_it_ends_when_its_parent_is_killed() -> None:
    async with _started(sys.executable, "-c", WRAPPER) as parent:
        assert parent.stdout is not None
        pid = int(await parent.stdout.readline())
        url = await _url(parent)
        descriptor = os.pidfd_open(pid)
        gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, gone.set)
        try:
            parent.kill()
            async with asyncio.timeout(60):
                await gone.wait()
        finally:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
        async with httpx.AsyncClient() as http:
            with pytest.raises(httpx.ConnectError):
                await http.get(url)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--latency", "soon"), b"is not a duration"),
        (("--fault", "nonsense=1"), b"nginx_502"),
        (("--fault", "hang=7"), b"between 0 and 1"),
        (("--fault", "billable_units"), b"needs a value: N"),
        (("--fault", "endpoint_403=1@nowhere"), b"fal-ai/trellis"),
        (("--model-file", "/no/such/file.glb"), b"No such file"),
        (("--elsewhere", "8002"), b"is not HOST:PORT"),
    ],
)
async def test_wrong_usage_is_2_and_says_what_to_write(flags: tuple[str, ...], words: bytes) -> None:
    async with _started(*COMMAND, *flags) as process:
        _, err = await process.communicate()

        assert process.returncode == 2
        assert words in err


async def test_taken_port_is_1_and_named() -> None:
    async with _started(*COMMAND, "--port", "0") as first:
        port = (await _url(first)).rsplit(":", 1)[1]
        async with _started(*COMMAND, "--port", port) as second:
            _, err = await second.communicate()

            assert second.returncode == 1
            assert port.encode() in err
