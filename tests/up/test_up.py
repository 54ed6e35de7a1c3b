"""`up` on real processes: comes up, repairs itself, and leaves nothing behind however it ends."""

import os
import resource
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from image2model.cli.process import MAX_OPEN_FILES
from image2model.up.lock import FolderLock
from image2model.up.store import socket_path, store_folder
from tests.support.processes import is_gone
from tests.support.sketches import picture
from tests.support.wait import wait_until
from tests.up.conftest import Up

Start = Callable[..., Up]


def _is_free(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((urlsplit(url).hostname or "", urlsplit(url).port or 0)) != 0


def _assert_nothing_left(run: Up, pids: list[int], seconds: float) -> None:
    wait_until(lambda: all(map(is_gone, pids)), timeout=seconds)
    assert _is_free(run.url)
    for name in (run.data_dir / "up.lock", run.data_dir / "valkey" / "store.lock"):
        lock = FolderLock(name)
        lock.acquire()
        lock.release()
    assert not (run.data_dir / "valkey" / "valkey.sock").exists()


def test_whole_service_comes_up_and_says_what_it_is(up: Start, data_dir: Path) -> None:
    run = up().ready()
    assert run.readiness() == 200
    said = "\n".join(run.seen)
    assert str(data_dir) in said
    assert "no FAL_KEY is set, nothing is paid for" in said
    assert "I2M_AUTH=none" in said
    with urllib.request.urlopen(f"{run.url}/metrics", timeout=60) as answer:  # noqa: S310
        assert b"image2model_" in answer.read()


def _soft_limit(pid: int) -> int:
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Max open files")).split()[3])


def test_processes_do_not_live_with_a_shells_thousand_open_files(up: Start) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        run = up().ready()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert {_soft_limit(pid) for pid in run.pids()} == {min(hard, MAX_OPEN_FILES)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_stops_everything_the_store_last(number: int, up: Start) -> None:
    run = up().ready()
    pids = run.pids()
    assert len(pids) == 5  # watchdog, store, emulator, API, worker
    assert run.end(number) == 0
    _assert_nothing_left(run, pids, 0.5)
    assert "store does not answer" not in _errors(run)
    assert '"level": "error"' not in _errors(run)


def _metrics(run: Up) -> str:
    with urllib.request.urlopen(f"{run.url}/metrics", timeout=60) as answer:  # noqa: S310
        return str(answer.read().decode())


def test_end_of_a_process_by_a_signal_is_counted_and_named(up: Start) -> None:
    run = up().ready()
    assert "image2model_process_deaths_total{" not in _metrics(run)
    os.kill(run.pids("image2model worker")[0], signal.SIGSEGV)
    assert "the worker has ended (signal SIGSEGV)" in run.until("^the worker has ended")
    os.kill(run.pids("valkey-server")[0], signal.SIGKILL)
    run.until("^the store has ended .signal SIGKILL")
    told = [
        'image2model_process_deaths_total{process="worker",signal="SIGSEGV"} 1.0',
        'image2model_process_deaths_total{process="store",signal="SIGKILL"} 1.0',
    ]
    wait_until(lambda: set(told) <= set(_metrics(run).splitlines()))
    assert run.end(signal.SIGTERM) == 0


def test_signals_to_the_whole_group_and_again_are_no_different(up: Start) -> None:
    run = up().ready()
    pids = run.pids()
    os.killpg(run.process.pid, signal.SIGINT)
    os.killpg(run.process.pid, signal.SIGINT)
    os.killpg(run.process.pid, signal.SIGTERM)
    assert run.wait() == 0
    _assert_nothing_left(run, pids, 0.5)


@pytest.mark.long
def test_killed_up_leaves_nothing_and_the_next_one_starts_at_once(up: Start) -> None:
    run = up().ready()
    pids = run.pids()
    os.kill(run.process.pid, signal.SIGKILL)
    next_run = up().ready()
    wait_until(lambda: all(map(is_gone, pids)), timeout=5)
    assert next_run.readiness() == 200


@pytest.mark.long
def test_killed_up_is_gone_within_five_seconds(up: Start) -> None:
    run = up().ready()
    pids = run.pids()
    worker = run.pids("image2model worker")[0]
    os.kill(worker, signal.SIGSTOP)  # it cannot follow any signal but one
    os.kill(run.process.pid, signal.SIGKILL)
    run.wait()
    wait_until(lambda: all(map(is_gone, pids)), timeout=5)
    assert _is_free(run.url)


def test_killed_watchdog_is_replaced_when_it_is_needed(up: Start) -> None:
    run = up().ready()
    os.kill(run.pids("watchdog.py")[0], signal.SIGKILL)
    worker = run.pids("image2model worker")[0]
    os.kill(worker, signal.SIGKILL)
    run.until("the worker has ended")
    wait_until(lambda: bool(run.pids("watchdog.py")) and bool(run.pids("image2model worker")))


@pytest.mark.long
@pytest.mark.parametrize(
    ("workers", "count"), [("2", 2), ("auto", max(1, min(8, (os.cpu_count() or 1) // 2)))]
)
def test_number_of_workers_is_a_setting(up: Start, workers: str, count: int) -> None:
    run = up(I2M_WORKERS=workers).ready()
    assert len(run.pids("image2model worker")) == count


def test_worker_that_is_replaced_is_no_death(up: Start) -> None:
    run = up(I2M_WORKER_MAX_IMAGES="1").ready()
    (first,) = run.pids("image2model worker")
    boundary = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n%b\r\n--x--\r\n'
    request = urllib.request.Request(  # noqa: S310
        f"{run.url}/api/v1/upload/batch",
        boundary % picture(fmt="PNG"),
        {"Content-Type": "multipart/form-data; boundary=x"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        assert answer.status == 202
    run.until("the worker has ended in good order; a new one starts")
    wait_until(lambda: len(run.pids("image2model worker")) == 1)
    assert run.pids("image2model worker") != [first]
    text = _metrics(run)
    assert "image2model_process_deaths_total{" not in text
    assert 'image2model_images_total{model="tripo3d/tripo/v2.5/image-to-3d",status="succeeded"} 1.0' in text
    assert run.end() == 0


def test_second_up_on_one_folder_is_refused(up: Start) -> None:
    run = up().ready()
    second = up()
    assert second.wait() == 1
    assert "another `up` runs on" in _errors(second)
    assert run.readiness() == 200


@pytest.mark.long
@pytest.mark.parametrize("name", ["api", "worker"])
def test_child_that_dies_is_started_again(name: str, up: Start) -> None:
    run = up().ready()
    (pid,) = run.pids(f"image2model {name}")
    os.kill(pid, signal.SIGKILL)
    run.until(f"the {name} has ended")
    wait_until(lambda: bool(run.pids(f"image2model {name}")) and run.readiness() == 200)


def test_store_that_dies_comes_back_with_its_data(up: Start) -> None:
    from redis import Redis

    run = up().ready()
    socket_path = run.data_dir / "valkey" / "valkey.sock"
    with Redis(unix_socket_path=str(socket_path)) as client:
        client.set("kept", "yes")
    os.kill(run.pids("valkey-server")[0], signal.SIGKILL)
    run.until("the store has ended")
    wait_until(lambda: run.readiness() == 200)
    with Redis(unix_socket_path=str(socket_path)) as client:
        assert client.get("kept") == b"yes"


@pytest.mark.long
def test_store_that_is_killed_again_and_again_is_started_again(up: Start) -> None:
    run = up().ready()
    for _ in range(4):
        wait_until(lambda: bool(run.pids("valkey-server")))
        os.kill(run.pids("valkey-server")[0], signal.SIGKILL)  # whether or not it has answered yet
        run.until("^the store has ended .signal SIGKILL")
    wait_until(lambda: run.readiness() == 200)
    assert run.end(signal.SIGTERM) == 0


@pytest.mark.long
def test_store_that_cannot_start_again_ends_up_with_its_log_named(up: Start) -> None:
    run = up().ready()
    pids = run.pids()
    (manifest,) = (store_folder(run.data_dir) / "appendonlydir").glob("*.manifest")
    manifest.write_text("no manifest\n")
    os.kill(run.pids("valkey-server")[0], signal.SIGKILL)
    assert run.wait() == 1
    assert "the store ends as soon as it is started; see " in _errors(run)
    assert "manifest" in (store_folder(run.data_dir) / "valkey.log").read_text()
    _assert_nothing_left(run, pids, 0.5)


@pytest.mark.long
def test_store_that_takes_no_writes_is_told_in_words_and_so_is_its_end(up: Start, data_dir: Path) -> None:
    run = up().ready()
    with Redis(unix_socket_path=str(socket_path(store_folder(data_dir)))) as store:
        store.config_set("min-replicas-to-write", "1")
        run.until("^the store has too few replicas and takes no writes$")
        assert run.readiness() == 200
        store.config_set("min-replicas-to-write", "0")
        run.until("^the store works again$")


def test_port_that_is_taken_is_told_before_anything_is_touched(up: Start, data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        run = up("--port", str(port))
        assert run.wait() == 1
    assert f"port {port} on 127.0.0.1 is in use" in _errors(run)
    assert "--port" in _errors(run)
    assert not data_dir.exists()


def test_wrong_settings_are_all_named_and_are_wrong_usage(up: Start, data_dir: Path) -> None:
    run = up("--port", "0", I2M_MAX_FILES="many", I2M_RESULTS="elsewhere")
    assert run.wait() == 2
    assert "I2M_MAX_FILES" in _errors(run)
    assert "I2M_RESULTS" in _errors(run)
    assert not data_dir.exists()


def test_data_folder_that_cannot_be_is_told_with_its_setting(up: Start, data_dir: Path) -> None:
    data_dir.write_text("a file")
    run = up("--port", "0")
    assert run.wait() == 1
    assert f"the data folder {data_dir} cannot be created: a file has this name" in _errors(run)
    assert "I2M_DATA_DIR" in _errors(run)


def test_child_that_can_never_start_ends_up_with_its_words(up: Start) -> None:
    run = up("--port", "0", I2M_AUTH="keys", I2M_STORAGE_URL="file:///proc/nowhere")
    assert run.wait() == 1
    assert "cannot start" in _errors(run)
    assert run.pids() == []


def _errors(run: Up) -> str:
    return run.log.read_text()


@pytest.mark.long
def test_host_of_a_network_needs_a_key_first(up: Start) -> None:
    everywhere = ("--host", "0.0.0.0", "--port", "0")  # noqa: S104 - what the test is about
    refused = up(*everywhere)
    assert refused.wait() == 1
    assert "I2M_ADMIN_KEY" in refused.log.read_text()
    run = up(*everywhere, I2M_ADMIN_KEY="a-long-random-text-of-mine").ready()
    assert "I2M_AUTH=none" not in "\n".join(run.seen)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{run.url}/api/v1/session", timeout=60)  # noqa: S310
