"""Fixtures that every folder of the suite shares."""

from tests.support.callers import make_keyed_service
from tests.support.fixtures import fleet, make_job, redis, stage
from tests.support.rollback import rollback
from tests.support.secrecy_hook import pytest_runtest_makereport, pytest_runtest_setup
from tests.support.served_api import make_service, service
from tests.support.valkey import durable_store, own_store, redis_url, valkey, valkey_server

__all__ = [
    "durable_store",
    "fleet",
    "make_job",
    "make_keyed_service",
    "make_service",
    "own_store",
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
