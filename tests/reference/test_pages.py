"""`/openapi.json` and `/docs` as a client sees them."""

from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from starlette.routing import Route

from image2model.api.routes import routes
from tests.api.conftest import Service


class Page(HTMLParser):
    """What matters of a page: anchors, links, and what would be loaded or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if known.get("id"):
            self.anchors.append(known["id"] or "")
        if tag == "a":
            self.links.append(known.get("href") or "")
        if tag in {"script", "link", "img", "iframe", "object"} or "src" in known or "style" in known:
            self.loaded.append(tag)
        if any(name.startswith("on") for name in known):
            self.loaded.append(f"{tag} with a handler")


def test_the_document_is_served_and_cached(service: Service) -> None:
    answer = service.get("openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.body["openapi"] == "3.1.0"
    again = service.get("openapi.json", if_none_match=answer.headers["etag"])
    assert (again.status, again.content) == (304, b"")


def test_the_page_runs_no_script_and_loads_nothing(service: Service) -> None:
    answer = service.get("docs")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert Page(answer.content.decode()).loaded == []


def test_every_link_of_the_page_leads_somewhere_in_it(service: Service) -> None:
    page = Page(service.get("docs").content.decode())
    assert len(set(page.anchors)) == len(page.anchors)
    assert {link.removeprefix("#") for link in page.links} <= set(page.anchors)


def test_the_page_shows_every_call(service: Service) -> None:
    text = service.get("docs").content.decode()
    for path in {one.path for one in routes() if isinstance(one, Route) and one.path.startswith("/api/")}:
        assert f">{path}</a></h3>" in text


@pytest.mark.parametrize("name", ["docs", "openapi.json"])
def test_with_keys_the_reference_asks_for_one(make_service: Callable[..., Service], name: str) -> None:
    service = make_service(auth="keys", admin_key="i2m_chosen-by-an-operator")
    refused = service.get(name)
    assert (refused.status, refused.code) == (401, "unauthenticated")
    assert service.get(name, authorization="Bearer i2m_chosen-by-an-operator").status == 200
