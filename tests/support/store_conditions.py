"""A real server put into each condition in which it takes no writes, or does not answer, and back.

Who calls it: tests of what is said of the store, and of what goes on meanwhile.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import BusyLoadingError, RedisError

from image2model.up.children import die_with_parent
from image2model.up.store import EmbeddedStore, server_binary
from tests.support.wait import wait_until

REFUSING = ("out_of_memory", "read_only", "no_replicas", "disk")
"""It answers, and reads work."""
WORDS = {
    "out_of_memory": "out of memory",
    "read_only": "read-only",
    "no_replicas": "too few replicas",
    "disk": "disk",
    "loading": "loading",
    "away": "does not answer",
}


@contextmanager
def in_condition(store: EmbeddedStore, condition: str) -> Iterator[None]:
    """The server is in this condition for the time of the block: one of `REFUSING`, or `away`."""
    if condition == "away":
        with _stopped(store):
            yield
        return
    with Redis.from_url(store.url) as client:
        begin, end = COMMANDS.get(condition, ((), ()))
        if condition == "disk":
            _fail_to_save(client, store.folder)
        else:
            client.execute_command(*begin)
        try:
            yield
        finally:
            if condition == "disk":
                client.config_set("save", "")
                (store.folder / "dump.rdb").rmdir()
            else:
                client.execute_command(*end)


COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "out_of_memory": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "read_only": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "no_replicas": (
        ("CONFIG", "SET", "min-replicas-to-write", "1"),
        ("CONFIG", "SET", "min-replicas-to-write", "0"),
    ),
}
"""What puts a server into a condition, and out of it."""


def _fail_to_save(client: Redis, folder: Path) -> None:
    """A folder stands where the server's dump must go, so that its save fails and it stops taking writes."""
    (folder / "dump.rdb").mkdir()
    client.config_set("save", "3600 1")
    client.execute_command("BGSAVE")
    wait_until(lambda: _last_save(client) == "err")


def _last_save(client: Redis) -> object:
    about: dict[str, object] = client.info("persistence")  # type: ignore[assignment]  # redis-py's Awaitable
    return about["rdb_last_bgsave_status"]


@contextmanager
def _stopped(store: EmbeddedStore) -> Iterator[None]:
    pid = store.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def loading_store(folder: Path, port: int, *, keys: int = 20_000) -> Iterator[str]:
    """The URL of a server that loads its data for as long as the block takes, and longer."""
    folder.mkdir()
    options = ("--port", str(port), "--save", "", "--dir", str(folder))
    with _server(options), Redis(port=port) as client:
        wait_until(lambda: _answers(client))
        pipe = client.pipeline(transaction=False)
        for number in range(keys):
            pipe.set(f"filler:{number}", "x" * 100, ex=3600)
        pipe.execute()
        client.save()
    slow = ("--key-load-delay", "2000", "--loading-process-events-interval-bytes", "1024")
    with _server((*options, *slow)), Redis(port=port) as client:
        wait_until(lambda: _is_loading(client))
        yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def server_on(port: int) -> Iterator[None]:
    """A server without data."""
    with _server(("--port", str(port), "--save", "")), Redis(port=port) as client:
        wait_until(lambda: _answers(client))
        yield


@contextmanager
def _server(options: tuple[str, ...]) -> Iterator[None]:
    process = subprocess.Popen(
        [str(server_binary()), *options], stdout=subprocess.DEVNULL, preexec_fn=die_with_parent()
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _answers(client: Redis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


def _is_loading(client: Redis) -> bool:
    try:
        client.get("x")
    except BusyLoadingError:
        return True
    except RedisError:
        return False
    return False
