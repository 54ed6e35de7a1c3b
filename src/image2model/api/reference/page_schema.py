"""Schemas on the page: their fields as a table, their types in words with links. Who calls it: the page."""

from html import escape
from typing import Any

from image2model.api.reference.markup import element, inline, prose, table


def schema_section(name: str, schema: dict[str, Any]) -> str:
    """One named schema."""
    heading = element("h3", name, id=f"schema-{name}")
    return f"<section>{heading}{prose(schema.get('description', ''))}{fields(schema)}</section>"


def fields(schema: dict[str, Any]) -> str:
    """The fields of an object as a table; else its type."""
    if "properties" not in schema:
        return f"<p>{in_words(schema)}</p>"
    required = set(schema.get("required", ()))
    rows = (
        (
            f"<code>{escape(name)}</code>",
            in_words(field),
            "yes" if name in required else "",
            inline(str(field.get("description", ""))),
        )
        for name, field in schema["properties"].items()
    )
    return table(("Field", "Type", "Always", ""), rows)


def in_words(schema: dict[str, Any]) -> str:
    """A schema's type in a few words, as HTML; named schemas are links."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return " | ".join(in_words(one) for one in schema[union] if one.keys() != {"properties"})
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    return _plain(schema)


def _plain(schema: dict[str, Any]) -> str:
    kind = str(schema.get("type", "anything"))
    if kind == "array":
        inner = schema.get("items") or {}
        return f"list of {in_words(inner) if inner else 'values'}"
    extra = [str(schema["format"])] if "format" in schema else []
    extra += [f"{word} {schema[key]}" for key, word in _BOUNDS.items() if key in schema]
    values = schema.get("additionalProperties")
    if isinstance(values, dict) and values:
        return f"object of {in_words(values)}"
    return escape(kind + (f" ({', '.join(extra)})" if extra else ""))


_BOUNDS = {"minimum": "from", "maximum": "to", "default": "default"}
