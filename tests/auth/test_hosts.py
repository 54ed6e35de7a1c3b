"""Names that the service answers to, and addresses that it believes."""

from collections.abc import Callable

from tests.api.conftest import Service
from tests.auth.conftest import ADMIN


def test_other_names_are_refused_where_names_are_set(make_service: Callable[..., Service]) -> None:
    service = make_service(allowed_hosts="models.example")
    key = {"Authorization": f"Bearer {ADMIN}"}
    asked = lambda host: service.send("GET", "/api/v1/session", None, {**key, "Host": host})  # noqa: E731
    assert asked("models.example").status == 200
    assert asked("models.example:443").status == 200
    assert asked("evil.example").code == "forbidden"
    assert asked("models.example.evil").code == "forbidden"
    assert service.send("GET", "/api/v1/health/live", None, {"Host": "10.1.2.3"}).status == 200


def test_no_other_site_may_read_by_default(make_service: Callable[..., Service]) -> None:
    answer = make_service().send("GET", "/api/v1/health/live", None, {"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
