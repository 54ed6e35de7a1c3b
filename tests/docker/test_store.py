"""The store's start script and configuration, run with the real server."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from redis import AuthenticationError, Redis, RedisError

from image2model.up.store import server_binary
from tests.site.pages import blocks
from tests.support.compose import ROOT
from tests.support.ports import free_port
from tests.support.processes import command_of
from tests.support.wait import wait_until

PASSWORD = "correct-horse"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[tuple[Redis, int]]:
    """A server started by the script, on a port and a folder of the test; and its process id."""
    port = free_port()
    folder = tmp_path / "valkey"
    folder.mkdir()
    shipped = (ROOT / "docker/valkey/valkey.conf").read_text()
    ours = shipped.replace("port 6379", f"port {port}").replace("dir /data", f"dir {tmp_path}")
    (folder / "valkey.conf").write_text(ours)
    script = folder / "start.sh"
    script.write_text((ROOT / "docker/valkey/start.sh").read_text())
    environment = {
        **os.environ,
        "I2M_REDIS_PASSWORD": PASSWORD,
        "I2M_REDIS_MAXMEMORY": "64mb",
        "I2M_VALKEY_SERVER": str(server_binary()),
    }
    process = subprocess.Popen(["sh", script], env=environment, stdout=subprocess.DEVNULL)
    client = Redis(port=port, password=PASSWORD)
    try:
        wait_until(lambda: process.poll() is not None or _answers(client))
        assert process.poll() is None
        yield client, process.pid
    finally:
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


def test_store_keeps_every_commit_and_evicts_nothing(store: tuple[Redis, int]) -> None:
    client, _ = store
    settings = cast("dict[str, str]", client.config_get("*"))
    assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "always")
    assert (settings["maxmemory-policy"], settings["maxmemory"]) == ("noeviction", str(64 << 20))
    assert settings["save"] == ""


def test_store_asks_for_the_password(store: tuple[Redis, int]) -> None:
    client, _ = store
    with (
        Redis(port=client.connection_pool.connection_kwargs["port"]) as stranger,
        pytest.raises(AuthenticationError),
    ):
        stranger.ping()


def test_password_is_in_no_process_list(store: tuple[Redis, int]) -> None:
    _, pid = store
    assert "valkey-server" in command_of(pid)
    assert PASSWORD not in command_of(pid)
    assert PASSWORD.encode() not in Path(f"/proc/{pid}/environ").read_bytes()


def test_password_is_changed_as_the_page_says(store: tuple[Redis, int]) -> None:
    client, _ = store
    steps = {one.title: one.text.split() for one in blocks(ROOT / "docs/operations/secrets.md") if one.title}
    port = client.connection_pool.connection_kwargs["port"]
    client.execute_command(*(word.replace("NEW", "battery-staple") for word in steps["add.redis"]))
    for password in (PASSWORD, "battery-staple"):
        with Redis(port=port, password=password) as either:
            assert either.ping()
    client.execute_command(*(word.replace("OLD", PASSWORD) for word in steps["remove.redis"]))
    with Redis(port=port, password="battery-staple") as new:
        assert new.ping()
    with Redis(port=port, password=PASSWORD) as old, pytest.raises(AuthenticationError):
        old.ping()
