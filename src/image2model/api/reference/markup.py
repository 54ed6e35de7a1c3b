"""HTML from text, always escaped. Who calls it: the page."""

import re
from collections.abc import Iterable
from html import escape
from typing import Final

import msgspec

_CODE: Final = re.compile(r"`([^`]+)`")


def element(tag: str, text: str, *, id: str = "", kind: str = "") -> str:  # noqa: A002 - HTML's own word
    """One element around plain text."""
    marks = (f' id="{escape(id)}"' if id else "") + (f' class="{escape(kind.lower())}"' if kind else "")
    return f"<{tag}{marks}>{escape(text)}</{tag}>"


def inline(text: str) -> str:
    """Text in which `…` is code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def prose(text: str) -> str:
    """Paragraphs, with code in them."""
    return joined(f"<p>{inline(part)}</p>" for part in text.split("\n\n"))


def pretty(value: object) -> str:
    """A value as indented JSON, or a text as it is."""
    text = value if isinstance(value, str) else _indented(value)
    return f'<pre tabindex="0">{escape(text)}</pre>'


def _indented(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; the cells are HTML already. Nothing where there are no rows."""
    body = joined(f"<tr>{joined(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    if not body:
        return ""
    head = joined(element("th", name) for name in heads)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def details(summary: str, content: str) -> str:
    """Something folded; the summary is HTML already."""
    return f"<details><summary>{summary}</summary>{content}</details>"


def joined(parts: Iterable[str]) -> str:
    """The parts one after the other."""
    return "".join(parts)
