"""A real Valkey server for tests: one to a test process, emptied before each test.

`valkey_server` is the session's server on a temporary folder; `valkey` and `redis_url` hand it out
empty. A test that needs a server to crash, or to keep its data, starts an `EmbeddedStore` of its own.
"""

import tempfile
from collections.abc import Iterator
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
