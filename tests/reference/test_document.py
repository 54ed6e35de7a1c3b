"""`/openapi.json` as a client sees it; `/docs` is tested in `tests/web/test_reference.py`."""

from collections.abc import Callable

from tests.support.served_api import Service


def test_the_document_is_served_and_cached(service: Service) -> None:
    answer = service.get("openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body["openapi"] == "3.1.0"
    again = service.get("openapi.json", if_none_match=answer.headers["etag"])
    assert (again.status, again.content) == (304, b"")


def test_with_keys_the_document_asks_for_one(make_service: Callable[..., Service]) -> None:
    service = make_service(auth="keys", admin_key="i2m_chosen-by-an-operator")
    refused = service.get("openapi.json")
    assert (refused.status, refused.code) == (401, "unauthenticated")
    assert service.get("openapi.json", authorization="Bearer i2m_chosen-by-an-operator").status == 200
