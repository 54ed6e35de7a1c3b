"""The embedded store: quick, private, durable, alone on its folder, and gone with its parent."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis

from image2model.up.errors import FolderInUse
from image2model.up.store import EmbeddedStore
from tests.support.processes import children_of, is_gone
from tests.support.wait import wait_until


def test_commits_survive_a_crash_of_the_server(data_dir: Path) -> None:
    store = EmbeddedStore(data_dir)
    store.start()
    with Redis.from_url(store.url) as client:
        client.set("kept", "yes")
    store.kill()
    store.start(patience=5)
    with Redis.from_url(store.url) as client:
        assert client.get("kept") == b"yes"
        assert client.config_get("appendfsync", "maxmemory-policy") == {
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
        }
    store.stop()


def test_server_that_is_killed_while_it_rewrites_its_log_starts_again_at_once(data_dir: Path) -> None:
    store = EmbeddedStore(data_dir)
    store.start()
    with Redis.from_url(store.url) as client:
        client.config_set("rdb-key-save-delay", 10_000_000)  # us for each key: it will not end by itself
        client.set("kept", "yes")
        client.bgrewriteaof()
        wait_until(lambda: len(children_of(store.pid or 0)) == 1)
    (rewriting,) = children_of(store.pid or 0)
    os.kill(store.pid or 0, signal.SIGKILL)
    wait_until(lambda: store.ended is not None)
    store.start(patience=1)
    assert is_gone(rewriting)
    with Redis.from_url(store.url) as client:
        assert client.get("kept") == b"yes"
    store.stop()


def test_second_server_on_one_folder_is_refused(data_dir: Path) -> None:
    store = EmbeddedStore(data_dir)
    store.start()
    with pytest.raises(FolderInUse, match="another store still runs"):
        EmbeddedStore(data_dir).start()
    store.stop()
    again = EmbeddedStore(data_dir)
    again.start()
    again.stop()


def test_socket_is_private_and_nothing_listens_on_a_port(data_dir: Path) -> None:
    store = EmbeddedStore(data_dir, durable=False)
    store.start()
    assert stat.S_IMODE((data_dir / "valkey.sock").stat().st_mode) == 0o700
    with Redis.from_url(store.url) as client:
        assert client.config_get("port") == {"port": "0"}
    store.stop()
    assert not (data_dir / "valkey.sock").exists()


def test_long_path_uses_a_runtime_folder_and_removes_it(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / ("long" * 30), durable=False)
    store.start()
    with Redis.from_url(store.url) as client:
        assert client.ping()
        runtime = Path(client.config_get("unixsocket")["unixsocket"]).parent
    assert runtime.is_dir()
    store.stop()
    assert not runtime.exists()


def test_server_ends_when_its_parent_is_killed(data_dir: Path) -> None:
    code = (
        "import sys, pathlib; from image2model.up.store import EmbeddedStore;"
        "s = EmbeddedStore(pathlib.Path(sys.argv[1])); s.start(); print(s.pid, flush=True); input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(data_dir)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.communicate()
    wait_until(lambda: is_gone(pid), timeout=20)
    store = EmbeddedStore(data_dir)
    store.start(patience=1)
    store.stop()


def test_start_takes_not_much_longer_than_starting_any_program(tmp_path: Path) -> None:
    """Idle, it takes 4 times as long as an empty Python started just before; busy, both take longer."""
    store = EmbeddedStore(tmp_path, durable=False)
    ratios = []
    for _ in range(8):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-S", "-c", ""], check=True)
        program = time.perf_counter() - began
        began = time.perf_counter()
        store.start()
        ratios.append((time.perf_counter() - began) / program)
        store.stop()
    assert min(ratios) < 10
