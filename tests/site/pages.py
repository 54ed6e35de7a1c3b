"""The pages that people write by hand, and the code blocks in them. Who uses it: the tests of the site."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HOWTOS = sorted(DOCS.glob("howto/*.md"))
OPERATIONS = sorted(DOCS.glob("operations/*.md"))
WRITTEN = [DOCS / "index.md", *HOWTOS, *OPERATIONS]

_BLOCK = re.compile(
    r'^(?P<skip><!-- not run by the tests[^\n]*-->\n)?```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n'
    r"(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block. `title` is a file's name; `skipped` says that a comment before it exempts it."""

    language: str
    title: str | None
    text: str
    skipped: bool


def blocks(page: Path) -> list[Block]:
    """All blocks with a language, in order."""
    return _blocks(page.read_text(encoding="utf-8"))


def blocks_by_heading(page: Path) -> dict[str, list[Block]]:
    """The same below each heading of the second level; those before the first are below an empty one."""
    top, *parts = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    named = (part.partition("\n") for part in parts)
    return {"": _blocks(top), **{name: _blocks(text) for name, _, text in named}}


def _blocks(text: str) -> list[Block]:
    return [
        Block(one["language"], one["title"], one["text"], one["skip"] is not None)
        for one in _BLOCK.finditer(text)
    ]


def table(page: Path, heading: str) -> list[str]:
    """The first cells of the first table below a heading, without its head."""
    _, _, below = page.read_text(encoding="utf-8").partition(f"## {heading}\n")
    assert below, f"{page.name} has no heading {heading}"
    rows = re.search(r"^\|.*?(?=^[^|]|\Z)", below, re.MULTILINE | re.DOTALL)
    assert rows is not None, f"{heading} has no table"
    return [line.split("|")[1].strip() for line in rows[0].splitlines()[2:]]


def words(cells: list[str]) -> set[str]:
    """The code words of cells."""
    return set(re.findall(r"`(\w+)`", " ".join(cells)))
