"""One operation on the page. Who calls it: the page."""

from collections.abc import Iterator
from html import escape
from typing import Any

from image2model.api.reference.markup import details, element, inline, joined, pretty, prose, table
from image2model.api.reference.page_schema import fields, in_words


def operation_section(method: str, path: str, operation: dict[str, Any]) -> str:
    """Its address, what it is for, what it takes, what it answers."""
    anchor = operation["operationId"]
    title = f'{element("span", method, kind=method)} <a href="#{anchor}">{escape(path)}</a>'
    parts = (
        f'<h3 id="{escape(anchor)}">{title}</h3>',
        f"<p><strong>{inline(operation['summary'])}</strong></p>",
        prose(operation["description"]),
        _access(operation),
        _parameters(operation["parameters"]),
        _body(operation.get("requestBody")),
        joined(_answers(operation["responses"])),
    )
    return f"<section>{joined(parts)}</section>"


def _access(operation: dict[str, Any]) -> str:
    names = [name for one in operation["security"] for name in one]
    said = " or ".join(f'<a href="#security">{escape(name)}</a>' for name in names)
    return f"<p>Access: {said}</p>" if said else ""


def _parameters(parameters: list[dict[str, Any]]) -> str:
    rows = (
        (
            f"<code>{escape(one['name'])}</code>",
            escape(one["in"]),
            in_words(one["schema"]),
            inline(one["description"]),
        )
        for one in parameters
    )
    return table(("Parameter", "In", "Type", ""), rows)


def _body(body: dict[str, Any] | None) -> str:
    if body is None:
        return ""
    parts = [prose(f"Body: {body['description']}")]
    for media_type, media in body["content"].items():
        parts.append(f"<p><code>{escape(media_type)}</code> {in_words(media['schema'])}</p>")
        if "$ref" not in media["schema"] and "properties" in media["schema"]:
            parts.append(fields(media["schema"]))
        for name, example in media.get("examples", {}).items():
            parts.append(details(f"Example: {escape(name)}", pretty(example["value"])))
    return joined(parts)


def _answers(responses: dict[str, Any]) -> Iterator[str]:
    for status, response in responses.items():
        lines = "<br>".join(map(inline, response["description"].split("\n")))
        kind = "good" if status < "4" else "bad"
        summary = f"{element('b', status, kind=kind)} {lines}"
        content = joined(_contents(response.get("content", {}))) + _headers(response.get("headers", {}))
        yield details(summary, content)


def _headers(headers: dict[str, Any]) -> str:
    rows = (
        (f"<code>{escape(name)}</code>", f"<code>{escape(one['example'])}</code>", inline(one["description"]))
        for name, one in headers.items()
    )
    return table(("Header", "Example", ""), rows)


def _contents(content: dict[str, Any]) -> Iterator[str]:
    for media_type, media in content.items():
        if "x-events" in media:
            yield f"<p><code>{escape(media_type)}</code></p>{joined(_events(media['x-events']))}"
            continue
        yield f"<p><code>{escape(media_type)}</code> {in_words(media['schema'])}</p>"
        if "example" in media:
            yield pretty(media["example"])
        yield from (pretty(one["value"]) for one in media.get("examples", {}).values())


def _events(events: dict[str, Any]) -> Iterator[str]:
    for name, event in events.items():
        yield prose(f"Event `{name}`: {event['description']}")
        yield f"<p>Its data: {in_words(event['schema'])}</p>{pretty(event['example'])}"
