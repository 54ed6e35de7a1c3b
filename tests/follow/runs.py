"""Runs of one program that follows a job: to the end, through cuts, after the end; and what it must print.

The queue is paused until every run is connected, so each sees the job from its beginning.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from tests.support import command
from tests.support.cutting_proxy import Cut, CuttingProxy, cutting
from tests.support.multipart_body import CONTENT_TYPE, Body
from tests.support.servers import Address
from tests.support.sketches import picture
from tests.support.wait import until

NAMES: Final = ("chair.png", "Stühle 2.png", "lamp.png")
CUTS: Final = {
    "whole": None,
    "cut behind a name": Cut("name"),
    "reset in the data": Cut("data", reset=True),
    "cut between events": Cut("end"),
}
_SECONDS: Final = 90
_seeds: Final = count(1)

Program = Callable[[str, str], Coroutine[Any, Any, list[str]]]
"""Follows a job (address of the service, id) and returns the lines that it printed."""


@dataclass(frozen=True)
class Event:
    """One event of the job's history, as the programs print it."""

    id: int
    line: str


class Job:
    """A job of several pictures that has not begun."""

    def __init__(self, client: httpx.AsyncClient, job_id: str) -> None:
        self._client = client
        self.job_id = job_id

    async def begin(self) -> None:
        """Let the worker have it."""
        (await self._client.post("/api/v1/admin/queues/model_generation/resume")).raise_for_status()

    async def history(self) -> list[Event]:
        """Every event after the first, to the end of the job."""
        path = f"/api/v1/status/stream/{self.job_id}"
        answer = await self._client.get(path, headers={"Last-Event-ID": "0"}, timeout=60)
        found = re.findall(r"^event: (image|complete)\ndata: (.*)\nid: (\d+)$", answer.text, re.MULTILINE)
        assert found, answer.text
        assert found[-1][0] == "complete"
        return [
            Event(int(number), _line(event, httpx.Response(200, text=data).json()))
            for event, data, number in found
        ]


def _line(event: str, document: dict[str, Any]) -> str:
    if event == "complete":
        return f"complete {document['status']}"
    return f"image {document['image']['filename']} {document['image']['status']}"


@asynccontextmanager
async def waiting_job(url: str) -> AsyncIterator[Job]:
    """A new job whose queue is paused; the queue runs again at the end of the block."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as client:
        pause = "/api/v1/admin/queues/model_generation/pause"
        (await client.post(pause)).raise_for_status()
        body = Body()
        for name in NAMES:
            body.file(name, picture(seed=1000 + next(_seeds)))
        answer = await client.post(
            "/api/v1/upload/batch", content=bytes(body), headers={"Content-Type": CONTENT_TYPE}
        )
        job = Job(client, answer.raise_for_status().json()["job_id"])
        try:
            yield job
        finally:
            await job.begin()


async def follow_everywhere(url: str, program: Program) -> None:
    """Every kind of run at once, then one on the finished job. AssertionError says what was printed."""
    target = Address(*_address(url))
    async with waiting_job(url) as job, AsyncExitStack() as stack:
        proxies = {name: await stack.enter_async_context(cutting(target, cut)) for name, cut in CUTS.items()}
        tasks = {name: asyncio.create_task(program(proxy.url, job.job_id)) for name, proxy in proxies.items()}
        try:
            await _until_connected(list(proxies.values()), list(tasks.values()))
            await job.begin()
            async with asyncio.timeout(_SECONDS):
                printed = dict(zip(tasks, await asyncio.gather(*tasks.values()), strict=True))
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
        history = await job.history()
        for name, proxy in proxies.items():
            _check(name, proxy, printed[name], history)
        assert any(proxy.resumed_from() for proxy in proxies.values()), "it never sent Last-Event-ID"
        async with cutting(target) as direct, asyncio.timeout(_SECONDS):
            assert await program(direct.url, job.job_id) == ["complete succeeded"]
            assert len(direct.heads) == 1, "it connected again after the end"


def _address(url: str) -> tuple[str, int]:
    split = urlsplit(url)
    return str(split.hostname), int(split.port or 80)


async def _until_connected(
    proxies: Sequence[CuttingProxy], tasks: "Sequence[asyncio.Task[list[str]]]"
) -> None:
    async def connected() -> bool:
        for task in tasks:
            if task.done():
                raise AssertionError(f"it ended before the job began: {task.result()}")
        return all(proxy.snapshot_id is not None for proxy in proxies)

    await until(connected, timeout=60)


def _check(name: str, proxy: CuttingProxy, printed: list[str], history: list[Event]) -> None:
    """Everything after the snapshot, once. A client that was cut before it read anything gets another."""
    assert proxy.snapshot_id is not None
    expected = [event.line for event in history if event.id > proxy.snapshot_id]
    assert printed == expected, f"{name}: {printed} is not {expected}; resumed from {proxy.resumed_from()}"
    connections = 1 if name == "whole" else 2
    assert len(proxy.heads) == connections, f"{name}: {proxy.heads}"
    assert proxy.cuts == connections - 1


async def run(argv: Sequence[str | Path], folder: Path, url: str, *more: str) -> list[str]:
    """The lines that a program prints. It must end by itself, with exit code 0."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        *more,
        cwd=folder,
        env=command.environment(
            API=f"{url}/api/v1", PATH=os.environ["PATH"], HOME=str(folder), LANG="C.UTF-8", LC_ALL="C.UTF-8"
        ),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, out.decode() + err.decode()
    return out.decode().splitlines()
