"""`python -m tests.bench.flames NAME`: flame graphs of a worker, an API and the store at work.

It writes `docs/profile/NAME-{worker,api,store}.svg` and prints the ten largest costs of each as Markdown.
`--of REV` records another revision, as `make bench BESIDE=REV` measures it. py-spy records Python; perf
records the store and comes with the system (Debian: linux-perf). Both need the right to trace processes.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.bench import flame_graph, guard, pictures, stacks
from tests.bench.product import progress
from tests.bench.revision import ROOT, checked_out, commit_of
from tests.bench.stacks import Stack
from tests.bench.status import get, rate
from tests.bench.world import post_batch, world
from tests.support.ports import free_port

_FOLDER: Final = ROOT / "docs" / "profile"
_RECORDER: Final = "BENCH_RECORDER"
_HERTZ: Final = 197
"""Not a divisor of the timers' periods, so that samples do not fall in step with them."""
_UNWIND: Final = "dwarf,16384"
"""By the tables of the program: the C library keeps no frame pointers."""
_IMAGES_A_SECOND: Final = 400
"""More than a worker moves: it must not run dry while it is recorded."""


def main() -> int:
    """Record, draw, print."""
    options = _options()
    if options.of:
        return _of_revision(options)
    options.folder.mkdir(parents=True, exist_ok=True)
    api = asyncio.run(_api(options.seconds))
    worker, store = asyncio.run(_worker_and_store(options.seconds))
    for what, found, label in (
        ("worker", worker, stacks.python_cost),
        ("api", api, stacks.python_cost),
        ("store", store, stacks.store_cost),
    ):
        (options.folder / f"{options.name}-{what}.svg").write_text(
            flame_graph.draw(f"{what}, {options.name}", found)
        )
        _say(_table(what, found, label))
    return 0


def _of_revision(options: argparse.Namespace) -> int:
    """The same command in a process of its own, with the product of that revision."""
    with checked_out(commit_of(options.of)) as (_, there):
        again = ["-m", "tests.bench.flames", options.name, "--seconds", str(options.seconds)]
        environment = {**there.environment(), _RECORDER: _recorder()}
        command = [there.python, *again, "--folder", str(options.folder)]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


async def _worker_and_store(seconds: float) -> tuple[Counter[Stack], Counter[Stack]]:
    """One worker with a hundred requests at a FAL that takes 0.1 s."""
    async with world() as all_of_it:
        all_of_it.emulator.settings(latency=0.1)
        worker = await all_of_it.worker()
        await all_of_it.finish(await all_of_it.enqueue(100))
        job_ids = await all_of_it.enqueue(round(_IMAGES_A_SECOND * seconds))
        found = await asyncio.gather(
            asyncio.to_thread(_record_python, worker.pid, seconds),
            asyncio.to_thread(_record_native, all_of_it.store_pid, seconds),
        )
        last = await progress(all_of_it.redis, job_ids[-1])
        guard.enough("images still waiting", last.unfinished, 1, 1)
        return found


async def _api(seconds: float) -> Counter[Stack]:
    """Uploads of 25 pictures of 100 KB by one client, one after the other; fifty others ask for a status."""
    async with world() as all_of_it:
        port = free_port()
        api = await all_of_it.api(port)
        body = pictures.batch(pictures.of_100_kb(25))
        job_id, _, _ = await asyncio.to_thread(post_batch, port, body)
        ended = threading.Event()
        with ThreadPoolExecutor(1) as client:
            uploading = client.submit(_upload_until, ended, port, body)
            asking = asyncio.create_task(_ask_until(ended, port, f"/api/v1/status/{job_id}"))
            try:
                return await asyncio.to_thread(_record_python, api.pid, seconds)
            finally:
                ended.set()
                await asking
                guard.enough("uploads", await asyncio.to_thread(uploading.result), 1, 1)


def _upload_until(ended: threading.Event, port: int, body: bytes) -> int:
    count = 0
    while not ended.is_set():
        post_batch(port, body)
        count += 1
    return count


async def _ask_until(ended: threading.Event, port: int, path: str) -> None:
    while not ended.is_set():
        await rate(port, get(path, Host=f"127.0.0.1:{port}"))


def _record_python(pid: int, seconds: float) -> Counter[Stack]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "stacks"
        sampling = ("--duration", str(round(seconds)), "--rate", str(_HERTZ), "--function")
        command = (
            _recorder(),
            "record",
            "--pid",
            str(pid),
            *sampling,
            "--format",
            "raw",
            "--output",
            str(out),
        )
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return stacks.from_py_spy(out.read_text())


def _record_native(pid: int, seconds: float) -> Counter[Stack]:
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder) / "perf.data")
        # the clock and not cycles: virtual machines often have no hardware counters
        sampling = (
            "-e",
            "cpu-clock",
            "-F",
            str(5 * _HERTZ),
            "--call-graph",
            _UNWIND,
            "-p",
            str(pid),
            "-o",
            out,
        )
        subprocess.run(("perf", "record", "--quiet", *sampling, "--", "sleep", str(seconds)), check=True)
        script = subprocess.run(("perf", "script", "-i", out), check=True, capture_output=True, text=True)
        return stacks.from_perf(script.stdout)


def _recorder() -> str:
    return os.environ.get(_RECORDER, str(Path(sys.executable).parent / "py-spy"))


def _table(what: str, found: Counter[Stack], label: Callable[[Stack], str]) -> str:
    costs = stacks.largest(found, label)
    rows = "\n".join(f"| `{name}` | {share:.1%} |" for name, share in costs)
    return f"\n| {what} | share |\n| --- | --- |\n{rows}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.bench.flames")
    parser.add_argument("name", help="how the files' names begin, such as `before`")
    parser.add_argument("--of", metavar="REV", help="record another revision")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each process is recorded")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="where the SVGs are written")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
