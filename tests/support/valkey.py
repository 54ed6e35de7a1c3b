"""A real Valkey server for tests: one to a test process, emptied before each test.

`valkey_server` is the session's server on a temporary folder; `valkey` and `redis_url` hand it out
empty. A test that spoils or stops its server takes `own_store`; one whose server must keep its data
takes `durable_store`. A test module that says so in a `redis_url` of its own moves all that is built on
it (`redis`, `fleet`, `make_service`) to that server. With `pytest --cluster`, cluster mode is on in all of
them.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from image2model.up.store import EmbeddedStore
from tests.support.cluster_store import ClusterStore


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[EmbeddedStore]:
    """The session's server, without persistence. Its folder's path is short: sockets need that."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder, _serving(EmbeddedStore, folder) as server:
        yield server


@pytest.fixture(scope="session")
def cluster_server() -> Iterator[EmbeddedStore]:
    """The same with cluster mode on."""
    with tempfile.TemporaryDirectory(prefix="i2m-") as folder, _serving(ClusterStore, folder) as server:
        yield server


@pytest.fixture
def on_cluster(request: pytest.FixtureRequest) -> bool:
    """Whether the test's servers have cluster mode on."""
    return bool(request.config.getoption("--cluster"))


@pytest.fixture
def valkey(request: pytest.FixtureRequest, on_cluster: bool) -> EmbeddedStore:
    """The session's server, emptied."""
    server: EmbeddedStore = request.getfixturevalue("cluster_server" if on_cluster else "valkey_server")
    with Redis.from_url(server.url) as client:
        client.flushall()
    return server


@pytest.fixture
def redis_url(valkey: EmbeddedStore) -> str:
    """The URL of an empty server, for `I2M_REDIS_URL`."""
    return valkey.url


@pytest.fixture
def own_store(tmp_path: Path, on_cluster: bool) -> Iterator[EmbeddedStore]:
    """A server that the test may spoil or stop; it keeps nothing."""
    with _serving(_kind(on_cluster), tmp_path / "store") as store:
        yield store


@pytest.fixture
def durable_store(tmp_path: Path, on_cluster: bool) -> Iterator[EmbeddedStore]:
    """A server of the test's own that keeps its data."""
    with _serving(_kind(on_cluster), tmp_path / "store", durable=True) as store:
        yield store


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests with the mark `also_on_cluster` run on both kinds of servers."""
    if metafunc.definition.get_closest_marker("also_on_cluster"):
        metafunc.parametrize("on_cluster", [False, True], ids=["server", "cluster"])


def _kind(on_cluster: bool) -> type[EmbeddedStore]:
    return ClusterStore if on_cluster else EmbeddedStore


@contextmanager
def _serving(
    kind: type[EmbeddedStore], folder: Path | str, *, durable: bool = False
) -> Iterator[EmbeddedStore]:
    store = kind(Path(folder), durable=durable)
    store.start()
    yield store
    store.stop()
