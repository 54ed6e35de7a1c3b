"""Clusters on the session's store."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.support.cluster import Cluster, cluster_on

MakeCluster = Callable[..., AbstractAsyncContextManager[Cluster]]


@pytest.fixture
def make_cluster(redis_url: str, tmp_path: Path) -> MakeCluster:
    """`make_cluster(*emulator_flags, replicas=3, workers=1, I2M_BODY_LIMIT="1m")` as a context."""
    return partial(cluster_on, redis_url, tmp_path)
