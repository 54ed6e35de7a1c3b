"""Fixtures that every folder of the suite shares."""

import pytest

from tests.support.callers import make_keyed_service
from tests.support.fixtures import fleet, make_job, redis, stage
from tests.support.rollback import rollback
from tests.support.secrecy_hook import pytest_runtest_makereport, pytest_runtest_setup
from tests.support.served_api import make_service, service
from tests.support.valkey import (
    cluster_server,
    durable_store,
    on_cluster,
    own_store,
    pytest_generate_tests,
    redis_url,
    valkey,
    valkey_server,
)

__all__ = [
    "cluster_server",
    "durable_store",
    "fleet",
    "make_job",
    "make_keyed_service",
    "make_service",
    "on_cluster",
    "own_store",
    "pytest_generate_tests",
    "pytest_runtest_makereport",
    "pytest_runtest_setup",
    "redis",
    "redis_url",
    "rollback",
    "service",
    "stage",
    "valkey",
    "valkey_server",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--cluster` runs the tests on servers with cluster mode on."""
    parser.addoption("--cluster", action="store_true", help="servers with cluster mode on")
