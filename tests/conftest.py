"""Fixtures that every folder of the suite shares."""

from tests.support.valkey import redis_url, valkey, valkey_server

__all__ = ["redis_url", "valkey", "valkey_server"]
