"""The fixtures of the API's and of the worker's tests: an application, a store, processes of a fleet."""

from tests.api.conftest import make_service, redis, service
from tests.worker.conftest import fleet

__all__ = ["fleet", "make_service", "redis", "service"]
