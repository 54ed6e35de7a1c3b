"""A real Valkey server for tests: one to a test process, emptied before each test.

`valkey_server` is the session's server on a temporary folder; `valkey` and `redis_url` hand it out
empty. A test that spoils or stops its server takes `own_store`; one whose server must keep its data
takes `durable_store`. A test module that says so in a `redis_url` of its own moves all that is built on
it (`redis`, `fleet`, `make_service`) to that server.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from image2model.up.store import EmbeddedStore


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[EmbeddedStore]:
    """The session's server, without persistence. Its folder's path is short: sockets need that."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder:
        server = EmbeddedStore(Path(folder), durable=False)
        server.start()
        yield server
        server.stop()


@pytest.fixture
def valkey(valkey_server: EmbeddedStore) -> EmbeddedStore:
    """The same server, emptied."""
    with Redis.from_url(valkey_server.url) as client:
        client.flushall()
    return valkey_server


@pytest.fixture
def redis_url(valkey: EmbeddedStore) -> str:
    """The URL of an empty server, for `I2M_REDIS_URL`."""
    return valkey.url


@pytest.fixture
def own_store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """A server that the test may spoil or stop; it keeps nothing."""
    with _serving(tmp_path, durable=False) as store:
        yield store


@pytest.fixture
def durable_store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    """A server of the test's own that keeps its data."""
    with _serving(tmp_path, durable=True) as store:
        yield store


@contextmanager
def _serving(folder: Path, *, durable: bool) -> Iterator[EmbeddedStore]:
    store = EmbeddedStore(folder / "store", durable=durable)
    store.start()
    yield store
    store.stop()
