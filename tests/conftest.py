"""Fixtures that every folder of the suite shares."""

from tests.support.secrecy_hook import pytest_runtest_makereport, pytest_runtest_setup
from tests.support.valkey import redis_url, valkey, valkey_server

__all__ = ["pytest_runtest_makereport", "pytest_runtest_setup", "redis_url", "valkey", "valkey_server"]
