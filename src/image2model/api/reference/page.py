"""The reference as one HTML page: no script, nothing loaded, readable on its own. Who calls it: `/docs`.

It is made from the OpenAPI document alone, so it can say nothing else. All text is escaped.
"""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any, Final

from image2model.api.reference.markup import element, joined, pretty, prose
from image2model.api.reference.page_operation import operation_section
from image2model.api.reference.page_schema import schema_section
from image2model.api.reference.style import CSS

_DIGEST: Final = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
"""The page's Content-Security-Policy: its own style, and nothing else."""


def render(document: dict[str, Any]) -> str:
    """The whole page."""
    info = document["info"]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>image2model API</title><style>{CSS}</style>"
    )
    heading = element("h1", f"image2model API {info['version']}")
    main = heading + prose(info["description"]) + joined(_sections(document)) + _schemas(document)
    body = f"<nav>{_contents(document)}</nav><main>{main}</main>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'


def _operations(document: dict[str, Any], tag: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield method.upper(), path, operation


def _sections(document: dict[str, Any]) -> Iterator[str]:
    for tag in (tag["name"] for tag in document["tags"]):
        yield element("h2", tag, id=f"tag-{tag}")
        for method, path, operation in _operations(document, tag):
            yield operation_section(method, path, operation)
        if tag == "Webhooks":
            yield from _calls(document)


def _calls(document: dict[str, Any]) -> Iterator[str]:
    for name, methods in document["webhooks"].items():
        call = {"parameters": [], "security": [], **methods["post"]}
        yield operation_section("CALL", name, call)


def _contents(document: dict[str, Any]) -> str:
    parts = []
    for tag in (tag["name"] for tag in document["tags"]):
        entries = joined(
            f'<li><a href="#{one["operationId"]}">{element("span", method, kind=method)} '
            f"{element('span', path.removeprefix('/api/v1'))}</a></li>"
            for method, path, one in _operations(document, tag)
        )
        parts.append(f'<a href="#tag-{tag}">{tag}</a><ul>{entries}</ul>')
    return element("strong", "image2model") + joined(parts) + '<a href="#schemas">Schemas</a>'


def _schemas(document: dict[str, Any]) -> str:
    sections = joined(
        schema_section(name, schema) for name, schema in document["components"]["schemas"].items()
    )
    schemes = pretty(document["components"]["securitySchemes"])
    return f'<h2 id="schemas">Schemas</h2>{sections}<h2 id="security">Security</h2>{schemes}'
