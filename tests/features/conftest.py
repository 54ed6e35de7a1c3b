"""The fixtures of the API's tests: an application on a real store and a folder, and the store itself."""

from tests.api.conftest import make_service, redis, service

__all__ = ["make_service", "redis", "service"]
