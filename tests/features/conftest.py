"""The fixtures of the API's and of the worker's tests: an application, a store, processes of a fleet."""

from collections.abc import Callable

from tests.api.conftest import Service, make_service, redis, service
from tests.worker.conftest import fleet

MakeService = Callable[..., Service]

__all__ = ["MakeService", "fleet", "make_service", "redis", "service"]
